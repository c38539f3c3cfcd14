"""The C++ API: a page for each room, made of its README and of what its headers say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from draw_rooms import PURPOSE

ROOMS = "src/galvatron"
FOLDER = "reference/cpp"
INDEX = """# C++ API

Each room is a folder of `src/galvatron/`, a namespace and a library. Headers say purpose, shapes, units and errors: a
room's page has the words at their beginning, and behind them what they declare. What a room may include:
[rooms](../design/rooms.md).

| room | lives here |
|---|---|
"""


def pages(root: Path) -> dict[str, str]:
    """Path in the site -> Markdown."""
    made = {}
    rows = ""
    for readme in sorted((root / ROOMS).glob("*/README.md")):
        room = readme.parent
        made[f"{FOLDER}/{room.name}.md"] = f"{readme.read_text()}\n" + _headers(room)
        rows += f"| [`{room.name}`](cpp/{room.name}.md) | {PURPOSE[room.name]} |\n"
    made["reference/cpp.md"] = INDEX + rows
    return made


def _headers(room: Path) -> str:
    return "".join(_header(path, path.relative_to(room).as_posix()) for path in sorted(room.rglob("*.h")))


def _header(path: Path, name: str) -> str:
    lines = path.read_text().split("\n")
    count = next((i for i, line in enumerate(lines) if not line.startswith("//")), 0)
    words = _prose([line.removeprefix("//").removeprefix(" ") for line in lines[:count]])
    declared = [line for line in lines[count:] if not line.startswith(("#pragma once", "#include"))]
    body = "\n".join(declared).strip("\n")
    code = "".join(f"    {line}\n" if line else "\n" for line in f"```cpp\n{body}\n```".split("\n"))
    return f'## `{name}`\n\n{words}\n\n??? abstract "Declarations"\n\n{code}\n'


def _prose(lines: list[str]) -> str:
    """Comment lines as Markdown: what is indented is code, all else is text as it stands."""
    out: list[str] = []
    for line in lines:
        if line.startswith("  "):
            if out and out[-1] and not out[-1].startswith("    "):
                out.append("")
            out.append("  " + line if not line.startswith("    ") else line)
        else:
            if out and out[-1].startswith("    "):
                out.append("")
            out.append(re.sub(r"([\\`*_<>\[\]#|])", r"\\\1", line))
    return "\n".join(out)

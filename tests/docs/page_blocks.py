#!/usr/bin/env python3
"""The code blocks of a page of the docs, run one after the other in an empty folder as a reader would.

    tests/docs/page_blocks.py docs/concepts/*.md     puts into ```console blocks what the commands print now

| block | what is done |
|---|---|
| ```python | executed; all blocks of a page share their names |
| ```bash | run by bash; a command that fails fails the page |
| ```console | each `$ command` must print exactly the lines below it; `...` stands for any number of lines |
| any with title="NAME" | written to the file NAME |
| others | not run |

`<!-- not run: REASON -->` above a block leaves it out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GALVATRON_BINARY_DIR", ROOT / "build" / "release"))
BLOCK = re.compile(
    r"(?P<left_out><!-- not run: .+? -->\n)?^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
ANY_LINES = "..."
LONGEST_SECONDS = 120


@dataclass
class Block:
    language: str
    title: str | None
    code: str
    line: int

    @property
    def runs(self) -> bool:
        return self.title is not None or self.language in ("python", "bash", "console")


def blocks_of(text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        block = Block(match["language"], match["title"], match["code"], text.count("\n", 0, match.start("code")) + 1)
        if block.runs and match["left_out"] is None:
            yield block


def environment() -> dict[str, str]:
    """With the binary as `galvatron`, this Python as `python`, and the package of this checkout."""
    places = [str(BUILD / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {
        **os.environ,
        "PATH": os.pathsep.join(places),
        "PYTHONPATH": str(ROOT / "python"),
        "GALVATRON_BINARY_DIR": str(BUILD),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


@dataclass
class Runner:
    page: str
    folder: Path
    variables: Mapping[str, str]

    def __post_init__(self) -> None:
        self.namespace: dict[str, object] = {"__name__": "__main__"}

    def run(self, block: Block) -> None:
        place = f"{self.page}:{block.line}"
        if block.title is not None:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.code  # a traceback names the page's line
            exec(compile(code, self.page, "exec"), self.namespace)
        elif block.language == "bash":
            done = self.shell(block.code)
            assert done.returncode == 0, f"{place}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        else:
            for command, expected in commands_of(block.code):
                printed = self.printed(command)
                assert matches(expected, printed), f"{place}: $ {command} prints\n" + "\n".join(printed)

    def shell(self, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self.folder, env=dict(self.variables), timeout=LONGEST_SECONDS,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def printed(self, command: str) -> list[str]:
        """What it says without its progress, which may or may not show; of a command that fails, its sentence too."""
        done = self.shell(command)
        said = done.stdout if done.returncode == 0 else done.stdout + done.stderr
        return [line.rstrip() for line in said.rstrip().splitlines()]


def commands_of(code: str) -> Iterator[tuple[str, list[str]]]:
    """(command, lines below it) of a ```console block. A command goes on behind a backslash."""
    command, expected = "", []
    for line in code.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, without_last_empty(expected)
            command, expected = line[2:], []
        elif command.endswith("\\"):
            command += "\n" + line
        else:
            expected.append(line.rstrip())
    yield command, without_last_empty(expected)


def without_last_empty(lines: list[str]) -> list[str]:
    return "\n".join(lines).rstrip().splitlines()


def matches(expected: list[str], printed: list[str]) -> bool:
    parts = [re.escape(line) + "\n" if line.strip() != ANY_LINES else "(?:.*\n)*?" for line in expected]
    return re.fullmatch("".join(parts), "".join(line + "\n" for line in printed)) is not None


def with_output(text: str, run: Callable[[Block], object], printed: Callable[[str], list[str]]) -> str:
    """The page with what its commands print now, where that is not what it says."""

    def replace(match: re.Match[str]) -> str:
        block = Block(match["language"], match["title"], match["code"], 0)
        if match["left_out"] is not None or not block.runs:
            return match[0]
        if block.title is not None or block.language != "console":
            run(block)
            return match[0]
        code = ""
        for command, expected in commands_of(block.code):
            lines = printed(command)
            kept = expected if matches(expected, lines) else lines
            code += "\n".join([f"$ {command}", *kept]) + "\n"
        return match[0].replace(block.code, code)

    return BLOCK.sub(replace, text)


def main() -> None:
    for name in sys.argv[1:]:
        page = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(name, Path(folder), environment())
            os.chdir(folder)
            page.write_text(with_output(page.read_text(), runner.run, runner.printed))
            os.chdir(ROOT)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "python"))
    main()

#!/usr/bin/env python3
"""Check that every room includes only what docs/design/rooms.md allows.

Exit 0 when it holds; otherwise print each offending include and exit 1.
"""

import pathlib
import re
import sys

PLANNING = ["base", "http", "spec", "profiles", "plan", "cost", "search", "planning", "views", "galvatron2", "server"]
MAY_INCLUDE = {
    "base": [],
    "http": ["base"],
    "spec": ["base"],
    "profiles": ["base", "spec"],
    "plan": ["base", "spec"],
    "cost": ["base", "spec", "profiles", "plan"],
    "search": ["base", "spec", "profiles", "plan", "cost"],
    "planning": ["base", "spec", "profiles", "plan", "cost", "search"],
    "views": ["base", "spec", "profiles", "plan", "cost", "search", "planning"],
    "galvatron2": ["base", "spec", "profiles", "plan", "cost", "search"],
    "server": ["base", "http", "spec", "profiles", "plan", "cost", "search", "planning", "galvatron2", "views"],
    "comm": ["base"],
    "nn": ["base", "comm"],
    "models": ["base", "spec", "comm", "nn"],
    "runtime": ["base", "spec", "plan", "comm", "nn"],
    "data": ["base", "spec", "comm"],
    "train": ["base", "http", "spec", "profiles", "plan", "comm", "nn", "models", "runtime", "data"],
    "profiler": ["base", "spec", "profiles", "plan", "comm", "nn", "models", "runtime", "train"],
    "cli": None,  # everything
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
TORCH = re.compile(r"^(torch|ATen|c10|cuda|nccl)")


def problems(root: pathlib.Path) -> list[str]:
    found = []
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        room = path.relative_to(root).parts[0]
        if room not in MAY_INCLUDE:
            found.append(f"{path}: room '{room}' is not in the list of rooms")
            continue
        allowed = MAY_INCLUDE[room]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1)
            if room in PLANNING and TORCH.match(target):
                found.append(f"{path}:{number}: the planning half must not include torch ({target})")
            if not target.startswith("galvatron/") or allowed is None:
                continue
            other = target.split("/")[1]
            if other != room and other not in allowed:
                found.append(f"{path}:{number}: room '{room}' may not include '{other}' ({target})")
    return found


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src" / "galvatron"
    found = problems(root)
    for line in found:
        print(line)
    print(f"rooms: {len(MAY_INCLUDE)} rooms, {len(found)} forbidden includes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

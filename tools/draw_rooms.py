#!/usr/bin/env python3
"""Draw the rooms and what they really include as docs/design/rooms.svg.

    tools/draw_rooms.py           write the picture
    tools/draw_rooms.py --check   exit 1 when the picture in the tree is not what the sources say

An arrow points from a room to one that it includes. Arrows that follow from others are left out.
"""

import argparse
import pathlib
import sys
from html import escape

from check_rooms import INCLUDE, MAY_INCLUDE, PLANNING

ROOT = pathlib.Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "design" / "rooms.svg"
PURPOSE = {
    "base": "units, errors, JSON, progress",
    "http": "a server for this machine",
    "spec": "models, clusters, jobs",
    "profiles": "measured tables",
    "plan": "strategies, schedules, check_plan",
    "cost": "time and memory of a plan",
    "search": "the best plan, and why",
    "planning": "questions and their answers",
    "views": "answers as the page shows them",
    "galvatron2": "a guest: its files, its question",
    "server": "the page and its API",
    "comm": "groups, backends, launch",
    "nn": "Transformer parts",
    "models": "families, HF weights",
    "runtime": "runs any layers under a plan",
    "data": "token files, samples",
    "train": "optimizer, loop, metrics",
    "profiler": "measures hardware and models",
    "cli": "one file per command",
}
LIGHT = (
    ".page{fill:#fff}.ink{fill:#1f2933}.soft{fill:#55606e}.planning{fill:#e8f1fb;stroke:#2b6cb0}"
    ".training{fill:#fdeee6;stroke:#b7562b}.blue{fill:#2b6cb0}.orange{fill:#b7562b}.line{stroke:#8a94a6}.head{fill:#8a94a6}"
)
DARK = (
    ".page{fill:none}.ink{fill:#e6e8ec}.soft{fill:#9aa5b4}.planning{fill:#1d2f45;stroke:#63a4e8}"
    ".training{fill:#3a2a20;stroke:#ee9a63}.blue{fill:#63a4e8}.orange{fill:#ee9a63}"
)
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 196, 58, 40, 56, 30


def real_includes() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {room: set() for room in MAY_INCLUDE}
    for path in (ROOT / "src" / "galvatron").rglob("*"):
        if path.suffix not in (".h", ".cpp"):
            continue
        room = path.relative_to(ROOT / "src" / "galvatron").parts[0]
        for line in path.read_text().splitlines():
            match = INCLUDE.match(line)
            if match and match.group(1).startswith("galvatron/"):
                other = match.group(1).split("/")[1]
                if other != room:
                    found[room].add(other)
    return found


def reach(includes: dict[str, set[str]], room: str) -> set[str]:
    seen: set[str] = set()
    stack = list(includes[room])
    while stack:
        other = stack.pop()
        if other not in seen:
            seen.add(other)
            stack.extend(includes[other])
    return seen


def reduced(includes: dict[str, set[str]]) -> dict[str, set[str]]:
    return {
        room: {o for o in others if not any(o in reach(includes, p) for p in others if p != o)}
        for room, others in includes.items()
    }


def levels(includes: dict[str, set[str]]) -> dict[str, int]:
    memo: dict[str, int] = {}

    def level(room: str) -> int:
        if room not in memo:
            memo[room] = 1 + max((level(o) for o in includes[room]), default=-1)
        return memo[room]

    return {room: level(room) for room in includes}


def places(includes: dict[str, set[str]]) -> dict[str, tuple[float, float]]:
    rows: dict[int, list[str]] = {}
    for room, level in levels(includes).items():
        rows.setdefault(level, []).append(room)
    top = max(rows)
    widest = max(len(row) for row in rows.values())
    width = widest * BOX_WIDTH + (widest - 1) * GAP_X
    out = {}
    for level, row in rows.items():
        # The planning half on the left, the training half on the right.
        row.sort(key=lambda room: (room not in PLANNING, room))
        row_width = len(row) * BOX_WIDTH + (len(row) - 1) * GAP_X
        for i, room in enumerate(row):
            x = MARGIN + (width - row_width) / 2 + i * (BOX_WIDTH + GAP_X)
            out[room] = (x, MARGIN + 26 + (top - level) * (BOX_HEIGHT + GAP_Y))
    return out


def draw() -> str:
    includes = real_includes()
    place = places(includes)
    width = max(x for x, _ in place.values()) + BOX_WIDTH + MARGIN
    height = max(y for _, y in place.values()) + BOX_HEIGHT + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="Helvetica, Arial, sans-serif">',
        f"<style>{LIGHT}@media (prefers-color-scheme:dark){{{DARK}}}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" class="head"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" class="page"/>',
        f'<text x="{MARGIN}" y="28" font-size="13" class="soft">An arrow points to what a room includes. '
        '<tspan class="blue">Blue: the planning half, no torch.</tspan> '
        '<tspan class="orange">Orange: the training half.</tspan></text>',
    ]
    for room, others in sorted(reduced(includes).items()):
        for other in sorted(others):
            x1, y1 = place[room][0] + BOX_WIDTH / 2, place[room][1] + BOX_HEIGHT
            x2, y2 = place[other][0] + BOX_WIDTH / 2, place[other][1]
            middle = (y1 + y2) / 2
            out.append(
                f'<path d="M{x1:.0f} {y1:.0f} C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2 - 3:.0f}" '
                'fill="none" class="line" stroke-width="1.4" marker-end="url(#head)"/>'
            )
    for room, (x, y) in sorted(place.items()):
        half = "planning" if room in PLANNING else "training"
        out.append(
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8" '
            f'class="{half}"/>'
            f'<text x="{x + BOX_WIDTH / 2:.0f}" y="{y + 24:.0f}" text-anchor="middle" font-size="15" '
            f'font-weight="600" class="ink">{room}</text>'
            f'<text x="{x + BOX_WIDTH / 2:.0f}" y="{y + 44:.0f}" text-anchor="middle" font-size="11.5" '
            f'class="soft">{escape(PURPOSE[room])}</text>'
        )
    return "\n".join([*out, "</svg>"]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    picture = draw()
    if not parser.parse_args().check:
        PICTURE.write_text(picture)
        print(f"wrote {PICTURE.relative_to(ROOT)}")
        return 0
    if not PICTURE.exists() or PICTURE.read_text() != picture:
        print("docs/design/rooms.svg is not what the sources say; run tools/draw_rooms.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

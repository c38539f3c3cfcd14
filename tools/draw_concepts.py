#!/usr/bin/env python3
"""Draw the pictures of docs/concepts: docs/images/concepts/*.svg.

    tools/draw_concepts.py build/release/bin/galvatron           write them
    tools/draw_concepts.py build/release/bin/galvatron --check   exit 1 where one is not what the binary says

Schedules are what `galvatron check` draws, bars of memory and step times what `galvatron simulate` predicts. Pictures
of who holds what are drawn by rule. All follow the light or dark colours of the page that they are in.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby
from typing import Any

PICTURES = pathlib.Path(__file__).resolve().parent.parent / "docs" / "images" / "concepts"
RANKS = 4
SCHEDULES = ("gpipe", "1f1b", "interleaved")
# The question that all bars are about: 7 B parameters on one node.
MODEL, CLUSTER, WORLD, BLOCKS, BATCH, TOKENS = "llama2-7b", "8xA100", 8, 32, 64, 2048
LIMIT_GIB = 79  # of such a device
PARTS = {
    "parameters": "parameters",
    "master": "master copy",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "transient": "transient",
    "reserve": "reserve",
}
LIGHT = {
    "ink": "#1f2933", "soft": "#667382", "line": "#aab4c0", "empty": "#eef1f5", "on": "#ffffff",
    "r0": "#2b6cb0", "r1": "#c05621", "r2": "#2f855a", "r3": "#805ad5",
    "parameters": "#2b6cb0", "master": "#7fb2e5", "gradients": "#dd8452", "optimizer": "#8064c8",
    "activations": "#3f9b6c", "transient": "#a8d8be", "reserve": "#b4bcc6", "limit": "#c53030",
}  # fmt: skip
DARK = {
    "ink": "#e6e8ec", "soft": "#9aa5b4", "line": "#566070", "empty": "#2b303a", "on": "#14171c",
    "r0": "#63a4e8", "r1": "#ee9a63", "r2": "#5fc08d", "r3": "#b794f4",
    "parameters": "#5b9be0", "master": "#35608e", "gradients": "#e09a6e", "optimizer": "#a58be0",
    "activations": "#52b584", "transient": "#2f6b4d", "reserve": "#5c6674", "limit": "#fc8181",
}  # fmt: skip


class Picture:
    def __init__(self, width: int, title: str) -> None:
        self.width, self.height, self.title = width, 0, title
        self.parts: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, colour: str, corner: float = 2) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{corner:g}" '
            f'class="{colour}"/>'
        )
        self.height = max(self.height, int(y + height + 1.5))

    def text(
        self, x: float, y: float, words: str, colour: str = "ink", anchor: str = "start", size: float = 12
    ) -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{colour}" text-anchor="{anchor}" font-size="{size:g}">'
            f"{escape(words)}</text>"
        )
        self.height = max(self.height, int(y + 5))

    def arrow(self, x: float, y: float, length: float) -> None:
        self.parts.append(f'<path d="M{x:.1f} {y:.1f}h{length:.1f}m-6 -4l6 4l-6 4" fill="none" class="stroke"/>')

    def rule(self, x: float, y: float, height: float, colour: str) -> None:
        self.parts.append(
            f'<path d="M{x:.1f} {y:.1f}v{height:.1f}" fill="none" class="{colour}" stroke-dasharray="3 3"/>'
        )

    def to_svg(self) -> str:
        def colours(values: dict[str, str]) -> str:
            fills = "".join(f".{name}{{fill:{value}}}" for name, value in values.items())
            return f"{fills}.stroke{{stroke:{values['soft']}}}.edge{{stroke:{values['limit']}}}"

        style = colours(LIGHT) + "@media (prefers-color-scheme:dark){" + colours(DARK) + "}"
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif" role="img">',
            f"<title>{escape(self.title)}</title>",
            f"<style>{style}</style>",
            *self.parts,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


# --- who holds what ---

CELL, GRID = 11, 4


def grid(picture: Picture, x: float, y: float, filled: Callable[[int, int], str | None]) -> None:
    """GRID x GRID cells; `filled` gives a cell's colour, or None where it is empty."""
    for row in range(GRID):
        for column in range(GRID):
            colour = filled(row, column)
            picture.box(x + column * (CELL + 1), y + row * (CELL + 1), CELL, CELL, colour or "empty", corner=1)


def holds(title: str, weights: Callable[[int, int, int], bool], tokens: Callable[[int, int, int], bool]) -> Picture:
    """For each rank the part of the weights and of the batch that it works on."""
    picture = Picture(470, title)
    for rank in range(RANKS):
        x = 2 + rank * 120
        picture.text(x, 14, f"rank {rank}", size=13)
        grid(picture, x, 24, lambda r, c, rank=rank: f"r{rank}" if weights(rank, r, c) else None)
        grid(picture, x + 55, 24, lambda r, c, rank=rank: f"r{rank}" if tokens(rank, r, c) else None)
        picture.text(x, 87, "weights", "soft")
        picture.text(x + 55, 87, "batch", "soft")
    return picture


def zero() -> Picture:
    picture = Picture(500, "What each of four ranks keeps under ZeRO stages 0 to 3")
    kinds = ("parameters", "gradients", "optimizer")
    for rank in range(RANKS):
        picture.text(96 + rank * 100 + 36, 14, f"rank {rank}", anchor="middle")
    for stage in range(4):
        y = 26 + stage * 62
        picture.text(4, y + 22, f"ZeRO-{stage}" if stage else "replicated")
        picture.text(4, y + 36, f"zero_stage {stage}", "soft", size=10)
        for rank in range(RANKS):
            for i, kind in enumerate(kinds):
                sharded = stage >= 3 - i  # the optimizer first, the parameters last
                for part in range(RANKS):
                    kept = not sharded or part == rank
                    picture.box(96 + rank * 100 + i * 26, y + part * 12, 23, 11, kind if kept else "empty", corner=1)
    x = 96.0
    for kind in kinds:
        picture.box(x, 282, 11, 11, kind)
        picture.text(x + 16, 292, "optimizer states" if kind == "optimizer" else kind, "soft", size=11)
        x += 110
    return picture


def exchange(title: str, outside: str, inside: str, divided: str, there: str, back: str) -> Picture:
    """A tensor outside of a region, where tokens are split, and inside of it, where `divided` is."""
    picture = Picture(470, title)
    y = 22
    for x, words, below in ((40, outside, "width"), (208, inside, divided), (376, outside, "width")):
        by_column = words == inside
        grid(picture, x, y, lambda r, c, by_column=by_column: f"r{c if by_column else r}")
        picture.text(x + 24, 14, words, "soft", "middle")
        picture.text(x + 24, y + 62, below, "soft", "middle")
    picture.text(0, y + 28, "tokens", "soft", size=11)
    for x, words in ((95, there), (263, back)):
        picture.arrow(x, y + 24, 104)
        picture.text(x + 52, y + 16, words, "ink", "middle")
    for rank in range(RANKS):
        x = 110 + rank * 66
        picture.box(x, y + 72, 11, 11, f"r{rank}")
        picture.text(x + 16, y + 82, f"rank {rank}", "soft")
    return picture


# --- what the binary says ---


class Planner:
    def __init__(self, binary: str, folder: pathlib.Path) -> None:
        self.binary, self.folder = binary, folder

    def ask(self, command: str, plan: dict[str, Any], *options: object) -> str:
        (self.folder / "plan.json").write_text(json.dumps({"format": "galvatron-plan", "version": 1, **plan}))
        asked = [self.binary, command, "plan.json", *map(str, options)]
        done = subprocess.run(asked, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(asked)}: {done.stderr.strip()}")
        return done.stdout

    def schedule(self, name: str) -> list[str]:
        """Rows of `check`'s drawing: eight microbatches on four pipeline ranks of as many layers each."""
        pipeline: dict[str, Any] = {"degree": RANKS, "schedule": name}
        if name == "interleaved":
            pipeline["layers_per_stage"] = [4] * 8
        plan = {
            "world_size": RANKS,
            "global_batch": 8,
            "num_microbatches": 8,
            "pipeline": pipeline,
            "layers": [{"count": 32}],
        }
        text = self.ask("check", plan, "--model", "gpt2-0.3b", "--num-layers", 30)
        return [line.split()[-1] for line in text.splitlines() if line.strip().startswith("pp rank")]

    def prediction(self, microbatches: int, pipeline: dict[str, Any] | None = None, **strategy: Any) -> dict[str, Any]:
        outside = {key: value for key, value in strategy.items() if key != "recompute"}  # embedding and head
        plan = {
            "world_size": WORLD, "global_batch": BATCH, "num_microbatches": microbatches, "precision": "bf16",
            "pipeline": pipeline or {"degree": 1},
            "layers": [{"count": 1, **outside}, {"count": BLOCKS, **strategy}, {"count": 1, **outside}],
        }  # fmt: skip
        options = ["--model", MODEL, "--cluster", CLUSTER, "--seq-length", TOKENS, "--output", "predicted.json"]
        self.ask("simulate", plan, *options)
        return json.loads((self.folder / "predicted.json").read_text())["search"]["prediction"]


STEP, NARROW_STEP, ROW = 13, 9, 22


def schedule(rows: list[str], title: str) -> Picture:
    """Forwards are full, backwards faint; of two stages on a rank the second one's steps are of another colour."""
    length = max(map(len, rows))
    step = STEP if length < 40 else NARROW_STEP
    picture = Picture(48 + length * step, title)
    for rank, row in enumerate(rows):
        y = 4 + rank * ROW
        picture.text(0, y + 13, f"rank {rank}", "soft", size=11)
        for start, letters, chunk in steps_of(row):
            forward = letters[0].isdigit()
            microbatch = letters[0] if forward else str(ord(letters[0]) - ord("a"))
            colour = ("r0", "r2")[chunk] if forward else ("r1", "r3")[chunk]
            x, width = 44 + start * step, len(letters) * step
            picture.box(x, y, width - 1, ROW - 4, colour)
            picture.text(x + (width - 1) / 2, y + 13, microbatch, "on", "middle", 10)
    y = 4 + len(rows) * ROW + 6
    several = any(chunk for row in rows for _, _, chunk in steps_of(row))
    legend = [("r0", "forward"), ("r1", "backward")]
    if several:
        legend = [("r0", "forward, first stage"), ("r2", "second"), ("r1", "backward, first stage"), ("r3", "second")]
    x = 44.0
    for colour, words in legend:
        picture.box(x, y, 11, 11, colour)
        picture.text(x + 16, y + 10, words, "soft", size=11)
        x += 30 + 6 * len(words)
    picture.text(picture.width - 2, y + 10, "time", "soft", "end", 11)
    return picture


def steps_of(row: str) -> Iterator[tuple[int, str, int]]:
    """(place, letters, stage of the rank): a forward is one letter wide, a backward two."""
    seen: dict[str, int] = {}
    total = {letter: row.count(letter) // (1 if letter.isdigit() else 2) for letter in set(row) - {"."}}
    place = 0
    for letter, run in groupby(row):
        letters = "".join(run)
        size = 1 if letter.isdigit() else 2
        for begin in range(0, len(letters), size) if letter != "." else ():
            count = seen[letter] = seen.get(letter, -1) + 1
            # A microbatch goes forward through the first stage first, and back through it last.
            chunk = count if letter.isdigit() else total[letter] - 1 - count
            yield place + begin, letters[begin : begin + size], chunk
        place += len(letters)


def bars(rows: list[tuple[str, dict[str, Any]]], title: str) -> Picture:
    """Memory of the fullest rank, in parts, and the step's time."""
    picture = Picture(470, title)
    left, width = 122, 250
    stages = [max(predicted["stages"], key=lambda stage: stage["memory"]["total_bytes"]) for _, predicted in rows]
    most = max(LIMIT_GIB, *(stage["memory"]["total_bytes"] / 2**30 for stage in stages))
    picture.text(left + width + 8, 12, "GiB", "soft")
    picture.text(picture.width - 2, 12, "step", "soft", "end")
    for i, ((label, predicted), stage) in enumerate(zip(rows, stages, strict=True)):
        y = 20 + i * 26
        picture.text(0, y + 14, label, size=13)
        x = float(left)
        for part in PARTS:
            size = stage["memory"][f"{part}_bytes"] / 2**30 / most * width
            if size:
                picture.box(x, y, size, 20, part, corner=0)
            x += size
        picture.text(left + width + 8, y + 14, f"{stage['memory']['total_bytes'] / 2**30:.0f}", size=13)
        picture.text(picture.width - 2, y + 14, f"{predicted['step_ms'] / 1000:.2f} s", anchor="end", size=13)
    end = 20 + len(rows) * 26
    limit = left + LIMIT_GIB / most * width
    picture.rule(limit, 16, end - 16, "edge")
    picture.text(limit, 12, f"a device has {LIMIT_GIB}", "limit", "end" if limit > left + 150 else "middle")
    x, y = 0.0, end + 8
    for part, words in PARTS.items():
        if x + 20 + 6.8 * len(words) > picture.width:
            x, y = 0.0, y + 18
        picture.box(x, y, 11, 11, part)
        picture.text(x + 15, y + 10, words, "soft")
        x += 28 + 6.8 * len(words)
    return picture


def drawn_by_rule() -> dict[str, Picture]:
    def all_of_it(rank: int, row: int, column: int) -> bool:
        return True

    def own_row(rank: int, row: int, column: int) -> bool:
        return row == rank

    def own_column(rank: int, row: int, column: int) -> bool:
        return column == rank

    return {
        "data_parallel": holds("Data parallelism: all weights, a part of the samples", all_of_it, own_row),
        "tensor_parallel": holds("Tensor parallelism: a part of matrices and of tokens", own_column, own_column),
        "ulysses": holds("Ulysses: all weights, a part of the tokens", all_of_it, own_column),
        "pipeline": holds("Pipeline: a part of the layers, every sample", own_row, all_of_it),
        "zero": zero(),
        "tensor_parallel_exchange": exchange(
            "Outside tensor parallelism tokens are split, inside it the matrices",
            "norms", "MLP: all tokens", "a quarter of the matrix", "all-gather", "reduce-scatter"),
        "ulysses_exchange": exchange(
            "Outside attention tokens are split, inside it the heads",
            "projections", "attention: all tokens", "a quarter of the heads", "all-to-all", "all-to-all"),
    }  # fmt: skip


def predicted(ask: Callable[..., dict[str, Any]]) -> dict[str, Picture]:
    def four_stages(microbatches: int, schedule: str) -> dict[str, Any]:
        return ask(microbatches, {"degree": 4, "schedule": schedule}, zero_stage=1)

    splitting = [("data parallel", ask(8, zero_stage=1))]
    splitting += [(f"tp_degree {tp}", ask(8 * tp, zero_stage=1, tp_degree=tp)) for tp in (2, 4, 8)]
    splitting += [(f"ulysses_degree {uly}", ask(8 * uly, zero_stage=1, ulysses_degree=uly)) for uly in (2, 4)]
    rows = {
        "zero": [(f"zero_stage {stage}", ask(8, zero_stage=stage)) for stage in range(4)],
        "splitting": splitting,
        "schedules": [(name, four_stages(16, name)) for name in SCHEDULES],
        "microbatches": [(counted(count), ask(count, zero_stage=3)) for count in (1, 2, 4, 8)],
        "pipeline_microbatches": [(counted(count), four_stages(count, "1f1b")) for count in (4, 8, 16, 32)],
        "recompute": [(name, ask(4, zero_stage=3, recompute=name)) for name in ("none", "selective", "full")],
    }
    return {
        f"cost_{name}": bars(plans, f"Memory and step time: {name.replace('_', ' ')}") for name, plans in rows.items()
    }


def counted(microbatches: int) -> str:
    return f"{microbatches} microbatch{'es' if microbatches > 1 else ''}"


def pictures(planner: Planner) -> dict[str, Picture]:
    schedules = {
        f"schedule_{name}": schedule(planner.schedule(name), f"Four pipeline ranks, eight microbatches, {name}")
        for name in SCHEDULES
    }
    return drawn_by_rule() | schedules | predicted(planner.prediction)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = pictures(Planner(str(arguments.binary.resolve()), pathlib.Path(folder)))
    PICTURES.mkdir(parents=True, exist_ok=True)
    old = []
    for name, picture in made.items():
        path = PICTURES / f"{name}.svg"
        if not arguments.check:
            path.write_text(picture.to_svg())
        elif not path.exists() or path.read_text() != picture.to_svg():
            old.append(path.name)
    if old:
        print(
            f"not what the binary says: {', '.join(old)} in docs/images/concepts; run {sys.argv[0]} {arguments.binary}"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

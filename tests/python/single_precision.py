"""How far off single precision may be: judged by the truth in double, never by another rounding.

Two single-precision results are both wrong by rounding, and by how much depends on the kernels of the processor. So
ours is held against the same numbers in double (the truth), and may be off by at most FACTOR times what the yardstick
(most often transformers in single precision, here and now) is off, plus a floor. tests/train/single_precision.h says
the same.

GALVATRON_PRECISION_RATIOS=FILE collects the worst ratios of a run; `python tests/python/single_precision.py FILE run`
prints them as a table, a row for each kind of run, or for each kind of kernels with `on` (docs/measurements.md).
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch

Result = TypeVar("Result")
Values = torch.Tensor | Sequence[float] | float

FACTOR = 2
# One rounding is luck: the largest error of one tensor often stems from one sum. So the yardstick is the worst of this
# many orders of summation, the first of them the kernels' own. Against one order one model in 30 fails, against seven
# none of 4,050 did (with transformers' other orders in the place of ours, under five kinds of kernels).
ORDERS = 8
# What remains where the yardstick is right by luck, in units in the last place of the tensor's scale: a result passes
# through roundings of its own behind the last long sum, as a product, a bias or residual sum, a mean, the store.
FLOOR_ULPS = 4
ULP = 2.0**-23
THREADS = int(os.environ.get("GALVATRON_TEST_THREADS", "1"))
KERNEL_VARIABLES = ("ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA")

_MATRIX_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")


@contextlib.contextmanager
def another_order(seed: int) -> Iterator[None]:
    """Every matrix product on the CPU, of backward too, sums in a random order: another rounding of the same numbers.

    The products' kernels are replaced, so that all other operations cost what they always do: a dispatch mode would
    make these small models twice as slow."""
    random = torch.Generator().manual_seed(seed)

    def summed_in_a_random_order(kernel, keys, *args, **kwargs):
        *added, a, b = args
        order = torch.randperm(a.shape[-1], generator=random)
        return kernel.call_boxed(keys, *added, a.index_select(-1, order), b.index_select(-2, order), **kwargs)

    with torch.library._scoped_library("aten", "IMPL") as library, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning only once for all operators")  # that a kernel is replaced
        for name in _MATRIX_PRODUCTS:
            kernel = torch.library.get_kernel(getattr(torch.ops.aten, name).default, "CPU")
            replaced = functools.partial(summed_in_a_random_order, kernel)
            library.impl(name, replaced, "CPU", with_keyset=True, allow_override=True)
        yield


def in_every_order(compute: Callable[[], Result]) -> list[Result]:
    """The kernels' own order first."""
    results = [compute()]
    for seed in range(1, ORDERS):
        with another_order(seed):
            results.append(compute())
    return results


@functools.cache
def circumstances() -> str:
    """The processor and what chose its kernels."""
    cpus = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.partition(":")[2].strip() for line in cpus.splitlines() if line.startswith("model name")]
    capability = torch.backends.cpu.get_cpu_capability()
    chosen = [f"{name}={os.environ[name]}" for name in KERNEL_VARIABLES if name in os.environ]
    return ", ".join([*models[:1], f"capability {capability}", f"{THREADS} thread{'s'[: THREADS > 1]}", *chosen])


@dataclasses.dataclass
class Verdict:
    """Errors are the largest of the tensor's elements."""

    ours: float
    theirs: float  # of the worst order
    floor: float

    @property
    def allowed(self) -> float:
        return FACTOR * self.theirs + self.floor

    @property
    def holds(self) -> bool:
        return self.ours <= self.allowed  # not where something is no number


def _tensor(values: Values) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float64).detach()


def judge(ours: Values, yardsticks: Sequence[Values], truth: Values, scale: float = 0.0) -> Verdict:
    """scale: of the numbers that these were made from, where that is larger than the largest of these."""
    truth, ours = _tensor(truth), _tensor(ours)
    assert ours.shape == truth.shape, f"{tuple(ours.shape)} is not {tuple(truth.shape)}"
    scale = max(truth.abs().max().item(), scale)
    assert scale > 0, "the truth is zero: nothing is compared"
    theirs = torch.stack([(_tensor(each) - truth).abs().max() for each in yardsticks]).max().item()
    return Verdict((ours - truth).abs().max().item(), theirs, FLOOR_ULPS * ULP * scale)


@dataclasses.dataclass
class SinglePrecision:
    """The judge of one run of one model. run: what kind of run this is, for the table."""

    model: str
    family: str
    run: str
    yardstick: str = "transformers"

    def require(self, what: str, ours: Values, yardsticks: Sequence[Values], truth: Values, scale: float = 0.0) -> None:
        verdict = judge(ours, yardsticks, truth, scale)
        _note(self.family, self.run, verdict)
        if not verdict.holds:
            raise AssertionError(self._sentence(what, verdict, _tensor(ours), _tensor(yardsticks[0]), _tensor(truth)))

    def require_curve(
        self, what: str, ours: Sequence[float], yardsticks: Sequence[Sequence[float]], truth: Sequence[float]
    ) -> None:
        """Errors grow from step to step: each is judged by what the yardstick was off up to that step."""
        assert len(ours) == len(truth), f"{len(ours)} steps are not {len(truth)}"
        scale = max(map(abs, truth))
        for steps in range(1, len(truth) + 1):
            so_far = [curve[:steps] for curve in yardsticks]
            self.require(f"{what} to step {steps}", ours[:steps], so_far, truth[:steps], scale)

    def _sentence(
        self, what: str, verdict: Verdict, ours: torch.Tensor, theirs: torch.Tensor, truth: torch.Tensor
    ) -> str:
        at = int((ours - truth).abs().argmax())
        sides = {"ours": ours, self.yardstick: theirs, "the truth": truth}
        values = ", ".join(f"{name} {values.flatten()[at].item():.9g}" for name, values in sides.items())
        return (
            f"{what} of {self.model}, {self.run}: off by {verdict.ours:.2e}, {self.yardstick} by {verdict.theirs:.2e}; "
            f"allowed are {FACTOR} x that + {verdict.floor:.1e} = {verdict.allowed:.2e} (element {at}: {values}, "
            f"of a largest {truth.abs().max().item():.3g}); {circumstances()}"
        )


# --- worst ratios, for docs/measurements.md ---

_worst: dict[tuple[str, str], dict[str, float]] = {}


def _note(family: str, run: str, verdict: Verdict) -> None:
    seen = _worst.setdefault((family, run), {"count": 0, "ratio": 0.0, "share": 0.0})
    seen["count"] += 1
    if verdict.ours > verdict.floor:  # below it a ratio compares luck with luck
        seen["ratio"] = max(seen["ratio"], verdict.ours / verdict.theirs if verdict.theirs else float("inf"))
    seen["share"] = max(seen["share"], verdict.ours / verdict.allowed)


def _write_ratios(path: str) -> None:
    with Path(path).open("a") as file:
        for (family, run), seen in _worst.items():
            file.write(json.dumps({"family": family, "run": run, "on": circumstances(), **seen}) + "\n")


if "GALVATRON_PRECISION_RATIOS" in os.environ:
    atexit.register(_write_ratios, os.environ["GALVATRON_PRECISION_RATIOS"])


def table(lines: Sequence[str], rows_by: str) -> str:
    """Markdown of collected ratios: a row for each "run" or "on", a column for each family."""
    records = [json.loads(line) for line in lines]
    families = sorted({record["family"] for record in records})
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for record in records:
        cell = rows.setdefault(record[rows_by], {}).setdefault(record["family"], dict(record))
        cell["ratio"], cell["share"] = (max(cell[key], record[key]) for key in ("ratio", "share"))
    text = [f"| {rows_by} | " + " | ".join(families) + " |", "| --- " * (1 + len(families)) + "|"]
    for name, cells in sorted(rows.items()):
        text.append(f"| {name} | " + " | ".join(_shown(cells.get(family)) for family in families) + " |")
    return "\n".join(text)


def _shown(cell: dict[str, float] | None) -> str:
    if cell is None:
        return ""
    ratio = f"{cell['ratio']:.2f}" if cell["ratio"] else "floor"
    return f"{ratio} ({100 * cell['share']:.0f} %)"


if __name__ == "__main__":
    print(table(Path(sys.argv[1]).read_text().splitlines(), sys.argv[2]))

"""Loggers: each is told of the start of a run, of its steps and of its end."""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from galvatron.errors import ConfigError

FIGURES = {
    "loss": "train/loss",
    "grad_norm": "train/grad_norm",
    "lr": "train/lr",
    "tokens": "train/tokens",
    "seconds": "speed/step_seconds",
    "data_wait_seconds": "speed/data_wait_seconds",
    "tokens_per_second": "speed/tokens_per_second",
    "images_per_second": "speed/images_per_second",
    "mfu": "speed/mfu",
    "memory_bytes": "memory/bytes",
    "valid_loss": "valid/loss",
    "valid_perplexity": "valid/perplexity",
    "valid_accuracy": "valid/accuracy",
    "test_loss": "test/loss",
    "test_perplexity": "test/perplexity",
    "test_accuracy": "test/accuracy",
    "skipped": "train/skipped",
}
"""Names of the metrics stream, and where they stand in a logger."""


class RunStart(dict[str, Any]):
    """What run.json holds: `run` (an id), `model`, `world_size`, `options`, `versions`."""

    @property
    def run(self) -> str:
        return str(self.get("run", ""))

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.get("options") or {})


@runtime_checkable
class Logger(Protocol):
    """Hears of a run on rank 0. What it raises is said once, and it hears no more; training goes on."""

    def start(self, run: RunStart) -> None:
        """Of a run; again where it goes on from a step before the last one that was logged, which replaces those."""

    def log(self, record: Mapping[str, Any], wall_time: float | None = None) -> None:
        """A line of metrics.jsonl; `wall_time`: when its step was done, in seconds since 1970; None: now."""

    def finish(self) -> None: ...


def figures_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a line under its name in loggers; NaN where the stream has null: a value that is not finite.

    What a newer stream holds and we do not know keeps its own name."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if name == "step" or isinstance(value, (list, dict, str)):
            continue
        found[FIGURES.get(name, f"train/{name}")] = math.nan if value is None else value
    return found


class TensorBoard:
    """Event files that TensorBoard reads, in double precision."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._make_writer = needed("torch.utils.tensorboard", "TensorBoard's event files").SummaryWriter
        self.folder = Path(folder)
        self._writer: Any = None
        self._run = RunStart()

    def start(self, run: RunStart) -> None:
        self.finish()
        self._run = run

    def log(self, record: Mapping[str, Any], wall_time: float | None = None) -> None:
        step = int(record["step"])
        if self._writer is None:
            self._open(step)
        for name, value in figures_of(record).items():
            self._writer.add_scalar(name, value, step, walltime=wall_time, new_style=True, double_precision=True)
        self._writer.flush()

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, step: int) -> None:
        # Of steps that were logged before and are logged again the old figures are hidden.
        self._writer = self._make_writer(str(self.folder), purge_step=step)
        if self._run:
            self._writer.add_text("run", options_table(self._run), 0)


class WandB:
    """A run of Weights & Biases. `mode`: "online", or "offline" for a folder that `wandb sync` sends later; default: as
    wandb is set up. Other options are those of wandb.init()."""

    def __init__(
        self,
        project: str = "galvatron",
        *,
        name: str | None = None,
        mode: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self._wandb = needed("wandb", "Weights & Biases")
        self._options = {"project": project, "name": name, "mode": mode, **options}
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._options["dir"] = os.fspath(folder)
        self._run: Any = None

    def start(self, run: RunStart) -> None:
        if self._run is not None:
            return
        config = {"model": run.get("model"), "world_size": run.get("world_size"), **run.options}
        given = {"config": config, "id": run.run or None, "resume": "allow" if run.run else None, **self._options}
        self._run = self._wandb.init(**given)
        # Steps that are done again after a resume lie over those of before.
        self._run.define_metric("*", step_metric="step")

    def log(self, record: Mapping[str, Any], wall_time: float | None = None) -> None:
        if self._run is None:
            self.start(RunStart())
        when = time.time() if wall_time is None else wall_time
        self._run.log({"step": int(record["step"]), "_timestamp": when, **figures_of(record)})

    def finish(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None


def needed(module: str, what: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"[metrics] {what} need {error.name or module}, which is not installed: pip install 'galvatron[metrics]'"
        ) from None


def options_table(run: RunStart) -> str:
    """Markdown."""
    rows = {"model": run.get("model"), "world_size": run.get("world_size"), **run.options}
    return "\n".join(["| option | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])

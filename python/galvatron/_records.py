"""What runs leave behind: mappings, as their JSON files have them, whose items are attributes too."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Record(dict[str, Any]):
    """A dict whose items are attributes, too. What only some records hold is None in the others."""

    __slots__ = ()
    _parts: ClassVar[Mapping[str, type[Record]]] = {}
    """Items that are records themselves, or lists of them."""

    @classmethod
    def _of(cls, items: Mapping[str, Any]) -> Self:
        return cls({name: _made(cls._parts.get(name), value) for name, value in items.items()})

    @classmethod
    def _names(cls) -> list[str]:
        return [name for kind in cls.__mro__ for name in vars(kind).get("__annotations__", {}) if name[0] != "_"]

    if not TYPE_CHECKING:  # there the classes say what they hold

        def __getattr__(self, name: str) -> Any:
            if name in self:
                return self[name]
            if name in self._names():
                return None
            near = difflib.get_close_matches(name, [*self, *self._names()], n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise AttributeError(f"{type(self).__name__} has no '{name}'{hint}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names(), *self})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._words()}>"

    def _words(self) -> str:
        return ", ".join(f"{name} {_short(value)}" for name, value in self.items())


class StepRecord(Record):
    """A training step: a line of metrics.jsonl."""

    __slots__ = ()
    step: int
    """1 is the first."""
    loss: float
    """Mean over the labels of the global batch, before this step's update."""
    grad_norm: float
    """Of all gradients, before clipping."""
    lr: float
    tokens: int
    """Of this step, all ranks."""
    seconds: float
    data_wait_seconds: float
    """Of them, those in which this rank waited for its samples."""
    tokens_per_second: float
    memory_bytes: int
    """Most that tensors took on this rank's device during the step."""
    mfu: float | None
    """Model FLOPs utilisation; only where the device's peak is known."""
    images_per_second: float | None
    """Of image models."""
    valid_loss: float | None
    """Where this step was followed by an evaluation."""
    valid_perplexity: float | None
    """exp(valid_loss), of models of text."""
    valid_accuracy: float | None
    """Part of the evaluation's labels that the model foretold."""
    test_loss: float | None
    """Of the last step, where a test followed."""
    test_perplexity: float | None
    test_accuracy: float | None
    skipped: bool | None
    """True where the step was left out: something was not finite, or no label counted."""
    samples: list[int] | None
    """[first, end) of the run's samples, where the step was left out."""


class LossRange(Record):
    """Losses of a run, of its first and its last step."""

    __slots__ = ()
    first: float
    last: float
    valid: float | None
    """Of the last evaluation."""
    test: float | None
    """Of the test after the last step."""


class StepSeconds(Record):
    __slots__ = ()
    measured: float
    """Median, without the first step where there are others."""
    predicted: float | None
    """What the plan foretold."""


class RankMemory(Record):
    """A rank's memory."""

    __slots__ = ()
    rank: int
    stage: int
    """Of the pipeline; None in evaluations."""
    stages: list[int] | None
    """Where the rank has several."""
    peak_memory_bytes: int
    predicted_memory_bytes: int | None
    """What the plan foretold."""


class SaveFigures(Record):
    """Checkpoints that a run has written."""

    __slots__ = ()
    count: int
    bytes: int
    write_seconds: float
    stall_seconds: float
    copy_bytes: int | None


class RunSummary(Record):
    """A training run: the content of summary.json, and the losses. Printed, it is what `galvatron train` prints."""

    __slots__ = ("_text",)
    _text: str
    _parts: ClassVar[Mapping[str, type[Record]]] = {
        "loss": LossRange,
        "step_seconds": StepSeconds,
        "ranks": RankMemory,
        "checkpoints": SaveFigures,
    }
    model: str
    device: str
    world_size: int
    steps: int
    """Of this process."""
    ranks: list[RankMemory]
    step_seconds: StepSeconds
    tokens_per_second: float
    images_per_second: float | None
    loss: LossRange
    valid_perplexity: float | None
    """Of the last evaluation, of models of text."""
    valid_accuracy: float | None
    """Of the last evaluation."""
    test_perplexity: float | None
    """Of the test after the last step."""
    test_accuracy: float | None
    losses: list[float]
    """Of each step: the mean over all labels of its global batch."""
    options: dict[str, Any]
    checkpoints: SaveFigures | None
    skipped_steps: int | None
    stopped_after: int | None
    why_unpredicted: str | None
    """Why the plan's prediction was left out."""

    @classmethod
    def _read(cls, text: str) -> Self:
        items = json.loads(text)
        words = items.pop("text")
        out = cls._of(items)
        out._text = words
        return out

    def __str__(self) -> str:
        return getattr(self, "_text", "") or repr(self)

    def _words(self) -> str:
        return (
            f"{self.model}: {counted(self.steps, 'step')} on {counted(self.world_size, 'rank')}, loss "
            f"{self.loss.first:.4f} -> {self.loss.last:.4f}, {self.tokens_per_second:.0f} tokens/s"
        )


class EvaluationSummary(Record):
    """What evaluate() found."""

    __slots__ = ()
    _parts: ClassVar[Mapping[str, type[Record]]] = {"ranks": RankMemory}
    model: str
    device: str
    world_size: int
    loss: float
    """Mean over all labels."""
    perplexity: float
    """exp(loss), of models of text."""
    accuracy: float
    """Part of the labels that the model foretold."""
    labels: int
    """That counted."""
    samples: int
    batches: int
    seconds: float
    tokens_per_second: float
    ranks: list[RankMemory]

    def _words(self) -> str:
        return (
            f"{self.model}: loss {self.loss:.4f}, accuracy {100 * self.accuracy:.1f} % over "
            f"{counted(self.labels, 'label')} of {counted(self.samples, 'sample')}, "
            f"{self.tokens_per_second:.0f} tokens/s"
        )


class SearchProgress(Record):
    """How far a search is."""

    __slots__ = ()
    candidates: int
    decided: int
    best_ms_per_sample: float | None
    """None: no plan yet."""
    lower_bound_ms_per_sample: float
    seconds: float


def _made(kind: type[Record] | None, value: Any) -> Any:
    if kind is None:
        return value
    return [kind._of(one) for one in value] if isinstance(value, list) else kind._of(value)


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 rank", "4 ranks"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (dict, list)):
        return f"({len(value)})"
    return str(value)

"""What planning answers: predictions, plans that were found, tables of them; in a line, in words, in notebooks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from galvatron import _html as html
from galvatron._binding import planner
from galvatron._options import to_json
from galvatron._plan import Plan

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(repr=False)
class Prediction:
    """Time and memory of one training step under a plan."""

    step_ms: float
    peak_memory_bytes: int
    """Of the fullest device, the reserve included."""
    tokens_per_second: float
    details: dict[str, Any]
    """The same by stage and by layer, as in a plan's `search` section; times in ms, memory in bytes."""
    memory_bytes: int = 0
    """What a plan may use of a device; 0: nobody knows."""
    throughput: dict[str, Any] = field(default_factory=dict)
    """`tokens_per_second`, `tokens_per_second_per_device`, `flops_per_step` of the model; `mfu` where the device's peak
    is known; with `tokens` also `days` and `device_hours`."""
    question: dict[str, Any] = field(default_factory=dict)
    """What it is for: model, ranks, batch, length, precision, sources of the numbers."""
    timeline: dict[str, Any] | None = None
    """simulate() only: a step's Chrome trace, for json.dump() and Perfetto."""
    table: str = ""
    """simulate() only: for a terminal."""

    @classmethod
    def _of(cls, found: Mapping[str, Any], question: dict[str, Any], **more: Any) -> Self:
        cost = found["cost"]
        return cls(
            cost["step_ms"],
            cost["peak_memory_bytes"],
            cost["tokens_per_second"],
            cost,
            question["memory_bytes"],
            found["throughput"],
            question,
            **more,
        )

    @property
    def fits(self) -> bool:
        return self.memory_bytes == 0 or self.peak_memory_bytes <= self.memory_bytes

    def _words(self) -> str:
        limit = f" of {planner.bytes_text(self.memory_bytes)}" if self.memory_bytes else ""
        mfu = f", MFU {100 * self.throughput['mfu']:.1f} %" if "mfu" in self.throughput else ""
        days = f", {self.throughput['days']:.3g} days" if "days" in self.throughput else ""
        return (
            f"step {planner.time_text(self.step_ms)}, {self.tokens_per_second:.0f} tokens/s{mfu}{days}, "
            f"memory {planner.bytes_text(self.peak_memory_bytes)}{limit}"
        )

    def __repr__(self) -> str:
        return f"<Prediction: {self._words()}>"

    def __str__(self) -> str:
        return self.table or self._words()

    def _repr_html_(self) -> str:
        return html.line(self._words()) + html.memory_bars(
            self.details["stages"], self.memory_bytes, planner.bytes_text
        )


@dataclass(repr=False)
class FoundPlan:
    plan: Plan
    prediction: Prediction

    @classmethod
    def _of(cls, found: Mapping[str, Any], question: dict[str, Any]) -> Self:
        return cls(Plan.from_dict(found["plan"]), Prediction._of(found, question))

    def __repr__(self) -> str:
        return f"<FoundPlan {self._words()}>"

    def _words(self) -> str:
        return f"{self.plan.model}: {self.plan.world_size} ranks, {self.prediction._words()}"

    def _repr_html_(self) -> str:
        return self.plan._repr_html_() + self.prediction._repr_html_()


@dataclass(repr=False)
class ResultTable:
    """Answers in rows: columns as in the files of the command line (docs/planning.md), sizes in bytes, times in ms."""

    title: str
    rows: list[dict[str, Any]]
    notes: str
    """Lines that stand below the table: where it begins and ends, what is not known."""
    _forms: Mapping[str, str]

    @classmethod
    def _of(cls, results: dict[str, Any], **more: Any) -> Self:
        return cls(results.pop("title"), results.pop("rows"), results.pop("notes"), results, **more)

    def to_csv(self) -> str:
        """All columns, a line of their names first."""
        return self._forms["csv"]

    def to_svg(self) -> str:
        """A picture; "" where there is nothing to draw."""
        return self._forms["svg"]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title}: {len(self.rows)} rows>"

    def __str__(self) -> str:
        return self._forms["text"] + self.notes

    def _repr_html_(self) -> str:
        return self._forms["html"]


@dataclass(repr=False)
class Frontier(ResultTable):
    """The best plan at every budget of memory: a row for each plan."""

    details: dict[str, Any] = field(default_factory=dict)
    """`end_bytes`, `too_little_bytes`, `num_searches`, `unknown`, ...: what `search --frontier --json` writes."""


class Sweep(ResultTable):
    """One question for several models, machines, lengths, batches, budgets: a row for each combination."""


@dataclass(repr=False)
class SearchResult:
    """What a search found, and for which question. Printed, it is what `galvatron search` prints."""

    best: FoundPlan
    runners_up: list[FoundPlan]
    """The best plans of other shapes, ascending step time per sample."""
    question: dict[str, Any]
    """What was asked: `model`, `num_params`, `world_size`, `device`, `global_batch`, `seq_length`, `precision`,
    `optimizer`, `memory_bytes`; `sources` of the numbers, and what of them is `extrapolated`."""
    _search: planner.AnsweredSearch
    _text: str

    @classmethod
    def _of(cls, search: planner.AnsweredSearch, answer: Mapping[str, Any]) -> Self:
        question = answer["question"]
        runners_up = [FoundPlan._of(other, question) for other in answer["runners_up"]]
        return cls(FoundPlan._of(answer["best"], question), runners_up, question, search, answer["text"])

    @property
    def plan(self) -> Plan:
        return self.best.plan

    @property
    def prediction(self) -> Prediction:
        return self.best.prediction

    @property
    def throughput(self) -> dict[str, Any]:
        """Of the best plan: see Prediction.throughput."""
        return self.prediction.throughput

    @property
    def baselines(self) -> dict[str, Any]:
        """What people take by hand, tuned, and what the plan gains over the best of it (docs/planning.md)."""
        return self._section("baselines")

    @property
    def certificate(self) -> dict[str, Any]:
        """What is proven: `gap` 0 is that no plan of the space is better."""
        return self._section("certificate")

    def _section(self, name: str) -> dict[str, Any]:
        assert self.plan.search is not None
        section: dict[str, Any] = self.plan.search[name]
        return section

    def explain(self) -> str:
        """What `search --explain` prints: the plan, what binds, why the runners-up lose, the proof that nothing is
        better. Searches once more for each thing that it tries."""
        return self._search.explain()

    def frontier(self, budgets: int = 32) -> Frontier:
        """What more or less memory would give: `search --frontier`. `budgets`: searches that it may take."""
        found = json.loads(self._search.frontier(to_json({"budgets": budgets})))
        return Frontier._of(found, details=found.pop("details"))

    def __repr__(self) -> str:
        return f"<SearchResult {self.best._words()}>"

    def __str__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        heads = ("by hand", "step", "memory", "")
        rows = [
            (
                one["name"],
                planner.time_text(one["step_ms"]),
                planner.bytes_text(one["peak_memory_bytes"]),
                "" if one["fits"] else f"{planner.bytes_text(one['missing_bytes'])} too much",
            )
            for one in self.baselines["plans"]
        ]
        return self.best._repr_html_() + html.table(heads, rows, left=(0, 3))

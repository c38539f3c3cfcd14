"""Plans: one strategy for each layer, and one pipeline."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from galvatron import _html as html
from galvatron._binding import has_torch, planner
from galvatron._options import to_json
from galvatron._records import counted
from galvatron._specs import spec_of
from galvatron.errors import ConfigError

_FIELDS: list[dict[str, Any]] = json.loads(planner.strategy_fields())


def _field_help(field: dict[str, Any]) -> str:
    choices = f"; one of {', '.join(field['choices'])}" if "choices" in field else ""
    later = "" if field["supported"] else "; not supported yet"
    return f"{field['name']}: {field['help']}{choices}{later}. Default: {field['default']}."


def _with_fields(kind: type) -> type:
    """The class with an attribute for each field of a strategy, as the C++ side describes them."""
    names = [(field["name"], type(field["default"]), dataclasses.field(default=field["default"])) for field in _FIELDS]
    body = {"__doc__": "\n".join([kind.__doc__ or "", "", *map(_field_help, _FIELDS)]), "__module__": kind.__module__}
    return dataclasses.make_dataclass(kind.__name__, names, namespace=body, slots=True)


if TYPE_CHECKING:

    @dataclass
    class LayerStrategy:  # a test compares it with the C++ side's description
        tp_degree: int = 1
        tp_consecutive: bool = True
        ulysses_degree: int = 1
        cp_degree: int = 1
        ep_degree: int = 1
        zero_stage: int = 0
        shard_degree: int = 0
        recompute: str = "none"

else:

    @_with_fields
    class LayerStrategy:
        """How one layer is spread over the ranks of its pipeline stage."""


@dataclass(slots=True)
class Pipeline:
    degree: int = 1
    schedule: str = "1f1b"
    """ "1f1b", "gpipe" or "interleaved"."""
    layers_per_stage: list[int] = field(default_factory=list)
    """Layers of each stage, embedding and head included. Empty: spread evenly. Under "interleaved" a multiple of
    `degree` entries, stage s on pipeline rank s % degree."""


@dataclass(slots=True, repr=False)
class Plan:
    """A complete answer to how a model is trained on some ranks. Edit its attributes, then check() and write() it."""

    model: str
    """Name of the model that it was made for."""
    world_size: int
    global_batch: int
    """Samples per optimizer step."""
    layers: list[LayerStrategy]
    """One per layer: the embedding, the blocks, the head."""
    num_microbatches: int = 1
    precision: str = "bf16"
    """Of compute: "fp64", "fp32", "bf16" or "fp16"."""
    pipeline: Pipeline = field(default_factory=Pipeline)
    shapes: dict[str, int] | None = None
    """Of the model's blocks, such as {"hidden_size": 4096, ...}: it is a plan for every model that has them."""
    search: dict[str, Any] | None = None
    """What the search foretold, for readers; nothing reads it back for meaning."""

    @classmethod
    def read(
        cls, path: str | PathLike[str], model: Any = None, *, world_size: int = 0, precision: str | None = None
    ) -> Plan:
        """A plan file, ours or Galvatron-2's. ConfigError for unknown keys and values out of range.

        `model`, as load() takes it, is for Galvatron-2's files, which name none; so are `precision` (default "bf16")
        and `world_size` (the older ones do not say it).
        """
        if not isinstance(path, (str, PathLike)):
            raise ConfigError(f"a plan is read from a file, not from {path!r}")
        spec = None if model is None else spec_of(model)
        return cls._of(planner.read_plan(path, spec, to_json({"world_size": world_size, "precision": precision})))

    @classmethod
    def from_dict(cls, plan: Mapping[str, Any]) -> Plan:
        """The same from the file's content."""
        return cls._of(planner.checked_plan(to_json(plan)))

    @classmethod
    def uniform(cls, model: Any, **options: Any) -> Plan:
        """One strategy for all layers of a model.

        Options: world_size, global_batch, precision, the fields of LayerStrategy that are supported, pp_degree,
        num_microbatches, schedule, stages_per_rank. What is left of the ranks is data parallelism. The default
        precision is what is fast on this machine: "bf16" where torch sees a GPU, else "fp32".
        ConfigError for other options; the plan is not yet checked.
        """
        options.setdefault("precision", planner.fast_precision("cuda" if _has_gpu() else "cpu"))
        return cls._of(planner.uniform_plan(spec_of(model), to_json(options)))

    def to_dict(self) -> dict[str, Any]:
        """The file's content: layers in groups of equal ones."""
        plan: dict[str, Any] = json.loads(planner.checked_plan(self._text()))
        return plan

    def to_text(self) -> str:
        """The file itself, as a person reads it."""
        return planner.plan_text(self._text())

    def write(self, path: str | PathLike[str]) -> None:
        """Writes the file; it appears whole or not at all."""
        planner.write_plan(path, self._text())

    def problem(self, model: Any, world_size: int = 0, seq_length: int = 0) -> str | None:
        """What is wrong with the plan, as one sentence with the values and the way out; None when it can be trained.

        `model`: as load() takes it. `world_size`: ranks on offer; 0: any. `seq_length`: tokens of a sample; 0: any.
        """
        return planner.plan_problem(self._text(), spec_of(model), world_size, seq_length)

    def check(self, model: Any, world_size: int = 0, seq_length: int = 0) -> None:
        """problem() as a ConfigError."""
        problem = self.problem(model, world_size, seq_length)
        if problem is not None:
            raise ConfigError(problem)

    def draw(self, model: Any = None, width: int = 100) -> str:
        """Which stage has which layers under which strategy, the groups of ranks, and the pipeline's schedule if layers
        take the same time: what `galvatron check` shows.

        `model`: as load() takes it; default: the one that the plan names. ConfigError when it cannot be trained.
        """
        return planner.draw_plan(self._text(), spec_of(self.model if model is None else model), width)

    def dp_degree(self, layer: int) -> int:
        """Data-parallel degree of a layer: ranks of its stage over the ways in which its sequence is split."""
        ways: list[int] = [getattr(self.layers[layer], one["name"]) for one in _FIELDS if one["splits_sequence"]]
        return self.world_size // self.pipeline.degree // math.prod(ways)

    def __str__(self) -> str:
        """Such as "embedding tp2 | 12 x uly4 zero3 full | head tp2, 1f1b on 2 pipeline ranks, 4 microbatches"."""
        return f"{planner.plan_summary(self._text())}, {self._pipeline_words()}"

    def __repr__(self) -> str:
        try:
            layers = planner.plan_summary(self._text())
        except ConfigError as error:
            layers = str(error)
        return f"<Plan {self._shape()}: {layers}>"

    def _repr_html_(self) -> str:
        try:
            found = json.loads(planner.plan_rows(self._text()))
        except ConfigError:  # while it is being edited
            return html.line(repr(self))
        return html.line(self._shape()) + html.table(found["heads"], found["rows"], left=(1,))

    def _shape(self) -> str:
        return (
            f"{self.model or 'any model'}, {counted(self.world_size, 'rank')}, batch {self.global_batch}, "
            f"{self._pipeline_words()}, {self.precision}"
        )

    def _pipeline_words(self) -> str:
        microbatches = counted(self.num_microbatches, "microbatch", "microbatches")
        if self.pipeline.degree == 1:
            return microbatches
        return f"{self.pipeline.schedule} on {self.pipeline.degree} pipeline ranks, {microbatches}"

    @classmethod
    def _of(cls, text: str) -> Plan:
        plan = json.loads(text)
        for key in ("format", "version"):
            del plan[key]
        groups = plan.pop("layers")
        layers = [LayerStrategy(**group) for group in groups for _ in range(group.pop("count"))]
        return cls(layers=layers, pipeline=Pipeline(**plan.pop("pipeline")), **plan)

    def _text(self) -> str:
        plan = _fields_of(self) | {"layers": list(map(_fields_of, self.layers)), "pipeline": _fields_of(self.pipeline)}
        for key in ("shapes", "search"):
            if plan[key] is None:
                del plan[key]
        if not plan["pipeline"]["layers_per_stage"]:
            del plan["pipeline"]["layers_per_stage"]
        return to_json({"format": "galvatron-plan", "version": 1, **plan})


def _has_gpu() -> bool:
    if not has_torch():
        return False
    import torch

    return torch.cuda.is_available()


def _fields_of(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}


def plan_of(plan: Plan | str | PathLike[str] | Mapping[str, Any], model: Any = None) -> Plan:
    """A Plan, its file or its content. `model`: of a file of Galvatron-2's."""
    if isinstance(plan, Plan):
        return plan
    return Plan.from_dict(plan) if isinstance(plan, Mapping) else Plan.read(plan, model)

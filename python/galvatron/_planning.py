"""Profiles, search and simulation: planning without running anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

from galvatron._binding import core
from galvatron._inputs import spec_of
from galvatron._options import described
from galvatron._plan import Plan
from galvatron.errors import NothingFits

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class HardwareProfile(dict[str, Any]):
    """What `galvatron profile-hardware` measured: the content of its file (docs/profiling.md), to read and edit."""

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """ConfigError for a file that is no such profile, naming the key."""
        return cls(json.loads(core.read_hardware_profile(path)))

    def write(self, path: str | PathLike[str]) -> None:
        """Checked as when it is read."""
        core.write_hardware_profile(path, json.dumps(self))


class ModelProfile(dict[str, Any]):
    """What `galvatron profile-model` measured: the content of its file (docs/profiling.md), to read and edit."""

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """ConfigError for a file that is no such profile, naming the key."""
        return cls(json.loads(core.read_model_profile(path)))

    def write(self, path: str | PathLike[str]) -> None:
        """Checked as when it is read."""
        core.write_model_profile(path, json.dumps(self))


@dataclass
class Prediction:
    """Time and memory of one training step under a plan."""

    step_ms: float
    peak_memory_bytes: int
    """Of the fullest device, the reserve included."""
    tokens_per_second: float
    details: dict[str, Any]
    """The same by stage and by layer, as in a plan's `search` section; times in ms, memory in bytes."""
    timeline: dict[str, Any] | None = None
    """simulate() only: a step's Chrome trace, for json.dump() and Perfetto."""
    table: str = ""
    """simulate() only: for a terminal."""

    @classmethod
    def _of(cls, cost: dict[str, Any], **more: Any) -> Prediction:
        return cls(cost["step_ms"], cost["peak_memory_bytes"], cost["tokens_per_second"], cost, **more)


@dataclass
class FoundPlan:
    plan: Plan
    prediction: Prediction

    @classmethod
    def _of(cls, found: dict[str, Any]) -> FoundPlan:
        return cls(Plan.from_dict(found["plan"]), Prediction._of(found["cost"]))


@dataclass
class SearchResult:
    """What a search found."""

    best: FoundPlan
    runners_up: list[FoundPlan]
    """The best plans of other shapes, ascending step time per sample."""
    _explain: Callable[[], str] = field(repr=False)

    @property
    def baselines(self) -> dict[str, Any]:
        """What people take by hand, tuned, and what the plan gains over the best of it (docs/cli.md)."""
        baselines: dict[str, Any] = self.plan.search["baselines"]
        return baselines

    @cached_property
    def explanation(self) -> str:
        """What `search --explain` prints: the plan, what binds, why the runners-up lose, the proof that nothing is
        better. Searches again when it is first asked for, once more for each thing that it tries."""
        return self._explain()

    @property
    def plan(self) -> Plan:
        return self.best.plan

    @property
    def prediction(self) -> Prediction:
        return self.best.prediction


class MachineOptions(TypedDict, total=False):
    """What search() and simulate() both may say of the machine."""

    memory: int | str
    """What a plan may use of one device: bytes, or text such as "16GiB"; default: all it has, less the margin."""
    memory_reserve: int | str
    """Kept for context and allocator, within `memory`; default: as measured."""
    memory_margin: str
    """Left free of `memory` for predictions that err: "5%" or "2GiB"."""
    tokens: int | str
    """Of the whole training, such as "1T": the answer says how many days it takes."""
    inter_node: str
    """Network of one node, all its devices together: "25GB/s", or in bits "200Gb/s"; default, as for the options
    below: what the cluster has."""
    intra_node: str
    """Link of one device inside its node, in one direction: "240GB/s"."""
    inter_node_latency_us: float
    intra_node_latency_us: float
    devices_per_node: int
    """The same devices on nodes of another size; a device's share of the network stays."""
    device_memory: int | str
    """What a device has, of which `memory` is the part to use."""
    dense_tflops: float
    """Peak of a device in the precision trained in."""
    matmul_efficiency: float
    """Share of the peak that large matrix products reach."""
    memory_bandwidth: str
    """Of a device's own memory: "2TB/s"."""
    overhead_us: float
    """Fixed cost of one layer's forward or backward."""
    overlap_slowdown: float
    """How much slower compute and communication run beside each other: 1 is not at all."""


class SearchOptions(MachineOptions, total=False):
    """Options of search(), named as those of `galvatron search`."""

    world_size: int
    """Ranks; default: all of the cluster, or of the profile."""
    global_batch: int | str | list[int]
    """Samples per step, or a choice: [32, 64] or "16:128:16"; default 8."""
    seq_length: int
    """Tokens of a sample; default: the profile's, else the model's own, 8192 at most."""
    precision: str
    """ "bf16", "fp16", "fp32" or "fp64"; default: the model profile's, else what is fast on the device: "bf16" on
    GPUs, "fp32" on cpu."""
    optimizer: str
    """Of the training: what it keeps takes memory; default "adamw"."""
    allow: list[str]
    """Only these, such as "tp_degree<=2" or "recompute=none,full"."""
    forbid: list[str]
    """Never these, such as "zero_stage=0,1"."""
    schedule: str
    num_microbatches: int
    max_tp: int
    max_pp: int
    max_ulysses: int
    even_stages: bool
    """Balanced stages only."""
    runners_up: int
    """How many plans of other shapes to return beside the best; default 3."""


@described(core.search_options())
def search(
    model: Any,
    *,
    hardware: str | PathLike[str] | Mapping[str, Any] | None = None,
    profile: str | PathLike[str] | Mapping[str, Any] | None = None,
    cluster: str | PathLike[str] | None = None,
    **options: Unpack[SearchOptions],
) -> SearchResult:
    """The fastest plan within the memory, by exact optimisation: the answer of `galvatron search`.

    `model`: as load() takes it; a preset name, config.json, folder or configuration.
    `hardware`, `profile`: measured profiles, as files or as HardwareProfile and ModelProfile (or dicts); `cluster`: its
    data sheet stands for what they do not say: a name, a file, or NODESxDEVICESxDEVICE:NETWORK such as
    "2x8xA100-40G:25GB/s".

    NothingFits when no plan does; ConfigError for options that leave no plan to consider.
    """
    words = {key: _as_text(value) if key == "global_batch" else value for key, value in options.items()}
    spec, text = spec_of(model), json.dumps(words)
    machine = (
        _profile_text(hardware, HardwareProfile),
        _profile_text(profile, ModelProfile),
        None if cluster is None else str(cluster),
    )

    def ask(explains: bool) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(core.search(spec, text, *machine, explains))
        return answer

    found = ask(False)
    if "miss" in found:
        miss = found["miss"]
        raise NothingFits(miss.pop("sentence"), **miss)
    return SearchResult(
        FoundPlan._of(found["best"]),
        [FoundPlan._of(other) for other in found["runners_up"]],
        lambda: str(ask(True)["explanation"]),
    )


class SimulateOptions(MachineOptions, total=False):
    """Options of simulate(), named as those of `galvatron simulate`."""

    seq_length: int
    """Tokens of a sample; default: what the plan records, else the profile's or the model's."""
    optimizer: str
    """Of the training: what it keeps takes memory; default: what the plan records, else "adamw"."""


@described(core.simulate_options())
def simulate(
    model: Any,
    plan: Plan | str | PathLike[str],
    *,
    hardware: str | PathLike[str] | Mapping[str, Any] | None = None,
    profile: str | PathLike[str] | Mapping[str, Any] | None = None,
    cluster: str | PathLike[str] | None = None,
    **options: Unpack[SimulateOptions],
) -> Prediction:
    """Time, memory and timeline of a plan that somebody wrote, without running it: `galvatron simulate`.

    `hardware`, `profile`, `cluster`: as for search(). Ranks, batch and precision are the plan's.
    ConfigError when the plan cannot be trained.
    """
    found = json.loads(
        core.simulate(
            spec_of(model),
            (plan if isinstance(plan, Plan) else Plan.read(plan))._text(),
            json.dumps(options),
            _profile_text(hardware, HardwareProfile),
            _profile_text(profile, ModelProfile),
            None if cluster is None else str(cluster),
        )
    )
    return Prediction._of(found["cost"], timeline=found["timeline"], table=found["table"])


def _as_text(value: object) -> object:
    """[32, 64] as "32,64"."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def _profile_text(
    profile: str | PathLike[str] | Mapping[str, Any] | None, kind: type[HardwareProfile] | type[ModelProfile]
) -> str | None:
    if profile is None:
        return None
    return json.dumps(profile if isinstance(profile, Mapping) else kind.read(profile))

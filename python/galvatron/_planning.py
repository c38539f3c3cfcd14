"""Profiles, search and simulation: planning without running anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict

from galvatron._answers import Prediction, SearchResult, Sweep
from galvatron._binding import planner
from galvatron._options import ModelNumbers, check_callable, described, joined, to_json
from galvatron._plan import Plan, plan_of
from galvatron._records import SearchProgress
from galvatron._specs import spec_of
from galvatron.errors import ConfigError, NothingFits

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class HardwareProfile(dict[str, Any]):
    """What `galvatron profile-hardware` measured: the content of its file (docs/profiling.md), to read and edit."""

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """ConfigError for a file that is no such profile, naming the key."""
        return cls(json.loads(planner.read_hardware_profile(path)))

    def write(self, path: str | PathLike[str]) -> None:
        """Checked as when it is read."""
        planner.write_hardware_profile(path, to_json(self))


class ModelProfile(dict[str, Any]):
    """What `galvatron profile-model` measured: the content of its file (docs/profiling.md), to read and edit."""

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Self:
        """ConfigError for a file that is no such profile, naming the key."""
        return cls(json.loads(planner.read_model_profile(path)))

    def write(self, path: str | PathLike[str]) -> None:
        """Checked as when it is read."""
        planner.write_model_profile(path, to_json(self))


Profile = str | PathLike[str] | Mapping[str, Any] | None


class MachineOptions(TypedDict, total=False):
    """What all questions may say of the machine."""

    memory_reserve: int | str
    """Kept for context and allocator, within `memory`; default: as measured."""
    memory_margin: str
    """Left free of `memory` for predictions that err: "5%" or "2GiB"."""
    tokens: int | str
    """Of the whole training, such as "1T": the answer says how many days it takes."""
    attended_length: int
    """Tokens of its own document that a token is compared with on average, where train keeps `documents` apart."""
    calibration: str | PathLike[str]
    """Factors of a run's parts over their prediction, written by `galvatron report RUN --calibrate FILE`."""
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
    tp_overlap: float
    """Share of tensor parallelism's collectives that hide behind products: 0 is waiting, as this runtime does."""
    gather_overlap: float
    """Share of ZeRO-1's and 2's gathers that hide behind the next forward: 0 is waiting, as this runtime does."""


class SpaceOptions(MachineOptions, ModelNumbers, total=False):
    """What search() and sweep() both may say of the plans to choose from."""

    precision: str
    """ "bf16", "fp16", "fp32" or "fp64"; default: the model profile's, else what is fast on the device: "bf16" on
    GPUs, "fp32" on cpu."""
    optimizer: str
    """Of the training: what it keeps takes memory; default "adamw"."""
    grad_reduce: str
    """ "microbatch" or "step": when ZeRO-2 and 3 reduce gradients."""
    grad_reduce_precision: str
    """ "fp32" or "bf16": type in which gradients are summed over ranks."""
    reduce_window: str
    """Size of the reductions that may be under way beside those of the layer behind."""
    gather_window: str
    """Size of the parameters that ZeRO-3 gathers ahead beside those of the next layer."""
    parameter_gather: str
    """ "wait" or "overlap": what ZeRO-1 and 2 gather after the optimizer."""
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
    time_limit: float
    """Seconds after which it ends with the best plan so far and its gap; default: none."""
    simplicity: float
    """Share of the step by which a plan of fewer runs of layers may be slower than the best; default 0.001."""
    simulate_within: float
    """Plans slower by at most this share are simulated, and the fastest is chosen; default 0.05, 0: by the formula."""


class SearchOptions(SpaceOptions, total=False):
    """Options of search(), named as those of `galvatron search`."""

    memory: int | str
    """What a plan may use of one device: bytes, or text such as "16GiB"; default: all it has, less the margin."""
    world_size: int
    """Ranks; default: all of the cluster, or of the profile."""
    global_batch: int | str | list[int]
    """Samples per step, or a choice: [32, 64] or "16:128:16"; default 8."""
    seq_length: int
    """Tokens of a sample; default: the profile's, else the model's own, 8192 at most."""
    runners_up: int
    """How many plans of other shapes to return beside the best; default 3."""


@described(planner.search_options())
def search(
    model: Any,
    *,
    hardware: Profile = None,
    profile: Profile = None,
    cluster: str | PathLike[str] | None = None,
    on_progress: Callable[[SearchProgress], bool | None] | None = None,
    **options: Unpack[SearchOptions],
) -> SearchResult:
    """The fastest plan within the memory, by exact optimisation: the answer of `galvatron search`.

    `model`: as load() takes it; a preset name, config.json, folder or configuration.
    `hardware`, `profile`: measured profiles, as files or as HardwareProfile and ModelProfile (or dicts); `cluster`: its
    data sheet stands for what they do not say: a name, a file, or NODESxDEVICESxDEVICE:NETWORK such as
    "2x8xA100-40G:25GB/s".
    `on_progress`: called a few times a second, in searches that take so long, with `candidates` and those `decided`,
    `best_ms_per_sample` so far (None: no plan yet), `lower_bound_ms_per_sample`, `seconds` (SearchProgress: a dict
    whose items are attributes, too); when it returns False, the search ends with the best plan so far. Ctrl-C ends it
    without one.

    NothingFits when no plan does; ConfigError for options that leave no plan to consider.
    """
    check_callable(on_progress, "on_progress")
    asked = planner.AnsweredSearch(
        spec_of(model),
        to_json({key: joined(value) if key == "global_batch" else value for key, value in options.items()}),
        _profile_text(hardware, HardwareProfile, "hardware"),
        _profile_text(profile, ModelProfile, "profile"),
        None if cluster is None else str(cluster),
        None if on_progress is None else lambda line: on_progress(SearchProgress._of(json.loads(line))),
    )
    answer = json.loads(asked.to_json())
    if "miss" in answer:
        miss = answer["miss"]
        raise NothingFits(miss.pop("sentence"), **miss)
    return SearchResult._of(asked, answer)


class SweepOptions(SpaceOptions, total=False):
    """Options of sweep(), named as those of `galvatron sweep`: a row for each combination of what the lists hold."""

    cluster: str | PathLike[str] | list[str]
    """Names, files or specs such as "2x8xA100-40G:25GB/s"."""
    world_size: int | list[int]
    seq_length: int | list[int]
    global_batch: int | str | list[int]
    """[32, 64], or "16:128:16": first, last, step."""
    memory: int | str | list[int | str]
    """Of one device: ["24GiB", "40GiB"], or "16GiB:80GiB:8GiB"."""
    hardware: str | PathLike[str]
    profile: str | PathLike[str]


@described(planner.sweep_options())
def sweep(model: str | PathLike[str] | list[str], **options: Unpack[SweepOptions]) -> Sweep:
    """The same question for several models, machines, lengths, batches and budgets: `galvatron sweep`.

    `model`: preset names, config.json files or folders. What has no plan is a row that says why.
    ConfigError where no combination can be.
    """
    lists = ("cluster", "global_batch", "memory")
    words = {key: joined(value) if key in lists else value for key, value in options.items()}
    return Sweep._of(json.loads(planner.sweep(to_json({"model": joined(model), **words}))))


class SimulateOptions(MachineOptions, ModelNumbers, total=False):
    """Options of simulate(), named as those of `galvatron simulate`."""

    memory: int | str
    """What a plan may use of one device: bytes, or text such as "16GiB"; default: all it has, less the margin."""
    seq_length: int
    """Tokens of a sample; default: what the plan records, else the profile's or the model's."""
    optimizer: str
    """Of the training: what it keeps takes memory; default: what the plan records, else "adamw"."""


@described(planner.simulate_options())
def simulate(
    model: Any,
    plan: Plan | str | PathLike[str] | Mapping[str, Any],
    *,
    hardware: Profile = None,
    profile: Profile = None,
    cluster: str | PathLike[str] | None = None,
    **options: Unpack[SimulateOptions],
) -> Prediction:
    """Time, memory and timeline of a plan that somebody wrote, without running it: `galvatron simulate`.

    `plan`: a Plan, its file or its content; a file of Galvatron-2's, too.
    `hardware`, `profile`, `cluster`: as for search(). Ranks, batch and precision are the plan's.
    ConfigError when the plan cannot be trained.
    """
    spec = spec_of(model)
    found = json.loads(
        planner.simulate(
            spec,
            plan_of(plan, spec)._text(),
            to_json(options),
            _profile_text(hardware, HardwareProfile, "hardware"),
            _profile_text(profile, ModelProfile, "profile"),
            None if cluster is None else str(cluster),
        )
    )
    return Prediction._of(found, found["question"], timeline=found["timeline"], table=found["table"])


def _profile_text(profile: Profile, kind: type[HardwareProfile] | type[ModelProfile], name: str) -> str | None:
    if profile is None:
        return None
    if isinstance(profile, Mapping):
        return to_json(profile)
    if not isinstance(profile, (str, PathLike)):
        raise ConfigError(f"{name} needs a file or a {kind.__name__}, not {profile!r}")
    return to_json(kind.read(profile))

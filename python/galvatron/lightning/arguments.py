"""What GalvatronStrategy can be given: our names, and those of the strategy for Galvatron-2 (lightning-galvatron)."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, TypedDict

from galvatron._binding import planner
from galvatron._options import to_json
from galvatron._plan import Plan
from galvatron.errors import ConfigError

PlanLike = Plan | str | PathLike[str] | Mapping[str, Any]


class StrategyOptions(TypedDict, total=False):
    """Options of GalvatronStrategy beside those of every strategy of Lightning's."""

    plan: PlanLike
    """A Plan, its file (ours or Galvatron-2's) or its content; or "auto": searched for `memory` on `cluster`, or for
    what `hardware` and `profile` measured."""
    memory: int | str
    """Of one device, for plan="auto": bytes, or text such as "16GiB"; default: all it has."""
    cluster: str | PathLike[str]
    hardware: str | PathLike[str] | Mapping[str, Any]
    profile: str | PathLike[str] | Mapping[str, Any]
    global_batch: int
    """Samples of a step, all ranks together; default: what the DataLoaders give."""
    seq_length: int
    """Tokens that a plan is checked and searched for; batches may be of any length. Default: the model's, at most
    1024."""
    precision: str
    """Of compute: "fp32", "bf16", "fp16" or "fp64"; default: the Trainer's."""
    # One strategy for all layers, without a plan.
    tp_degree: int
    tp_consecutive: bool
    ulysses_degree: int
    zero_stage: int
    shard_degree: int
    recompute: str
    pp_degree: int
    schedule: str
    stages_per_rank: int
    layers_per_stage: list[int]
    num_microbatches: int
    # Names of the strategy for Galvatron-2.
    model_type: str
    """ "gpt", "llama", "bert", "t5", "vit" or "swin"."""
    model_size: str
    """A preset, such as "gpt-1.5b" or "llama2-7b"."""
    num_attention_heads: int
    hidden_size: int
    num_hidden_layers: int
    hp_config: PlanLike
    galvatron_config_path: PlanLike
    global_train_batch_size: int
    pp_deg: int
    global_tp_deg: int
    chunks: int
    """-1: a quarter of what a rank would have of the batch without a pipeline, rounded up; 1 without one."""
    global_tp_consec: int
    fsdp: int
    """1: zero_stage 3; 0: that of `default_dp_type`."""
    global_checkpoint: int
    mixed_precision: str
    pipeline_type: str
    """ "gpipe", or "pipedream_flush", which is 1f1b."""
    default_dp_type: str
    """ "ddp", "zero2" or "zero3"."""
    use_flash_attn: bool
    """Changes nothing: attention is a fused kernel where there is one."""


_OLD_NAMES = {
    "hp_config": "plan",
    "galvatron_config_path": "plan",
    "global_train_batch_size": "global_batch",
    "pp_deg": "pp_degree",
    "global_tp_deg": "tp_degree",
    "chunks": "num_microbatches",
    "mixed_precision": "precision",
}
_MODEL_NUMBERS = {"num_attention_heads": "num_heads", "hidden_size": "hidden_size", "num_hidden_layers": "num_layers"}
_MODEL = ("model_type", "model_size", *_MODEL_NUMBERS)
_ZERO_STAGES = {"ddp": 0, "zero2": 2, "zero3": 3}
_SCHEDULES = {"gpipe": "gpipe", "pipedream_flush": "1f1b"}
_SEARCH = ("memory", "cluster", "hardware", "profile")
UNIFORM = (
    "tp_degree", "tp_consecutive", "ulysses_degree", "zero_stage", "shard_degree", "recompute", "pp_degree",
    "schedule", "stages_per_rank", "layers_per_stage", "num_microbatches",
)  # fmt: skip
# Presets whose numbers a type has where nothing says others.
_BASE_PRESETS = {
    "gpt": "gpt2", "llama": "llama-7b", "bert": "bert-base", "t5": "t5-base", "vit": "vit-base", "swin": "swin-large",
}  # fmt: skip
# Of lightning-galvatron.
_OLD_NUMBERS = {"num_heads": 16, "hidden_size": 1024, "num_layers": 28}
_OLD_SEQ_LENGTH, _OLD_BATCH = 128, 32
_DEFAULT_BATCH, _DEFAULT_LENGTH = 8, 1024


@dataclass
class Settings:
    """The options in our words."""

    plan: PlanLike | None = None
    search: dict[str, Any] = field(default_factory=dict)
    uniform: dict[str, Any] = field(default_factory=dict)
    global_batch: int | None = None
    seq_length: int | None = None
    precision: str | None = None
    model: Any = None
    """ModelSpec that model_type and its numbers say; None: that of the module."""
    model_numbers: dict[str, int] = field(default_factory=dict)
    """Of them, those that were given."""
    model_family: str | None = None


def read_options(options: Mapping[str, Any]) -> Settings:
    """ConfigError for an option that we do not know, a value that it cannot have, or two names of one thing."""
    given = {name: value for name, value in options.items() if value is not None}
    known = list(StrategyOptions.__annotations__)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}"
            raise ConfigError(f"[lightning] GalvatronStrategy has no option '{name}'{hint}")
    is_old = any(name in given for name in _MODEL)
    ours = _translated(given)
    out = Settings(
        plan=ours.get("plan"),
        search={name: ours[name] for name in _SEARCH if name in ours},
        uniform={name: ours[name] for name in UNIFORM if name in ours},
        global_batch=ours.get("global_batch"),
        seq_length=ours.get("seq_length"),
        precision=ours.get("precision", "bf16" if is_old else None),
    )
    _check_exclusive(out)
    if is_old:
        _read_model(given, out)
        _use_old_defaults(given, out)
    return out


def _translated(given: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says the model."""
    out: dict[str, Any] = {}
    origin: dict[str, str] = {}

    def put(name: str, value: Any, of: str) -> None:
        if name in out and out[name] != value:
            raise ConfigError(
                f"[lightning] {origin[name]}={out[name]!r} and {of}={value!r} say the same thing; give one of them"
            )
        out[name], origin[name] = value, of

    for name, value in given.items():
        if name in _MODEL or name == "use_flash_attn":
            continue
        if name == "global_tp_consec":
            put("tp_consecutive", bool(_flag(name, value)), name)
        elif name == "global_checkpoint":
            put("recompute", "full" if _flag(name, value) else "none", name)
        elif name == "pipeline_type":
            put("schedule", _one_of(name, value, _SCHEDULES), name)
        elif name == "default_dp_type":
            stage = _one_of(name, value, _ZERO_STAGES)
            if not given.get("fsdp"):
                put("zero_stage", stage, name)
        elif name == "fsdp":
            if _flag(name, value):
                put("zero_stage", 3, name)
        else:
            put(_OLD_NAMES.get(name, name), value, name)
    return out


def _flag(name: str, value: Any) -> int:
    if value not in (0, 1, False, True):
        raise ConfigError(f"[lightning] {name} is 0 or 1, not {value!r}")
    return int(value)


def _one_of(name: str, value: Any, values: Mapping[str, Any]) -> Any:
    if value not in values:
        raise ConfigError(f"[lightning] {name} is one of {', '.join(values)}, not {value!r}")
    return values[value]


def _check_exclusive(settings: Settings) -> None:
    if settings.plan is not None and settings.uniform:
        names = ", ".join(settings.uniform)
        raise ConfigError(f"[lightning] a plan says all that {names} would say; give the one or the other")
    if settings.search and settings.plan != "auto":
        raise ConfigError(f'[lightning] {", ".join(settings.search)} is for plan="auto"; add it, or leave it away')


def _read_model(given: Mapping[str, Any], settings: Settings) -> None:
    kind = str(given.get("model_type", "gpt"))
    if kind not in _BASE_PRESETS:
        raise ConfigError(
            f"[lightning] model_type {kind!r} is not one of {', '.join(_BASE_PRESETS)}; for any model of these "
            "families leave it away and give GalvatronModule the folder or configuration"
        )
    settings.model_family = kind
    settings.model_numbers = {_MODEL_NUMBERS[name]: int(given[name]) for name in _MODEL_NUMBERS if name in given}
    size = given.get("model_size")
    numbers = dict(settings.model_numbers)
    if size is None and kind in ("gpt", "llama"):
        numbers = {**_OLD_NUMBERS, **numbers}
    preset = _BASE_PRESETS[kind] if size is None else _preset(kind, str(size))
    settings.model = (
        planner.with_numbers(planner.load_model(preset), to_json(numbers)) if numbers else planner.load_model(preset)
    )


def _preset(kind: str, size: str) -> str:
    presets = planner.preset_names()
    spellings = [size, size.replace("gpt-", "gpt2-", 1), size.replace("gpt-", "gpt3-", 1), f"{kind}-{size}"]
    for spelling in spellings:
        if spelling in presets:
            return spelling
    near = difflib.get_close_matches(spellings[1], presets, n=4, cutoff=0.3)
    raise ConfigError(f"[lightning] model_size {size!r} is no preset; near are {', '.join(near)}")


def _use_old_defaults(given: Mapping[str, Any], settings: Settings) -> None:
    """Of lightning-galvatron, where a model_type or its like shows that it is meant."""
    settings.seq_length = settings.seq_length or _OLD_SEQ_LENGTH
    if settings.plan is not None:
        return
    settings.global_batch = settings.global_batch or _OLD_BATCH
    settings.uniform.setdefault("zero_stage", 2)
    settings.uniform.setdefault("schedule", "gpipe")
    settings.uniform.setdefault("num_microbatches", -1)


def check_model(settings: Settings, spec: Any) -> None:
    """The module's model must be the one that model_type and its numbers say."""
    if settings.model is None:
        return
    facts = json.loads(spec.facts)
    family = facts["family"]
    if family != settings.model_family:
        raise ConfigError(
            f"[lightning] model_type='{settings.model_family}', but the module's model '{spec.name}' is of family "
            f"{family}; leave model_type away"
        )
    if family == "t5":
        facts["num_layers"] //= 2  # of each stack
    for name, value in settings.model_numbers.items():
        if facts[name] != value:
            raise ConfigError(
                f"[lightning] {name} {value} is not the module's: '{spec.name}' has {facts[name]}; leave it away"
            )


def make_plan(settings: Settings, spec: Any, world_size: int, precision: str) -> Plan:
    """The plan that the options say, for `world_size` ranks; not yet checked against the model."""
    if settings.plan == "auto":
        return _searched(settings, spec, world_size, precision)
    if settings.plan is not None:
        return _given_plan(settings, spec, world_size, precision)
    options = dict(settings.uniform)
    layers_per_stage = options.pop("layers_per_stage", None)
    batch = settings.global_batch
    if options.get("num_microbatches") == -1:
        options["num_microbatches"] = _old_chunks(batch or _DEFAULT_BATCH, world_size, options.get("pp_degree", 1))
    if batch is None:  # until the first batch comes
        batch = max(_DEFAULT_BATCH, world_size * options.get("num_microbatches", 1))
    plan = Plan.uniform(spec, world_size=world_size, global_batch=batch, precision=precision, **options)
    if layers_per_stage is not None:
        plan.pipeline.layers_per_stage = list(layers_per_stage)
    return plan


def _old_chunks(global_batch: int, world_size: int, pp_degree: int) -> int:
    if pp_degree == 1:
        return 1
    return max(1, math.ceil(global_batch * pp_degree / world_size / 4))


def _given_plan(settings: Settings, spec: Any, world_size: int, precision: str) -> Plan:
    plan = settings.plan
    assert plan is not None
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, Mapping):
        return Plan.from_dict(plan)
    if planner.is_galvatron2_plan(plan):  # which says neither ranks nor precision
        return Plan.read(plan, spec, world_size=world_size, precision=precision)
    return Plan.read(plan)


def _searched(settings: Settings, spec: Any, world_size: int, precision: str) -> Plan:
    from galvatron._planning import search

    if not {"cluster", "hardware"} & set(settings.search):
        raise ConfigError(
            '[lightning] plan="auto" needs the machine: cluster="8xH100", or hardware= and profile= with what '
            "`galvatron profile-hardware` and `profile-model` measured"
        )
    found = search(
        spec,
        world_size=world_size,
        global_batch=settings.global_batch or _DEFAULT_BATCH,
        seq_length=choose_length(settings, spec),
        precision=precision,
        **settings.search,
    )
    return found.plan


def choose_length(settings: Settings, spec: Any) -> int:
    return spec.choose_seq_length(settings.seq_length or 0, _DEFAULT_LENGTH)


def world_size_of(plan: PlanLike | None) -> int | None:
    """Ranks that a plan names, where it can be told without the model."""
    try:
        if isinstance(plan, Mapping):
            return int(plan.get("world_size", 0)) or None
        if isinstance(plan, Plan):
            return plan.world_size
        if plan is None or plan == "auto" or planner.is_galvatron2_plan(plan):
            return None
        return Plan.read(plan).world_size
    except (ConfigError, TypeError, ValueError):
        return None  # it is told where the model is known

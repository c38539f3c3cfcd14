"""What train() and evaluate() have in common: options, and a job for the C++ side from a model, data and a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from galvatron._model import Model
from galvatron._options import ModelShape
from galvatron._plan import Plan, plan_of
from galvatron._samples import ENDLESS, Samples
from galvatron._specs import spec_of
from galvatron.errors import ConfigError

_DEFAULT_SEED = 1234

PlanLike = Plan | str | PathLike[str] | Mapping[str, Any]


class JobOptions(ModelShape, total=False):
    """Options of train() and evaluate(), named as those of `galvatron train`."""

    vocab_size: int | str
    """ "auto": as many tokens as the data and their tokenizer have."""
    vocab_multiple: int
    """What vocab_size="auto" is made up to a multiple of; 1."""
    num_classes: int | str
    """Of an image model; "auto": as many as the image arrays have."""
    init_from: str | PathLike[str]
    """Hugging Face checkpoint folder whose weights are the first ones; without it they are random."""
    seq_length: int
    """Tokens of a sample; default: that of the data's samples, or what the model allows, at most 1024."""
    global_batch: int
    """Samples per step; default: the plan's, or 8."""
    precision: str
    """Of compute; default: the plan's, or what is fast on the device: "bf16" on cuda, "fp32" on cpu."""
    fp8: bool
    """Multiply the linear layers of blocks in float8, all else in bf16; False."""
    seed: int
    """Of first weights, dropout and the order of the data; 1234."""
    split: str
    """Weights of training, validation and test samples of a token file; "969,30,1"."""
    text_field: str
    """Field of JSON lines, or column of Parquet files, that are data; "text"."""
    documents: str
    """Of a token file: "joined", "masked" or "packed"; "joined"."""
    mask_token: str | int
    """Text or id of the token that hides others (BERT); default: the tokenizer's."""
    whole_words: bool
    """Hide whole words, not single tokens."""
    image_mean: float | list[float]
    """Taken off each pixel of image arrays; one number, or one for each channel."""
    image_std: float | list[float]
    random_crop: float
    """Train on random parts of at least this share of an image, scaled to the model's size; 0: images have that."""
    # One strategy for all layers, without a plan.
    tp_degree: int
    tp_consecutive: bool
    ulysses_degree: int
    zero_stage: int
    shard_degree: int
    recompute: str
    pp_degree: int
    stages_per_rank: int
    """Even stages that each pipeline rank runs under the interleaved schedule; default 2."""
    layers_per_stage: list[int]
    num_microbatches: int
    schedule: str
    # Ranks.
    device: str
    """ "auto", "cpu" or "cuda"."""
    pin: str
    """ "auto", "none", "numa" or "core": cores of each rank."""
    deterministic: bool
    join_timeout: int
    step_timeout: int
    io_timeout: int
    resume: str | PathLike[str]
    """Checkpoint to go on from, or to evaluate; of a folder, the latest; train(): "auto": that of `save`, or a new
    run."""
    tokenizer: str | PathLike[str]
    """Makes tokens of text, and goes into `export`."""
    data_cache: str | PathLike[str]
    """Where text becomes tokens; "tokens" in ~/.cache/galvatron."""


@contextmanager
def job_settings(
    model: Any, plan: PlanLike | None, options: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], Path]]:
    """The options for the C++ side with model and plan in files, and the folder that these lie in while it lasts."""
    settings = {
        key: str(value) if key == "mask_token" and value is not None else value for key, value in options.items()
    }
    with TemporaryDirectory(prefix="galvatron-") as folder:
        scratch = Path(folder)
        if isinstance(model, Model):
            _start_from(model, settings, scratch)
        elif model is not None:
            settings["model"] = _model_path(model, scratch)
        if plan is not None:
            settings["plan"] = plan_path(plan, scratch)
        yield settings, scratch


def plan_path(plan: PlanLike, scratch: Path) -> str:
    if isinstance(plan, (str, PathLike)):
        return str(plan)
    plan_of(plan).write(scratch / "plan.json")
    return str(scratch / "plan.json")


def _start_from(model: Model, settings: dict[str, Any], scratch: Path) -> None:
    if "init_from" in settings:
        raise ConfigError("[train] a Model and init_from exclude each other: both are the first weights")
    folder = scratch / "first" / Path(model.spec.name).name
    model.save_pretrained(folder)
    settings["init_from"] = str(folder)


def _model_path(model: Any, scratch: Path) -> str:
    if isinstance(model, (str, PathLike)):
        return str(model)
    spec = spec_of(model)
    path = scratch / f"{Path(spec.name).name}.json"
    path.write_text(spec.config)
    return str(path)


def data_path(data: Any, settings: dict[str, Any], option: str = "data") -> bool:
    """Whether the data are files or synthetic, which the C++ side reads."""
    if not isinstance(data, (str, PathLike)):
        return False
    settings[option] = str(data)
    return True


def require_an_end(size: int, data: Any, what: str) -> None:
    if size == ENDLESS:
        raise ConfigError(f"[data] {type(data).__name__} does not say how many samples it has; say how many {what}")


def sample_maker(parts: Mapping[str, Any], settings: dict[str, Any]) -> Callable[[str, int], Samples]:
    """Of data from Python, by the part of them. Also settles what the data decide: the sequence length."""
    source = settings.get("model") or settings.get("init_from")
    if source is None:
        raise ConfigError("[train] give a model, or init_from")
    spec = spec_of(source)
    shuffle, seed = settings.get("shuffle", True), settings.get("seed", _DEFAULT_SEED)
    samples = {
        part: Samples(given, spec, shuffle=shuffle and part == "train", seed=seed) for part, given in parts.items()
    }
    first = next(iter(parts))
    settings["data"] = type(parts[first]).__name__
    length = samples[first].first_length
    if length > 0:
        settings.setdefault("seq_length", length)

    def make(part: str, seq_length: int) -> Samples:
        if part not in samples:
            wish = "test needs test_data" if part == "test" else "eval_interval needs valid_data"
            raise ConfigError(f"[data] {wish} beside data from Python")
        return samples[part].expect(seq_length)

    return make

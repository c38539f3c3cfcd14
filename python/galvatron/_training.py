"""Training in this process: one rank, or one of a launcher's ranks."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galvatron._binding import core
from galvatron._inputs import spec_of
from galvatron._model import Model
from galvatron._options import ModelNumbers, check_callable, described, to_json
from galvatron._plan import Plan, plan_of
from galvatron._samples import Samples
from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Unpack

_DEFAULT_SEED = 1234


class TrainOptions(ModelNumbers, total=False):
    """Options of train(), named as those of `galvatron train` and with its defaults (docs/training.md)."""

    init_from: str | PathLike[str]
    """Hugging Face checkpoint folder whose weights are the first ones; without it they are random."""
    steps: int
    """Optimizer steps; 100."""
    seq_length: int
    """Tokens of a sample; default: that of the data's samples, or what the model allows, at most 1024."""
    global_batch: int
    """Samples per step; default: the plan's, or 8."""
    precision: str
    """Of compute; default: the plan's, or what is fast on the device: "bf16" on cuda, "fp32" on cpu."""
    seed: int
    """Of first weights, dropout and the order of the data; 1234."""
    split: str
    """Weights of training, validation and test samples of a token file; "969,30,1"."""
    shuffle: bool
    """New order of samples in each epoch, of token files and datasets; True."""
    mask_token: str | int
    """Text or id of the token that hides others (BERT); default: the tokenizer's."""
    whole_words: bool
    """Hide whole words, not single tokens."""
    image_mean: float | list[float]
    """Taken off each pixel of image arrays; one number, or one for each channel."""
    image_std: float | list[float]
    crop_padding: int
    """Train on random parts of image arrays with black borders of so many pixels."""
    flip: bool
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
    # Optimizer.
    optimizer: str
    """What updates the weights; "adamw"."""
    lr: float
    min_lr: float
    lr_schedule: str
    """ "constant", "linear", "cosine" or "wsd"."""
    warmup_steps: int
    decay_steps: int
    weight_decay: float
    momentum: float
    """Of sgd."""
    beta1: float
    beta2: float
    adam_eps: float
    max_grad_norm: float
    """Gradients above this norm are scaled down to it; 0: never."""
    max_bad_steps: int
    """Steps in a row that may be left out because loss or gradients are not finite; 0."""
    # Ranks and output.
    device: str
    """ "auto", "cpu" or "cuda"."""
    pin: str
    """ "auto", "none", "numa" or "core": cores of each rank."""
    deterministic: bool
    join_timeout: int
    step_timeout: int
    io_timeout: int
    run_dir: str | PathLike[str]
    """Folder for metrics.jsonl, plan.json, summary.json and trace.json."""
    metrics: str | PathLike[str]
    trace: str | PathLike[str]
    eval_interval: int
    """Steps between evaluations; 0: none."""
    eval_batches: int
    save: str | PathLike[str]
    """Folder of checkpoints."""
    save_interval: int
    async_save: bool
    """Train on while a checkpoint is written, from a copy in the memory of the host."""
    keep_last: int
    """Newest checkpoints that stay; 0: all."""
    keep_every: int
    """Checkpoints of steps that this divides stay too; 0: none."""
    resume: str | PathLike[str]
    """Checkpoint to go on from; of a folder, the latest; "auto": that of `save`, or a new run."""
    load_weights_only: bool
    """Begin a new run with the weights of `resume`."""
    export: str | PathLike[str]
    """Hugging Face folder of the final weights."""
    tokenizer: str | PathLike[str]


@described(core.train_options())
def train(
    model: str | PathLike[str] | Mapping[str, Any] | Any | None = None,
    *,
    data: Any = "synthetic",
    valid_data: Any = None,
    plan: Plan | str | PathLike[str] | Mapping[str, Any] | None = None,
    on_step: Callable[[dict[str, Any]], None] | None = None,
    **options: Unpack[TrainOptions],
) -> dict[str, Any]:
    """Trains in this process and returns what a run leaves behind.

    Under torchrun, srun or mpirun this process is one of their ranks and every rank calls train() with the same
    arguments; alone it is the only rank.

    `model`: preset name, config.json, folder or configuration, with random weights; or a Model, whose weights are the
    first ones and which stays as it is (`export` writes the result); None: that of `init_from`.
    `data`: the PREFIX of a token file pair, "synthetic", a PyTorch DataLoader, a dataset with len() and [] (PyTorch's
    or Hugging Face's), or an iterable of samples. Samples and batches are mappings of transformers' names
    (`input_ids` int64 [T], `labels`, `pixel_values` float [channels, height, width]; other columns are left alone), a
    tuple in that order, or one tensor. Every rank must be given the same data in the same order and takes its part of
    each batch by itself. A DataLoader's own batch size does not matter: `global_batch` samples make a step.
    `valid_data`: the same for evaluations (token files have `split` instead).
    `plan`: a Plan, its file or its content. Without one, one strategy for all layers as the options say.
    `on_step`: called on every rank after each step with the line of metrics.jsonl as a dict (`step`, `loss`, `lr`,
    `tokens_per_second`, `memory_bytes`, ...).

    Returns summary.json as a dict, with `losses`, one per step: the mean over all labels of the global batch.

    ConfigError before anything starts for what cannot be trained; RuntimeFailure when a rank or the machine fails.
    Ctrl-C ends the run after the step under way, saves and raises KeyboardInterrupt; so do SIGTERM and SIGUSR1, with
    SystemExit(75).
    """
    check_callable(on_step, "on_step")
    settings: dict[str, Any] = {
        key: str(value) if key == "mask_token" and value is not None else value for key, value in options.items()
    }
    with tempfile.TemporaryDirectory(prefix="galvatron-") as scratch:
        if isinstance(model, Model):
            _start_from(model, settings, Path(scratch))
        elif model is not None:
            settings["model"] = _model_path(model, Path(scratch))
        if plan is not None:
            settings["plan"] = _plan_path(plan, Path(scratch))
        maker = _sample_maker(data, valid_data, settings)
        hear = None if on_step is None else lambda line: on_step(json.loads(line))
        return json.loads(core.train(to_json(settings), maker, hear))


def _start_from(model: Model, settings: dict[str, Any], scratch: Path) -> None:
    if "init_from" in settings:
        raise ConfigError("[train] a Model and init_from exclude each other: both are the first weights")
    folder = scratch / "first" / Path(model.spec.name).name
    model.save(folder)
    settings["init_from"] = str(folder)


def _model_path(model: Any, scratch: Path) -> str:
    if isinstance(model, (str, PathLike)):
        return str(model)
    spec = spec_of(model)
    path = scratch / f"{Path(spec.name).name}.json"
    path.write_text(spec.config)
    return str(path)


def _plan_path(plan: Plan | str | PathLike[str] | Mapping[str, Any], scratch: Path) -> str:
    if plan == "auto":
        raise ConfigError("[train] plan 'auto' is the command line's: search a plan before, by galvatron.search")
    if isinstance(plan, (str, PathLike)):
        return str(plan)
    plan_of(plan).write(scratch / "plan.json")
    return str(scratch / "plan.json")


def _sample_maker(data: Any, valid_data: Any, settings: dict[str, Any]) -> Callable[[str, int], Samples] | None:
    """Also settles what the data decide: the sequence length."""
    if isinstance(data, (str, PathLike)):
        if valid_data is not None:
            raise ConfigError("[data] token files are divided by split; valid_data goes with data from Python")
        settings["data"] = str(data)
        return None
    source = settings.get("model") or settings.get("init_from")
    if source is None:
        raise ConfigError("[train] give a model, or init_from")
    spec = spec_of(source)
    shuffle, seed = settings.get("shuffle", True), settings.get("seed", _DEFAULT_SEED)
    parts = {
        part: Samples(given, spec, shuffle=shuffle and part == "train", seed=seed)
        for part, given in (("train", data), ("valid", valid_data))
        if given is not None
    }
    settings["data"] = type(data).__name__
    length = parts["train"].first_length
    if length > 0:
        settings.setdefault("seq_length", length)

    def make(part: str, seq_length: int) -> Samples:
        if part not in parts:
            raise ConfigError("[data] eval_interval needs valid_data beside data from Python")
        return parts[part].expect(seq_length)

    return make

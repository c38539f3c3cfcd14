"""Training in this process: one rank, or one of a launcher's ranks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from galvatron._auto_plan import AutoPlanOptions, auto_plan
from galvatron._binding import core
from galvatron._jobs import JobOptions, PlanLike, data_path, job_settings, plan_path, require_an_end, sample_maker
from galvatron._options import check_callable, described, to_json
from galvatron._planning import Profile
from galvatron._records import RunSummary, StepRecord
from galvatron.errors import ConfigError
from galvatron.metrics.loggers import Logger
from galvatron.metrics.told import Told

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TrainOptions(JobOptions, AutoPlanOptions, total=False):
    """Options of train(), named as those of `galvatron train` and with its defaults (docs/training.md)."""

    steps: int
    """Optimizer steps; 100."""
    shuffle: bool
    """New order of samples in each epoch, of token files and datasets; True."""
    crop_padding: int
    """Train on random parts of image arrays with black borders of so many pixels."""
    flip: bool
    mixup: float
    """Train on images blended with one another: alpha of the Beta distribution of their shares; 0: never."""
    cutmix: float
    """The same with a box of the other image."""
    label_smoothing: float
    """Share of every target that all classes or tokens divide, in training; 0."""
    copy_ahead: bool
    """Batches go to a GPU while it computes, from pinned memory."""
    # Communication.
    grad_reduce: str
    """ "microbatch" or "step": when ZeRO-2 and 3 reduce gradients; default: the plan's, or "microbatch"."""
    grad_reduce_precision: str
    """ "fp32" or "bf16": type in which gradients are summed over ranks; default: the plan's, or "fp32"."""
    reduce_window: str
    """Size of the reductions that may be under way beside those of the layer behind; default: the plan's, or all that
    need no memory for it."""
    gather_window: str
    """Size of the parameters that ZeRO-3 gathers ahead beside those of the next layer; default: the plan's, or none."""
    parameter_gather: str
    """ "wait" or "overlap": what ZeRO-1 and 2 gather after the optimizer; default: the plan's, or "wait"."""
    # Optimizer.
    optimizer: str
    """What updates the weights; "adamw"."""
    lr: float
    min_lr: float
    lr_schedule: str
    """ "constant", "linear", "cosine", "wsd" or "inverse_sqrt"."""
    warmup_steps: int
    decay_steps: int
    decay_shape: str
    """Of the last steps of wsd: "linear", "cosine" or "1-sqrt"."""
    weight_decay: float
    end_weight_decay: float
    weight_decay_schedule: str
    """From `weight_decay` to `end_weight_decay`: "linear" or "cosine"; "constant"."""
    param_group: list[str]
    """Parameters by patterns of their names: "*.bias:lr=0.1x,weight_decay=0", "*embed*:frozen"."""
    batch_rampup: list[int]
    """Samples of the first step, what is added, and after how many samples `global_batch` is reached."""
    momentum: float
    """Of sgd and muon."""
    beta1: float
    beta2: float
    adam_eps: float
    beta2_decay: float
    """Of adafactor, like the next two."""
    clip_threshold: float
    scale_eps: float
    max_grad_norm: float
    """Gradients above this norm are scaled down to it; 0: never."""
    max_bad_steps: int
    """Steps in a row that may be left out because loss or gradients are not finite; 0."""
    # Output.
    run_dir: str | PathLike[str]
    """Folder for metrics.jsonl, plan.json, summary.json and trace.json."""
    metrics: str | PathLike[str]
    csv: str | PathLike[str]
    """The same as metrics as a table."""
    metrics_port: int
    """Port on this machine where Prometheus reads the figures of the run; 0: a free one."""
    trace: str | PathLike[str]
    trace_steps: str
    """Steps to trace instead of the last: "10..12,20"."""
    eval_interval: int
    """Steps between evaluations; 0: none."""
    eval_batches: int | str
    """Global batches of an evaluation, none twice; "all", or 0: all samples once."""
    test: bool
    """Test after the last step, on all of the test part of `split`, or of test_data."""
    save: str | PathLike[str]
    """Folder of checkpoints."""
    save_interval: int
    async_save: bool
    """Train on while a checkpoint is written, from a copy in the memory of the host."""
    keep_last: int
    """Newest checkpoints that stay; 0: all."""
    keep_every: int
    """Checkpoints of steps that this divides stay too; 0: none."""
    load_weights_only: bool
    """Begin a new run with the weights of `resume`."""
    export: str | PathLike[str]
    """Hugging Face folder of the final weights."""


@described(core.train_options(), core.auto_plan_options())
def train(
    model: str | PathLike[str] | Mapping[str, Any] | Any | None = None,
    *,
    data: Any = "synthetic",
    valid_data: Any = None,
    test_data: Any = None,
    plan: PlanLike | None = None,
    memory: int | str | None = None,
    hardware: Profile = None,
    profile: Profile = None,
    cluster: str | PathLike[str] | None = None,
    on_step: Callable[[StepRecord], object] | None = None,
    loggers: Sequence[Logger] = (),
    **options: Unpack[TrainOptions],
) -> RunSummary:
    """Trains in this process and returns what a run leaves behind.

    Under torchrun, srun or mpirun this process is one of their ranks and every rank calls train() with the same
    arguments; alone it is the only rank.

    `model`: preset name, config.json, folder or configuration, with random weights; or a Model, whose weights are the
    first ones and which stays as it is (`export` writes the result); None: that of `init_from`.
    `data`: the PREFIX of a token file pair, "synthetic", text with a `tokenizer` (a .txt, .jsonl or .parquet file, or a
    folder of them, which becomes tokens once), a blend of several ("0.7 books 0.3 web"), a PyTorch DataLoader, a
    dataset with len() and [] (PyTorch's or Hugging Face's), or an iterable of samples. Samples and batches are mappings
    of transformers' names (`input_ids` int64 [T], `labels`, `pixel_values` float [channels, height, width]; other
    columns are left alone), a tuple in that order, or one tensor. Every rank must be given the same data in the same
    order and takes its part of each batch by itself. A DataLoader's own batch size does not matter: `global_batch`
    samples make a step.
    `valid_data`: the same for evaluations; of token files without it, the part that `split` says.
    `test_data`: the same for a test after the last step, on all its samples.
    `plan`: a Plan, its file or its content. Without one, one strategy for all layers as the options say. "auto": the
    fastest plan for these ranks, as search() finds it within `memory` of each (bytes, or text such as "16GiB"; default:
    all there is), from `hardware` and `profile`, which are measured where they are not given, or from a `cluster`'s
    data sheet; rank 0 searches, and every rank trains under its plan.
    `on_step`: called on every rank after each step with its line of metrics.jsonl: a dict whose items are attributes,
    too (`step`, `loss`, `lr`, `tokens_per_second`, `memory_bytes`, ...: StepRecord).

    `loggers`: told on rank 0 of the run, its steps and its end: galvatron.metrics.TensorBoard(folder),
    galvatron.metrics.WandB(project), or anything with their start(), log() and finish(). One that fails is named, and
    training goes on without it.

    Returns the content of summary.json, with `losses`, one per step: the mean over all labels of the global batch. Its
    items are attributes, too (RunSummary).

    ConfigError before anything starts for what cannot be trained; RuntimeFailure when a rank or the machine fails.
    Ctrl-C ends the run after the step under way, saves and raises KeyboardInterrupt; so do SIGTERM and SIGUSR1, with
    SystemExit(75).
    """
    check_callable(on_step, "on_step")
    told = Told(loggers)
    given_plan = None if plan == "auto" else plan
    machine: dict[str, Any] = {"memory": memory, "hardware": hardware, "profile": profile, "cluster": cluster}
    with job_settings(model, given_plan, options) as (settings, scratch):
        maker = None
        if not data_path(data, settings):
            others = {part: given for part, given in (("valid", valid_data), ("test", test_data)) if given is not None}
            maker = sample_maker({"train": data} | others, settings)
            if test_data is not None:
                settings["test"] = True
                require_an_end(maker("test", 0).size, test_data, "steps a test has, and make test_data so long")
            if valid_data is not None and settings.get("eval_batches") in (0, "all"):
                require_an_end(maker("valid", 0).size, valid_data, "eval_batches an evaluation has")
        else:
            for option, given in (("valid_data", valid_data), ("test_data", test_data)):
                if given is not None and not data_path(given, settings, option):
                    raise ConfigError(
                        f"[data] data are files and {option} are not: give both as files or both from Python"
                    )
        if plan == "auto":
            settings["plan"] = plan_path(auto_plan(settings, maker, **machine), scratch)
        else:
            _refuse_without_auto(settings, machine)
        hear = None if on_step is None else lambda line: on_step(StepRecord._of(json.loads(line)))
        try:
            return RunSummary._read(core.train(to_json(settings), maker, hear, told.hear if loggers else None))
        finally:
            told.finish()


def _refuse_without_auto(settings: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
    wanted = {**machine, **{name: settings.get(name) for name in AutoPlanOptions.__annotations__}}
    for name, value in wanted.items():
        if value is not None:
            raise ConfigError(f'[train] {name} is of plan="auto", which searches the plan; here is none to search')

"""Evaluating in this process, without training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from galvatron._binding import core
from galvatron._jobs import JobOptions, PlanLike, data_path, job_settings, require_an_end, sample_maker
from galvatron._options import described, to_json
from galvatron._records import EvaluationSummary
from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Unpack


class EvaluateOptions(JobOptions, total=False):
    """Options of evaluate(), named as those of `galvatron train`."""

    part: str
    """Of token files and image arrays: "train", "valid" or "test", as split says; "valid"."""
    batches: int | str
    """Global batches to evaluate; "all", or 0: all samples once."""


@described(core.evaluate_options())
def evaluate(
    model: str | PathLike[str] | Mapping[str, Any] | Any | None = None,
    *,
    data: Any,
    plan: PlanLike | None = None,
    **options: Unpack[EvaluateOptions],
) -> EvaluationSummary:
    """The mean loss and the accuracy of a model over data, under any plan, without training it.

    Under torchrun, srun or mpirun every rank calls evaluate() with the same arguments; alone this process is the only
    rank.

    `model`: a Model, whose weights are evaluated; or a name, file or configuration with the weights of `init_from`, of
    the checkpoint `resume`, or random ones; None: that of `init_from`, or where the data are files of `resume`.
    `data`: as for train(). Of data from Python all are taken; where they do not say how many there are (iterables),
    `batches` is needed.
    `plan`: a Plan, its file or its content; without one, one strategy for all layers as the options say.

    Returns `loss`, the mean over all `labels` of the `samples`, each taken once; `perplexity`, its exponential, of
    models of text; `accuracy`, the part of the labels with the highest logit; `seconds` and `tokens_per_second`
    (EvaluationSummary: a dict whose items are attributes, too).

    ConfigError before anything starts for what cannot be evaluated.
    """
    with job_settings(model, plan, options) as (settings, _):
        if not any(settings.get(name) for name in ("model", "init_from", "resume")):
            raise ConfigError("[evaluate] give a model, init_from or resume")
        maker = None
        if not data_path(data, settings):
            of_part = sample_maker({"valid": data}, settings)
            if settings.get("batches") in (None, 0, "all"):
                require_an_end(of_part("valid", 0).size, data, "batches to evaluate")
            maker = lambda part, seq_length: of_part("valid", seq_length)  # noqa: E731
        return EvaluationSummary._of(json.loads(core.evaluate(to_json(settings), maker)))

"""train(plan="auto"): the plan for these ranks, searched before they train. Rank 0 decides, the others hear it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, TypedDict

from galvatron._binding import core
from galvatron._options import to_json
from galvatron._plan import Plan
from galvatron._planning import search
from galvatron.errors import ConfigError, NothingFits, RuntimeFailure
from galvatron.native_command import find_binary, library_path


class AutoPlanOptions(TypedDict, total=False):
    """Of plan="auto"."""

    cache_dir: str | PathLike[str]
    """Where it keeps the profiles that it searches with."""
    refresh: bool
    """Measure again what is kept there."""
    calibration: str | PathLike[str]
    """Factors of a run's parts over their prediction, written by `galvatron report RUN --calibrate FILE`."""


def auto_plan(
    settings: dict[str, Any],
    maker: Callable[[str, int], object] | None,
    *,
    memory: int | str | None,
    hardware: Any,
    profile: Any,
    cluster: Any,
) -> Plan:
    """Called by every rank. Takes its options out of the settings of train()."""
    own = {name: settings.pop(name) for name in AutoPlanOptions.__annotations__ if name in settings}
    measures = cluster is None and (hardware is None or profile is None)
    binary = str(find_binary()) if measures else ""
    asked = core.AutoPlan(to_json(settings), to_json(own), maker, binary, library_path() or "")
    if measures and hardware is None:
        hardware = asked.hardware()  # all ranks together
    if not asked.is_first:
        return _heard(json.loads(asked.shared("")))
    try:
        if measures and profile is None:
            profile = asked.profile()
        question = json.loads(asked.question()) | ({} if memory is None else {"memory": memory})
        found = search(asked.model, hardware=hardware, profile=profile, cluster=cluster, **question)
    except Exception as error:
        asked.shared(to_json(_failure(error)))
        raise
    asked.shared(to_json({"plan": found.plan.to_dict()}))
    return found.plan


def _failure(error: Exception) -> dict[str, Any]:
    miss = vars(error) if isinstance(error, NothingFits) else None
    return {"sentence": str(error), "is_config": isinstance(error, ConfigError), "miss": miss}


def _heard(said: Mapping[str, Any]) -> Plan:
    """What rank 0 found, or how it failed."""
    if "plan" in said:
        return Plan.from_dict(said["plan"])
    if said["miss"] is not None:
        raise NothingFits(said["sentence"], **said["miss"])
    kind = ConfigError if said["is_config"] else RuntimeFailure
    raise kind(said["sentence"])

"""Models and clusters as planning knows them: what a caller gives as a ModelSpec, and what has a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import Any

from galvatron._binding import planner
from galvatron._options import to_json
from galvatron.errors import ConfigError


def spec_of(model: Any) -> planner.ModelSpec:
    """A preset name, config.json, folder, configuration dict, transformers config or Model as a ModelSpec."""
    own = getattr(model, "spec", None)
    if isinstance(own, planner.ModelSpec):  # a Model
        return own
    if isinstance(model, planner.ModelSpec):
        return model
    config = model.to_dict() if hasattr(model, "to_dict") else model
    if isinstance(config, Mapping):
        name = str(config.get("_name_or_path") or config.get("model_type", "model"))
        return planner.model_from_config(to_json(config), name)
    if not isinstance(model, (str, PathLike)):
        raise ConfigError(f"[model] {model!r} is no preset name, file, folder, configuration or Model")
    return planner.load_model(str(model))


def preset_names() -> list[str]:
    """Models that load(), search() and train() know by name."""
    return planner.preset_names()


def cluster_names() -> list[str]:
    """Clusters that search() knows by name."""
    return planner.cluster_names()


def models() -> list[dict[str, Any]]:
    """The presets with their numbers, those of a series together: `name`, `family`, `num_params`, `num_layers`, ..."""
    found: list[dict[str, Any]] = json.loads(planner.models())
    return found


def clusters() -> dict[str, dict[str, Any]]:
    """`devices` and `clusters` that are named, with their data sheets: by name the content of a cluster file
    (docs/clusters.md). Any other cluster is written NODESxDEVICESxDEVICE:NETWORK."""
    found: dict[str, dict[str, Any]] = json.loads(planner.clusters())
    return found

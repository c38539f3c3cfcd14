"""Galvatron: automatic hybrid-parallel training of Transformers, from Python.

load() a model, search() a Plan, train() with it. See docs/python.md. Names are loaded when they are first used, so that
the data tool and the report start without torch.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from galvatron._answers import FoundPlan, Frontier, Prediction, SearchResult, Sweep
    from galvatron._evaluating import evaluate
    from galvatron._model import (
        Model,
        ModelOutput,
        cluster_names,
        clusters,
        from_pretrained,
        load,
        models,
        preset_names,
    )
    from galvatron._plan import LayerStrategy, Pipeline, Plan
    from galvatron._planning import HardwareProfile, ModelProfile, search, simulate, sweep
    from galvatron._records import EvaluationSummary, RunSummary, SearchProgress, StepRecord
    from galvatron._training import train
    from galvatron.errors import ConfigError, InternalError, NothingFits, RuntimeFailure

_PLACES = {
    "_answers": ("FoundPlan", "Frontier", "Prediction", "SearchResult", "Sweep"),
    "_evaluating": ("evaluate",),
    "_model": (
        "Model",
        "ModelOutput",
        "cluster_names",
        "clusters",
        "from_pretrained",
        "load",
        "models",
        "preset_names",
    ),
    "_plan": ("LayerStrategy", "Pipeline", "Plan"),
    "_planning": ("HardwareProfile", "ModelProfile", "search", "simulate", "sweep"),
    "_records": ("EvaluationSummary", "RunSummary", "SearchProgress", "StepRecord"),
    "_training": ("train",),
    "errors": ("ConfigError", "InternalError", "NothingFits", "RuntimeFailure"),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "ConfigError",
    "EvaluationSummary",
    "FoundPlan",
    "Frontier",
    "HardwareProfile",
    "InternalError",
    "LayerStrategy",
    "Model",
    "ModelOutput",
    "ModelProfile",
    "NothingFits",
    "Pipeline",
    "Plan",
    "Prediction",
    "RunSummary",
    "RuntimeFailure",
    "SearchProgress",
    "SearchResult",
    "StepRecord",
    "Sweep",
    "cluster_names",
    "clusters",
    "evaluate",
    "from_pretrained",
    "load",
    "models",
    "preset_names",
    "search",
    "simulate",
    "sweep",
    "train",
]

# In a checkout the C++ module lies in the build folder; an installed package holds it itself.
_CHECKOUT = Path(__file__).resolve().parents[2]
if (_CHECKOUT / "python" / "binding").is_dir():
    _BUILD = Path(os.environ.get("GALVATRON_BINARY_DIR", _CHECKOUT / "build" / "release"))
    __path__.append(str(_BUILD / "python" / "galvatron"))


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'galvatron' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"galvatron.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__") and name.endswith("__"))])

"""Galvatron: automatic hybrid-parallel training of Transformers, from Python.

load() a model, search() a Plan, train() with it. See docs/python.md. Names are loaded when they are first used, so that
planning, the data tool and the report start without torch.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from galvatron._binding import has_torch, require_torch

__version__ = "0.1.0"

if TYPE_CHECKING:
    from galvatron._answers import FoundPlan, Frontier, Prediction, SearchResult, Sweep
    from galvatron._evaluating import evaluate
    from galvatron._model import Model, ModelOutput, from_pretrained, load
    from galvatron._plan import LayerStrategy, Pipeline, Plan
    from galvatron._planning import HardwareProfile, ModelProfile, search, simulate, sweep
    from galvatron._records import EvaluationSummary, RunSummary, SearchProgress, StepRecord
    from galvatron._specs import cluster_names, clusters, models, preset_names
    from galvatron._training import train
    from galvatron.errors import ConfigError, InternalError, NothingFits, RuntimeFailure

_PLACES = {
    "_answers": ("FoundPlan", "Frontier", "Prediction", "SearchResult", "Sweep"),
    "_evaluating": ("evaluate",),
    "_model": ("Model", "ModelOutput", "from_pretrained", "load"),
    "_plan": ("LayerStrategy", "Pipeline", "Plan"),
    "_planning": ("HardwareProfile", "ModelProfile", "search", "simulate", "sweep"),
    "_records": ("EvaluationSummary", "RunSummary", "SearchProgress", "StepRecord"),
    "_specs": ("cluster_names", "clusters", "models", "preset_names"),
    "_training": ("train",),
    "errors": ("ConfigError", "InternalError", "NothingFits", "RuntimeFailure"),
}
_ON_TORCH = ("_evaluating", "_model", "_training")
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

# In a checkout the C++ modules lie in the build folder; an installed package holds them itself.
_CHECKOUT = Path(__file__).resolve().parents[2]
if (_CHECKOUT / "python" / "binding").is_dir():
    _BUILD = Path(os.environ.get("GALVATRON_BINARY_DIR", _CHECKOUT / "build" / "release"))
    __path__.append(str(_BUILD / "python" / "galvatron"))


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'galvatron' has no attribute '{name}'")
    if _MODULE_OF[name] in _ON_TORCH:
        require_torch(f"galvatron.{name}")
    value = getattr(importlib.import_module(f"galvatron.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    there = [name for name in __all__ if has_torch() or _MODULE_OF[name] not in _ON_TORCH]
    return sorted([*there, *(name for name in globals() if name.startswith("__") and name.endswith("__"))])

"""The C++ modules: `planner`, the planning half, and `core`, the training half, which takes torch's libraries from the
process. `core` is loaded when it is first asked for: planning starts without torch."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

TRAINING = "galvatron[train]"
"""What brings the training half all that it needs."""

if TYPE_CHECKING:
    from galvatron import _core as core
    from galvatron import _planner as planner

__all__ = ["core", "planner"]


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def require_torch(what: str) -> None:
    """ImportError that says what to install."""
    if not has_torch():
        raise ImportError(f"{what} needs torch, which is not installed: pip install '{TRAINING}'")


def __getattr__(name: str) -> Any:
    if name == "core":
        require_torch("training")
        importlib.import_module("torch")
        module = _loaded("_core", f"training half, and the torch that it was compiled for (pip install '{TRAINING}')")
    elif name == "planner":
        module = _loaded("_planner", "planning half")
    else:
        raise AttributeError(f"module 'galvatron._binding' has no attribute '{name}'")
    globals()[name] = module
    return module


def _loaded(name: str, what: str) -> Any:
    try:
        return importlib.import_module(f"galvatron.{name}")
    except ImportError as error:
        raise ImportError(
            f"galvatron's C++ module {name} cannot be loaded ({error}). In a checkout build it by `make build-python`; "
            f"else install a package of galvatron that holds the {what}."
        ) from error

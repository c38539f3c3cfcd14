"""The C++ module. It takes torch's libraries from the process, so torch is imported first."""

from __future__ import annotations

import torch  # noqa: F401

try:
    from galvatron import _core as core
except ImportError as error:
    raise ImportError(
        f"galvatron's C++ module cannot be loaded ({error}). In a checkout build it by `make build-python`; else "
        "install the package by `pip install .` beside the torch that it runs with."
    ) from error

__all__ = ["core"]

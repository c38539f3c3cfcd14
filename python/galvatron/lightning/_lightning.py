"""Lightning under either of its names: the distribution `lightning` brings the package lightning.pytorch, and
`pytorch-lightning` brings pytorch_lightning, and a Trainer of one takes no strategy of the other."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

_TREES = ("lightning.pytorch", "pytorch_lightning")
_LEAST = (2, 6)  # 2.6.2 and 2.6.3 were withdrawn: somebody else's code was in them


def _tree() -> str:
    """The one that the program imports already, else the one that is there."""
    for name in _TREES:
        if name in sys.modules:
            return name
    for name in _TREES:
        if importlib.util.find_spec(name.split(".")[0]) is not None:
            return name
    raise ImportError("galvatron.lightning needs Lightning: pip install 'galvatron[lightning]'")


TREE = _tree()
pytorch: Any = importlib.import_module(TREE)

if tuple(map(int, pytorch.__version__.split(".")[:2])) < _LEAST:
    raise ImportError(
        f"galvatron.lightning needs Lightning 2.6.4 or later, not {pytorch.__version__}: "
        "pip install 'galvatron[lightning]'"
    )


def part(name: str) -> Any:
    """A module below the Trainer's package: part("strategies")."""
    return importlib.import_module(f"{TREE}.{name}")


def fabric(name: str) -> Any:
    """A module of Fabric, which both lie upon."""
    root = "lightning.fabric" if TREE == "lightning.pytorch" else "lightning_fabric"
    return importlib.import_module(f"{root}.{name}")

"""PyTorch Lightning on Galvatron: GalvatronStrategy for a Trainer, GalvatronModule for its model (docs/lightning.md).

Importing it registers `Trainer(strategy="galvatron")`.
"""

from __future__ import annotations

from galvatron.lightning.module import GalvatronModule, StepOutput
from galvatron.lightning.strategy import GalvatronStrategy, register

__all__ = ["GalvatronModule", "GalvatronStrategy", "StepOutput"]

register()

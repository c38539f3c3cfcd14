"""The old name of galvatron.lightning."""

from __future__ import annotations

from galvatron.lightning import GalvatronModule, GalvatronStrategy

__all__ = ["GalvatronModule", "GalvatronStrategy"]

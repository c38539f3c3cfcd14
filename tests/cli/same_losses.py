"""A plan changes speed and memory, never the losses."""

from __future__ import annotations

from single_precision import SinglePrecision


def require_same_losses(model: str, ours: list[float], one_rank: list[float], truth: list[float]) -> None:
    """A plan's in single precision, one rank's, and one rank's in double."""
    judge = SinglePrecision(model, model.removesuffix("-tiny"), "command line, plans", "one rank")
    judge.require_curve("losses", ours, [one_rank], truth)

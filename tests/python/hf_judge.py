"""Our numbers against those of transformers: to rounding in double; in single by the truth (single_precision.py).

run: what kind of run ours come from, for the table of worst ratios.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
import torch
from hf_models import CONFIGS, NUM_STEPS, Reference
from single_precision import SinglePrecision

IN_DOUBLE, CURVE_IN_DOUBLE = 1e-10, 1e-9
# Run again under the other kernels of the processor (tests/python/run_isa.py): every family, and what rounds most.
ISA_MODELS = ["gpt2", "llama", "bert", "t5-uneven", "t5-v1.1", "vit", "swin", "gpt-neox", "olmo2", "gemma2"]


def isa_cases(names: Iterable[str], *more: object) -> list[object]:
    """Parameters (name, *more); those of ISA_MODELS are marked."""
    return [pytest.param(name, *more, marks=[pytest.mark.isa] if name in ISA_MODELS else []) for name in names]


def of(reference: Reference, run: str) -> SinglePrecision:
    return SinglePrecision(reference.name, CONFIGS[reference.name].model_type, run)


def _near(ours: torch.Tensor, truth: torch.Tensor, what: str, scale: float = 0.0) -> None:
    assert ours.shape == truth.shape, what
    scale = max(truth.abs().max().item(), scale)
    assert scale > 0, f"{what} is zero: nothing is compared"
    worst = (ours - truth).abs().max().item()
    assert worst <= IN_DOUBLE * scale, f"{what} differs by {worst:.2e}, scale {scale:.2e}"


def require_logits(ours: torch.Tensor, reference: Reference, run: str) -> None:
    if reference.double:
        _near(ours, reference.truth.logits, "logits")
    else:
        of(reference, run).require("logits", ours, [n.logits for n in reference.single], reference.truth.logits)


def require_loss(ours: float, reference: Reference, run: str) -> None:
    if reference.double:
        assert ours == pytest.approx(reference.truth.loss, rel=IN_DOUBLE)
    else:
        of(reference, run).require("loss", ours, [n.loss for n in reference.single], reference.truth.loss)


def scales_of_gradients(reference: Reference) -> dict[str, float]:
    """At least 1 % of the largest: the key's bias has a gradient of exactly zero, rounding against rounding."""
    sizes = {name: gradient.abs().max().item() for name, gradient in reference.truth.gradients.items()}
    return {name: max(size, 0.01 * max(sizes.values())) for name, size in sizes.items()}


def single_gradients(name: str, reference: Reference) -> list[torch.Tensor]:
    return [numbers.gradients[name] for numbers in reference.single]


def require_gradients(ours: dict[str, torch.Tensor | None], reference: Reference, run: str) -> None:
    """None stands for a zero."""
    assert ours.keys() == reference.truth.gradients.keys() | reference.unread
    for name in reference.unread:
        assert ours[name] is None or not ours[name].any(), name
    for name, scale in scales_of_gradients(reference).items():
        what, truth = f"gradient of {name}", reference.truth.gradients[name]
        if reference.double:
            _near(ours[name], truth, what, scale)
        else:
            of(reference, run).require(what, ours[name], single_gradients(name, reference), truth, scale)


def require_trajectory(ours: Sequence[float], reference: Reference, run: str, steps: int = NUM_STEPS) -> None:
    truth = reference.true_losses
    assert truth[-1] < truth[0], "the trajectory moves"
    truth = truth[:steps]
    if reference.double:
        assert ours == pytest.approx(truth, rel=CURVE_IN_DOUBLE)
    else:
        of(reference, run).require_curve("losses", ours, [losses[:steps] for losses in reference.single_losses], truth)

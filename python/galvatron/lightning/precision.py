"""Precision is the plan's: master weights in fp32 (fp64 for fp64), compute in its own type, sharded gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from galvatron.errors import ConfigError
from galvatron.lightning._lightning import part

if TYPE_CHECKING:
    from galvatron.lightning.strategy import GalvatronStrategy

Precision: Any = part("plugins.precision").Precision

# Trainer(precision=...) and what it is here.
PRECISIONS = {"32-true": "fp32", "bf16-mixed": "bf16", "16-mixed": "fp16", "64-true": "fp64"}
DEFAULT = "32-true"


def read_precision(flag: str) -> str:
    """ConfigError for a precision of Lightning's that we do not have."""
    if flag in PRECISIONS:
        return PRECISIONS[flag]
    hint = "; master weights are fp32 here, which Lightning calls mixed" if flag in ("bf16-true", "16-true") else ""
    raise ConfigError(f"[lightning] precision='{flag}' is not one of {', '.join(PRECISIONS)}{hint}")


class GalvatronPrecision(Precision):
    """Backward, clipping and the step belong to the engine."""

    def __init__(self, strategy: GalvatronStrategy, flag: str) -> None:
        super().__init__()
        self.precision = flag
        self._strategy = strategy

    def backward(self, tensor: Any, model: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        self._strategy.run_backward(lambda: model.backward(tensor, *args, **kwargs))

    def optimizer_step(self, optimizer: Any, model: Any, closure: Callable[[], Any], **kwargs: Any) -> Any:
        def run() -> Any:
            result = closure()
            self._after_closure(model, optimizer)
            self._strategy.update(optimizer)
            return result

        # The torch optimizer finds no gradients and changes nothing; its hooks and its schedulers see a step.
        return optimizer.step(closure=run, **kwargs)

    def clip_grad_by_norm(self, optimizer: Any, clip_val: float) -> None:
        self._strategy.runner.clip_norm(float(clip_val))

    def clip_grad_by_value(self, optimizer: Any, clip_val: float) -> None:
        self._strategy.runner.clip_values(float(clip_val))

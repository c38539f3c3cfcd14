"""A torch optimizer that configure_optimizers returns, in our words.

The engine updates the weights; the torch optimizer is where hyperparameters live and schedulers work. So they are read
from its parameter groups before every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from galvatron.errors import ConfigError

KNOWN = "torch.optim.AdamW, torch.optim.Adam without weight_decay, torch.optim.SGD"


@dataclass(frozen=True)
class Decay:
    """Weight decay of matrices, and of biases, norms and other one-dimensional parameters."""

    matrices: float = 0.0
    vectors: float = 0.0


@dataclass(frozen=True)
class Translated:
    name: str
    options: Mapping[str, float]
    lr: float
    decay: Decay


def translate(optimizer: Optimizer, parameters: Mapping[str, torch.Tensor], decays: Mapping[str, bool]) -> Translated:
    """`parameters`: all that are trained, by name; `decays`: is it a matrix? ConfigError for what cannot be had."""
    kind = type(optimizer)
    if kind not in _TRANSLATIONS:
        raise ConfigError(f"[lightning] optimizer {kind.__name__} is not one of those that shard here: {KNOWN}")
    name, options_of = _TRANSLATIONS[kind]
    groups = [group for group in optimizer.param_groups if group["params"]]
    _check_complete(groups, parameters)
    options = [options_of(group) for group in groups]
    _check_alike(groups, options)
    return Translated(name, options[0], float(groups[0]["lr"]), _decay(groups, parameters, decays))


def _check_complete(groups: Iterable[Mapping[str, Any]], parameters: Mapping[str, torch.Tensor]) -> None:
    held = {id(parameter) for group in groups for parameter in group["params"]}
    missing = [name for name, parameter in parameters.items() if id(parameter) not in held]
    if missing:
        raise ConfigError(
            f"[lightning] the optimizer has {len(missing)} of {len(parameters)} parameters not, such as {missing[0]}: "
            "all of a model are trained; give it self.parameters()"
        )
    foreign = len(held) - len(parameters)
    if foreign > 0:
        raise ConfigError(
            f"[lightning] the optimizer has {foreign} parameters that are not the model's; only those of self.model "
            "are trained"
        )
    frozen = [name for name, parameter in parameters.items() if not parameter.requires_grad]
    if frozen:
        raise ConfigError(
            f"[lightning] {frozen[0]} does not require a gradient: parts of a model cannot be frozen here; all are "
            "trained"
        )


def _check_alike(groups: list[Any], options: Sequence[Mapping[str, float]]) -> None:
    for group, other in zip(groups[1:], options[1:], strict=True):
        if float(group["lr"]) != float(groups[0]["lr"]):
            raise ConfigError(
                f"[lightning] parameter groups have the learning rates {float(groups[0]['lr'])} and "
                f"{float(group['lr'])}; all have one here"
            )
        for name, value in other.items():
            if value != options[0][name]:
                raise ConfigError(
                    f"[lightning] parameter groups have {name} {options[0][name]} and {value}; groups may differ in "
                    "weight_decay alone"
                )


def _decay(groups: list[Any], parameters: Mapping[str, torch.Tensor], decays: Mapping[str, bool]) -> Decay:
    of_group = {id(parameter): float(group["weight_decay"]) for group in groups for parameter in group["params"]}
    found: dict[bool, tuple[float, str]] = {}
    for name, parameter in parameters.items():
        value = of_group[id(parameter)]
        first, of = found.setdefault(decays[name], (value, name))
        if value != first:
            what = "matrices" if decays[name] else "biases, norms and other one-dimensional parameters"
            raise ConfigError(
                f"[lightning] weight_decay {first} of {of} and {value} of {name}: all {what} have one; the others may "
                "have another"
            )
    return Decay(found.get(True, (0.0, ""))[0], found.get(False, (0.0, ""))[0])


def _refuse(group: Mapping[str, Any], kind: str, **neutral: object) -> None:
    for name, value in neutral.items():
        if group.get(name, value) != value:
            raise ConfigError(f"[lightning] {kind}({name}={group[name]!r}) is not supported; leave it away")


def _adamw(group: Mapping[str, Any]) -> dict[str, float]:
    _refuse(group, "AdamW", amsgrad=False, maximize=False)
    beta1, beta2 = group["betas"]
    return {"beta1": float(beta1), "beta2": float(beta2), "adam_eps": float(group["eps"])}


def _adam(group: Mapping[str, Any]) -> dict[str, float]:
    # AdamW(...) is an Adam with decoupled decay; without any they are the same.
    if float(group["weight_decay"]) != 0 and not group.get("decoupled_weight_decay", False):
        raise ConfigError(
            f"[lightning] Adam(weight_decay={group['weight_decay']}) adds the decay to the gradient, which is not "
            "supported: use torch.optim.AdamW"
        )
    return _adamw(group)


def _sgd(group: Mapping[str, Any]) -> dict[str, float]:
    _refuse(group, "SGD", dampening=0, nesterov=False, maximize=False)
    return {"momentum": float(group["momentum"])}


_TRANSLATIONS: dict[type, tuple[str, Callable[[Mapping[str, Any]], dict[str, float]]]] = {
    AdamW: ("adamw", _adamw),
    Adam: ("adamw", _adam),
    SGD: ("sgd", _sgd),
}

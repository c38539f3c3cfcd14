"""Options of train() and search() as C++ describes them: signatures and docstrings say them all."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable
from os import PathLike
from typing import Any, TypedDict, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_WIDTH = 118


class ModelNumbers(TypedDict, total=False):
    """Numbers of a model that are not those of its config (docs/cli.md, Models)."""

    num_layers: int
    """Transformer blocks; of T5, in each of its stacks."""
    hidden_size: int
    """Width of the residual stream; an intermediate size that the config states keeps its ratio."""
    num_heads: int
    num_kv_heads: int
    head_size: int
    intermediate_size: int
    vocab_size: int
    max_positions: int
    """Tokens of the longest sequence."""


def described(description: str) -> Callable[[Function], Function]:
    """Decorator: `**options` of the function becomes the options of the description, but those that it has itself."""
    options = json.loads(description)

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        kept = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        own = {one.name for one in kept}
        more = [
            inspect.Parameter(
                option["name"],
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(option),
                annotation=option["type"],
            )
            for option in options
            if option["name"] not in own
        ]
        function.__signature__ = signature.replace(parameters=[*kept, *more])  # type: ignore[attr-defined]
        function.__doc__ = inspect.cleandoc(function.__doc__ or "") + "\n\n" + _table(options, own)
        return function

    return decorate


def plain(value: object) -> object:
    """A keyword argument as JSON can have it."""
    return str(value) if isinstance(value, PathLike) else value


class _Unset:
    """Default of an option whose help says what stands for it."""

    def __repr__(self) -> str:
        return "..."


_UNSET = _Unset()


def _default(option: dict[str, Any]) -> object:
    text: str = option["default"]
    kind: str = option["type"]
    if text == "":
        return False if kind == "bool" else _UNSET
    if kind in ("int", "float"):
        return json.loads(text)
    if kind == "bool":
        return text == "true"
    if "list[" in kind:
        return json.loads(f"[{text}]")
    return text


def _table(options: list[dict[str, Any]], own: set[str]) -> str:
    lines = ["Options:"]
    group = ""
    for option in options:
        if option["name"] in own:
            continue
        if option["group"] != group:
            group = option["group"]
            lines += ["", f"{group}:"]
        values = f" ({option['values']})" if "|" in option["values"] else ""
        default = f" [{option['default']}]" if option["default"] else ""
        text = f"`{option['name']}`: {option['type']}{values}. {option['help']}{default}"
        lines += textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"

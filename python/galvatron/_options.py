"""Options of our functions as C++ describes them: signatures and docstrings say them all."""

from __future__ import annotations

import functools
import inspect
import json
import math
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, TypedDict, TypeVar, cast

from galvatron.errors import ConfigError

Function = TypeVar("Function", bound=Callable[..., Any])

_WIDTH = 118
# How values are written that have a unit.
_UNITS = {
    "SIZE": 'bytes, or "16GiB"',
    "SIZE|N%": '"5%" or "2GiB"',
    "SIZE,...": 'bytes, or "16GiB", or a list of them',
    "RATE": 'such as "25GB/s"',
    "AMOUNT": 'such as "1T"',
}


class ModelShape(TypedDict, total=False):
    """Numbers of a model that are not those of its config, but for its vocabulary (docs/cli.md, Models)."""

    num_layers: int
    """Transformer blocks; of T5, in each of its stacks."""
    hidden_size: int
    """Width of the residual stream; an intermediate size that the config states keeps its ratio."""
    num_heads: int
    num_kv_heads: int
    head_size: int
    intermediate_size: int
    max_positions: int
    """Tokens of the longest sequence."""


class ModelNumbers(ModelShape, total=False):
    """Numbers of a model that are not those of its config."""

    vocab_size: int


def described(*descriptions: str) -> Callable[[Function], Function]:
    """Decorator: `**options` of the function becomes the options of the descriptions, but those that it has itself.

    Others are refused with what they may have meant: another system's name for one of ours, or the nearest.
    """
    options = [option for description in descriptions for option in json.loads(description)]

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
        known = [*own, *(one.name for one in more)]

        @functools.wraps(function)
        def checked(*args: Any, **given: Any) -> Any:
            refuse_unknown(function.__name__, given, known)
            return function(*args, **given)

        checked.__signature__ = signature.replace(parameters=[*kept, *more])  # type: ignore[attr-defined]
        checked.__doc__ = inspect.cleandoc(function.__doc__ or "") + "\n\n" + _table(options, own)
        return cast(Function, checked)

    return decorate


def refuse_unknown(function: str, given: Iterable[str], known: list[str]) -> None:
    """ConfigError for a name that is not known, saying what it may have meant."""
    from galvatron._binding import planner

    for name in given:
        if name not in known:
            raise ConfigError(f"[{function}] '{name}' is unknown{planner.unknown_option_hint(name, known)}")


def to_json(value: object) -> str:
    """For the C++ side, which refuses in a sentence what it does not want."""
    return json.dumps(_plain(value))


def check_callable(function: object, name: str) -> None:
    if function is not None and not callable(function):
        raise ConfigError(f"{name} needs a function, not {function!r}")


def joined(value: object) -> object:
    """[32, 64] as "32,64", where one text holds a list."""
    if not isinstance(value, (list, tuple, range)):
        return value
    return ",".join(str(_plain(part)) for part in value)


def _plain(value: Any) -> object:
    """As JSON can have it: paths as text, NumPy's and torch's numbers as Python's, anything else by its repr()."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(part) for part in value]
    if getattr(value, "shape", None) == ():
        return _plain(value.item())
    return repr(value)


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
    if kind in ("int", "float") or (kind == "int | str" and text.isdigit()):
        return json.loads(text)
    if kind == "bool":
        return text == "true"
    if "list[" in kind:
        return json.loads(f"[{text}]")
    return text


def _table(options: list[dict[str, Any]], own: set[str]) -> str:
    groups: dict[str, list[str]] = {}
    for option in options:
        if option["name"] not in own:
            groups.setdefault(option["group"], []).extend(_lines(option))
    return (
        "\n".join(["Options:", *(line for group, lines in groups.items() for line in ("", f"{group}:", *lines))]) + "\n"
    )


def _lines(option: dict[str, Any]) -> list[str]:
    values = _UNITS.get(option["values"], option["values"] if "|" in option["values"] else "")
    text = f"`{option['name']}`: {option['type']}{values and f' ({values})'}. {option['help']}{_default_words(option)}"
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


def _default_words(option: dict[str, Any]) -> str:
    if option["default"]:
        return f" [{option['default']}]"
    if option["type"] == "bool":
        return " [False]"
    is_said = "default" in option["help"] + option["group"]
    return "" if is_said else " [none]"

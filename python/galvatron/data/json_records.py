"""JSON as people write it: an object in each line, one array of objects, or objects over several lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from galvatron.command_line import ConfigError

_CHUNK = 1 << 20  # characters
_BLANKS = " \t\r\n\ufeff\0"  # zeros are what a crash leaves where a file was still growing


def is_blank(text: str) -> bool:
    return not text.strip(_BLANKS)


def begins_like_lines(first_line: str) -> bool:
    """Is the first line that holds something a whole value, or a broken one? Else a value goes on behind it."""
    try:
        return not isinstance(json.loads(first_line.strip(_BLANKS)), list)
    except ValueError:
        line = first_line.strip(_BLANKS)
        return line.startswith("{") and line.endswith("}")
    except RecursionError:
        return True


def parse_line(text: str, place: str) -> Any:
    try:
        return json.loads(text.strip(_BLANKS))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place}, is not valid JSON: {error}") from None


def whole_records(file: IO[str], name: str) -> Iterator[tuple[int, Any]]:
    """The elements of one array, or values one after another, numbered from 1. Holds a few at a time."""
    decoder = json.JSONDecoder()
    text, at, number, ended, in_array = "", 0, 0, False, False
    while True:
        while at < len(text) and text[at] in _BLANKS + ",":
            at += 1
        if at == len(text):
            text, at = file.read(_CHUNK), 0
            if not text:
                break
            continue
        if text[at] == "[" and number == 0 and not in_array:
            in_array, at = True, at + 1
            continue
        if text[at] == "]" and in_array:
            in_array, ended, at = False, True, at + 1
            continue
        if ended:
            raise ConfigError(f"{name} goes on behind the end of its array: {text[at : at + 20]!r}")
        try:
            value, at = decoder.raw_decode(text, at)
        except RecursionError as error:
            raise ConfigError(f"{name}, record {number + 1}, is not valid JSON: {error}") from None
        except ValueError as error:
            text, at = text[at:], 0
            more = file.read(max(_CHUNK, len(text)))  # twice as much each time
            if not more:
                raise ConfigError(f"{name}, record {number + 1}, is not valid JSON: {error}") from None
            text += more
            continue
        number += 1
        yield number, value
    if in_array:
        raise ConfigError(f"{name} ends inside of its array: it is cut off; get it again")


def texts_of_field(record: Any, field: str, place: str, chosen_by: str) -> Iterator[str]:
    """Of "a.b" the field b of the field a, unless a field has a name with a dot; of lists on the way each element's."""
    if not isinstance(record, dict):
        raise ConfigError(f"{place}, is no JSON object but {type(record).__name__}; each record must be an object")
    first, dot, rest = field.partition(".")
    if field not in record and dot and first in record:
        inner = record[first]
        for one in inner if isinstance(inner, list) else [inner]:
            yield from texts_of_field(one, rest, f"{place}, field '{first}'", chosen_by)
        return
    if field not in record:
        raise ConfigError(
            f"{place}, has no field '{field}': it has {', '.join(_field_names(record))}; choose one with {chosen_by}"
        )
    value = "" if record[field] is None else record[field]
    if not isinstance(value, str):
        raise ConfigError(f"{place}: the field '{field}' is {type(value).__name__}, not text{_hint(value, field)}")
    yield value


def _field_names(record: dict[str, Any]) -> list[str]:
    """With those of objects inside, as they are to be named."""
    out = []
    for name, value in record.items():
        out += [f"{name}.{inner}" for inner in value] if isinstance(value, dict) and value else [name]
    return out


def _hint(value: Any, field: str) -> str:
    if isinstance(value, dict):
        return f"; its fields are named {', '.join(f'{field}.{inner}' for inner in list(value)[:5])}"
    if isinstance(value, list) and value and isinstance(value[0], dict) and {"role", "content"} <= value[0].keys():
        return "; chats are trained on from Python, with the tokenizer's template (docs/from_huggingface.md)"
    return ""

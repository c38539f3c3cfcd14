"""Griffe: what the Python sources do not say of an option of search() and the others, docs/options.md says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "options.md"
SECTION = re.compile(r"<!-- options of (?P<command>[a-z-]+) -->\n(?P<tables>.*?)<!-- end -->", re.DOTALL)
ROW = re.compile(r"^\| `--(?P<name>[a-z0-9-]+)[^`]*` \| (?P<help>.*?) \| (?P<default>.*?) \|$", re.MULTILINE)
NAME = re.compile(r"--([a-z][a-z0-9-]+)")
PLANNING, TRAINING = "galvatron._planning", "galvatron._training"
# Function -> its options.
FUNCTIONS = {
    f"{PLANNING}.search": f"{PLANNING}.SearchOptions",
    f"{PLANNING}.simulate": f"{PLANNING}.SimulateOptions",
    f"{PLANNING}.sweep": f"{PLANNING}.SweepOptions",
    f"{TRAINING}.train": f"{TRAINING}.TrainOptions",
}


def options_of(command: str) -> dict[str, tuple[str, str]]:
    """Python's name -> (help, default)."""
    tables = next(match["tables"] for match in SECTION.finditer(PAGE.read_text()) if match["command"] == command)
    return {python_name(row["name"]): (as_python(row["help"]), row["default"]) for row in ROW.finditer(tables)}


def python_name(option: str) -> str:
    return option.replace("-", "_")


def as_python(text: str) -> str:
    return NAME.sub(lambda match: python_name(match[1]), text).replace("\\|", "|")


def inherited(options: griffe.Class) -> list[griffe.Parameter | griffe.Attribute]:
    """Those of the bases; of some the extension before this one has made parameters of __init__ already."""
    out: list[griffe.Parameter | griffe.Attribute] = []
    for base in options.mro():
        init = base.members.get("__init__")
        out += [one for one in init.parameters if one.name != "self"] if init else base.attributes.values()
    return out


class OptionWords(griffe.Extension):
    """Comes after the extension that makes parameters of `**options: Unpack[...]`."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        if func.path not in FUNCTIONS:
            return
        known = options_of(func.name)
        for section in func.docstring.parsed:
            if section.kind is not griffe.DocstringSectionKind.parameters:
                continue
            names = {one.name for one in section.value}
            for one in inherited(func.modules_collection[FUNCTIONS[func.path]]):
                if one.name not in names:
                    words = one.docstring.value if one.docstring else ""
                    more = {"annotation": one.annotation, "description": words, "value": "..."}
                    section.value.append(griffe.DocstringParameter(one.name, **more))
            for parameter in section.value:
                help_text, default = known.get(parameter.name, ("", ""))
                parameter.description = parameter.description or help_text
                if parameter.value == "...":
                    parameter.value = default or None

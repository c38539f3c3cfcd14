#!/usr/bin/env python3
"""Write the tables of docs/options.md from what the commands say of their options.

    tools/option_tables.py build/release/bin/galvatron           rewrites the page
    tools/option_tables.py build/release/bin/galvatron --check   exit 1 where it is not up to date

A build of the planning half alone writes and checks the planning commands; the other tables stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "options.md"
SECTION = re.compile(r"(<!-- options of (?P<command>[a-z-]+) -->\n)(?P<tables>.*?)(<!-- end -->\n)", re.DOTALL)
EXIT_BAD_INPUT = 2
NO_TRAINING_HALF = "needs the training half"

Option = dict[str, Any]


def options_of(binary: str, command: str) -> list[Option] | None:
    """None: the command belongs to a half that this build does not have."""
    environment = {**os.environ, "XDG_CACHE_HOME": "~/.cache"}  # a default that is not of this machine
    asked = [binary, command, "--options-json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == EXIT_BAD_INPUT and NO_TRAINING_HALF in done.stderr:
        return None
    if done.returncode != 0:
        sys.exit(f"{binary} {command} --options-json: {done.stderr.strip()}")
    options: list[Option] = json.loads(done.stdout)
    return [option for option in options if not option["name"].endswith("--help")]


def commands_of(binary: str) -> set[str]:
    text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  ([a-z][a-z-]+) ", text.partition("Commands:")[2], re.MULTILINE))


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def row(option: Option) -> str:
    name = f"{option['name']} {option['values']}".strip()
    default = "required" if option["required"] else option["default"]
    return f"| `{cell(name)}` | {cell(option['help'])} | {cell(default)} |\n"


def tables(options: list[Option]) -> str:
    out = ""
    group = None
    for option in options:
        if option["group"] != group:
            group = option["group"]
            out += f"\n**{group}**\n\n| option | what | default |\n|---|---|---|\n"
        out += row(option)
    return out + "\n"


def page_with_tables(page: str, binary: str) -> str:
    def section(match: re.Match[str]) -> str:
        options = options_of(binary, match["command"])
        made = match["tables"] if options is None else tables(options)
        return match[1] + made + match[4]

    return SECTION.sub(section, page)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    page = PAGE.read_text()
    missing = commands_of(arguments.binary) - {match["command"] for match in SECTION.finditer(page)}
    if missing:
        print(f"{PAGE} has no section for {', '.join(sorted(missing))}: give it one as the others have")
        return 1
    made = page_with_tables(page, arguments.binary)
    if made == page:
        return 0
    if arguments.check:
        print(f"{PAGE} is not up to date: run {sys.argv[0]} {arguments.binary}")
        return 1
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What every command of ours shares: clear errors, options that name their nearest, sizes with units."""

from __future__ import annotations

import argparse
import difflib
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from galvatron.errors import ConfigError as ConfigError

EXIT_FAILURE = 1
EXIT_CONFIG = 2
EXIT_INTERRUPTED = 130

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def did_you_mean(word: str, candidates: Sequence[str]) -> str:
    """The usual ending of an "unknown name" message: ", did you mean 'x'?" or nothing."""
    near = difflib.get_close_matches(word, candidates, n=1)
    return f", did you mean '{near[0]}'?" if near else ""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations, whose errors are one line and name the nearest option."""

    def __init__(self, **options) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        for word in re.findall(r"--[\w-]+", message):
            if message.startswith("unrecognized") and word not in self._option_string_actions:
                message = f"unknown option {word}{did_you_mean(word, list(self._option_string_actions))}"
                break
        self.exit(EXIT_CONFIG, f"{self.prog}: {message} (--help shows the options)\n")


def run_command(name: str, command: Callable[[], None]) -> int:
    """Runs a command and turns its failures into an exit code and one sentence on stderr."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that clean-up runs
    try:
        command()
    except ConfigError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except KeyboardInterrupt:
        print(f"{name}: interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def data_tool() -> int:
    """`galvatron-data`, which needs more libraries than a planner does."""
    try:
        from galvatron.data.cli import main
    except ModuleNotFoundError as error:
        print(
            f"galvatron-data needs {error.name}, which is not installed: pip install 'galvatron[data]'", file=sys.stderr
        )
        return EXIT_CONFIG
    return main()


def metrics_tool() -> int:
    """`galvatron-metrics`."""
    from galvatron.metrics.cli import main

    return main()


def parse_bytes(text: str) -> int:
    """A size in bytes: "16GiB" and "16G" are binary, "80GB" decimal, a bare number is bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?B|)\s*", text, re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size; write a number with a unit, such as 512MiB or 2GB")
    number, letter, ending = match.groups()
    base = 1000 if ending.upper() == "B" and letter else 1024
    return int(float(number) * base ** _UNITS[letter.upper()])


def positive_int(text: str) -> int:
    if not re.fullmatch(r"\d+", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def bytes_text(count: float) -> str:
    """Such as "1.50 GiB": three significant digits, binary units."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    step = 0
    while abs(count) >= 1024 and step < len(units) - 1:
        count /= 1024
        step += 1
    if step == 0 or abs(count) >= 100:
        return f"{count:.0f} {units[step]}"
    return f"{count:.{1 if abs(count) >= 10 else 2}f} {units[step]}"


def count_text(count: float) -> str:
    """Such as "3,412,345" up to ten million, then "12.3 million", "4.6 billion"."""
    for unit, word, smallest in (
        (1e12, "trillion", 1e12),
        (1e9, "billion", 1e9),
        (1e6, "million", 1e7),
    ):
        if abs(count) >= smallest:
            return f"{count / unit:,.1f} {word}"
    return f"{count:,.0f}"

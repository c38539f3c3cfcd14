"""The metrics of a run as they are written: the lines of a file that grows, is cut off, or begins again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galvatron.errors import ConfigError
from galvatron.metrics.loggers import RunStart

METRICS, START, SUMMARY = "metrics.jsonl", "run.json", "summary.json"
_PAUSE = 0.2  # seconds between two looks


@dataclass(frozen=True)
class Place:
    """A run: its metrics, and the folder of its other files where there is one."""

    metrics: Path
    folder: Path | None

    @classmethod
    def of(cls, given: Path) -> Place:
        """Of a run's folder or of its metrics file. ConfigError where there is neither."""
        if given.is_dir():
            return cls(given / METRICS, given)
        if given.exists():
            return cls(given, given.parent if (given.parent / START).exists() else None)
        raise ConfigError(f"[metrics] there is no {given}: name the folder of a run (--run-dir), or its metrics file")

    def start(self) -> RunStart:
        return RunStart(_read_object(self.folder / START)) if self.folder else RunStart()

    def has_ended(self) -> bool:
        """The run has come to its end since its last step."""
        if self.folder is None or not (self.folder / SUMMARY).exists() or not self.metrics.exists():
            return False
        return (self.folder / SUMMARY).stat().st_mtime_ns >= self.metrics.stat().st_mtime_ns


@dataclass(frozen=True)
class Line:
    record: dict[str, Any]
    wall_time: float
    begins_again: bool  # its step is none that comes behind those before


def whole_lines(place: Place) -> list[Line]:
    """Of a file as it is: a last line that is cut off is left out. ConfigError for a damaged one."""
    if not place.metrics.exists():
        raise ConfigError(f"[metrics] {place.metrics.parent} holds no {place.metrics.name}; is it the folder of a run?")
    text = place.metrics.read_text(encoding="utf-8", errors="replace")
    records = [
        _parsed(line, number, place.metrics)
        for number, line in enumerate(text.splitlines(keepends=True), 1)
        if line.endswith("\n") and line.strip()
    ]
    done = place.metrics.stat().st_mtime
    times = []
    for record in reversed(records):
        times.append(done)
        done -= float(record.get("seconds") or 0)
    lines, last = [], 0
    for record, wall_time in zip(records, reversed(times), strict=True):
        lines.append(Line(record, wall_time, record["step"] <= last))
        last = record["step"]
    return lines


def follow(place: Place, ends: Callable[[], bool]) -> Iterator[Line]:
    """Lines as they come, from the first on, until the run has ended or `ends` says so."""
    file, waiting = _GrowingFile(place.metrics), b""
    told: dict[int, int] = {}  # the hash of each step's line
    last = 0
    while True:
        ending = place.has_ended() or ends()  # asked first: what is written before the end is read below
        is_another, content = file.more()
        *whole, waiting = ((b"" if is_another else waiting) + content).split(b"\n")
        for text in whole:
            if not text.strip():
                continue
            record = _parsed(text.decode(errors="replace"), None, place.metrics)
            step = record["step"]
            # A run that goes on has its file written anew, which begins with lines of before.
            if told.get(step) == hash(text):
                continue
            yield Line(record, time.time(), step <= last)
            told[step], last = hash(text), step
        if ending:
            return
        time.sleep(_PAUSE)


class _GrowingFile:
    """What is new in a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._offset = -1, 0

    def more(self) -> tuple[bool, bytes]:
        """Whether it is another file than before, and what is new in it."""
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                is_another = state.st_ino != self._inode or state.st_size < self._offset
                if is_another:
                    self._inode, self._offset = state.st_ino, 0
                file.seek(self._offset)
                content = file.read()
                self._offset += len(content)
                return is_another, content
        except FileNotFoundError:
            return False, b""


def _parsed(line: str, number: int | None, path: Path) -> dict[str, Any]:
    where = f"{path}" + (f", line {number}" if number else "")
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"[metrics] {where}, is no JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        raise ConfigError(f"[metrics] {where}, has no 'step': is it the metrics file of a run?")
    return record


def _read_object(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"[metrics] {path} is no JSON: {error}") from None
    return value if isinstance(value, dict) else {}

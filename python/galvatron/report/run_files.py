"""What a run left in its folder: metrics.jsonl, and where they are there run, plan, summary and trace.json."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galvatron.command_line import ConfigError

METRICS, START, PLAN, SUMMARY, TRACE = "metrics.jsonl", "run.json", "plan.json", "summary.json", "trace.json"
METRIC_NAMES = ("loss", "grad_norm", "lr", "tokens", "seconds", "tokens_per_second", "memory_bytes")
_LIMIT = 256 << 20  # bytes of a JSON file: a report of more would open in no browser


class Reader:
    """A JSON object whose values are asked for by type. Errors name the file and the key."""

    def __init__(self, value: Any, source: str) -> None:
        if not isinstance(value, dict):
            raise ConfigError(f"{source} must be a JSON object, not {type(value).__name__}")
        self.value: dict[str, Any] = value
        self.source = source

    def number(self, key: str) -> float | None:
        """None when absent or null: JSON has no NaN."""
        found = self.value.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise ConfigError(f"{self.source}: '{key}' must be a number, not {json.dumps(found)[:40]}")
        try:
            number = float(found)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None

    def integer(self, key: str, fallback: int) -> int:
        number = self.number(key)
        if number is not None and number != int(number):
            raise ConfigError(f"{self.source}: '{key}' must be a whole number, not {number}")
        return fallback if number is None else int(number)

    def plain(self, key: str) -> int | str:
        found = self.value[key]
        if not isinstance(found, int | str):
            raise ConfigError(f"{self.source}: '{key}' must be a number or a word, not {json.dumps(found)[:40]}")
        return found

    def text(self, key: str, fallback: str = "") -> str:
        found = self.value.get(key)
        return fallback if found is None else str(found)

    def object(self, key: str) -> Reader:
        """Empty when absent."""
        found = self.value.get(key)
        return Reader({} if found is None else found, f"{self.source}, '{key}'")

    def objects(self, key: str, called: str | None = None) -> list[Reader]:
        """Empty when absent. `called`: what errors call an entry, such as "group {} of layers"."""
        found = self.value.get(key)
        if found is not None and not isinstance(found, list):
            raise ConfigError(f"{self.source}: '{key}' must be a list, not {type(found).__name__}")
        name = called or f"'{key}'[{{}}]"
        return [Reader(item, f"{self.source}, {name.format(i)}") for i, item in enumerate(found or [])]


@dataclass(frozen=True)
class LayerRun:
    """Neighbouring layers of one strategy within one stage."""

    first: int
    count: int
    stage: int
    dp_degree: int
    strategy: tuple[tuple[str, int | str], ...]
    """Names and values of what the plan says about them; what it leaves out has its default."""

    def value(self, name: str) -> int | str | None:
        """None: the default."""
        return dict(self.strategy).get(name)


@dataclass(frozen=True)
class Plan:
    model: str
    world_size: int
    global_batch: int
    num_microbatches: int
    precision: str
    pp_degree: int
    schedule: str
    runs: tuple[LayerRun, ...]
    memory_budget_bytes: float | None
    search: dict[str, Any]


@dataclass(frozen=True)
class RankMemory:
    rank: int
    stage: int
    measured_bytes: float | None
    predicted_bytes: float | None


@dataclass(frozen=True)
class Summary:
    model: str
    device: str
    world_size: int
    ranks: tuple[RankMemory, ...]
    measured_seconds: float | None
    predicted_seconds: float | None
    why_unpredicted: str
    """Where the plan's prediction is of another training, what differs."""
    tokens_per_second: float | None
    options: dict[str, Any]


@dataclass(frozen=True)
class Event:
    name: str
    category: str
    start_ms: float
    duration_ms: float
    rank: int
    details: str


@dataclass
class Run:
    folder: Path
    steps: list[int]
    metrics: dict[str, list[float | None]]  # per name of METRIC_NAMES, one value per step
    options: dict[str, Any] = field(default_factory=dict)  # of the run
    plan: Plan | None = None
    summary: Summary | None = None
    events: list[Event] | None = None
    notes: list[str] = field(default_factory=list)  # what the reader should know about the files


def read_run(folder: Path) -> Run:
    """Raises ConfigError when there is no run in `folder` or one of its files is damaged."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    run = _read_metrics(folder)
    if (start := _read_object(folder / START)) is not None:  # all there is of a run that did not end
        run.options = start.object("options").value
    if (plan := _read_object(folder / PLAN)) is not None:
        run.plan = _parse_plan(plan)
    if (summary := _read_object(folder / SUMMARY)) is not None:
        run.summary = _parse_summary(summary)
        run.options = run.summary.options or run.options
    if (trace := _read_object(folder / TRACE)) is not None:
        run.events = _parse_trace(trace)
    return run


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _LIMIT:
            raise ConfigError(f"{path} has {path.stat().st_size} bytes, more than a report can show")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None


def _parse_json(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source} is not valid JSON: {error}") from None


def _read_object(path: Path) -> Reader | None:
    if not path.exists():
        return None
    return Reader(_parse_json(_read_text(path), str(path)), str(path))


def _read_metrics(folder: Path) -> Run:
    path = folder / METRICS
    if not path.exists():
        raise ConfigError(f"{folder} holds no {METRICS}; is it the folder of a run (galvatron train --metrics)?")
    lines = _read_text(path).splitlines(keepends=True)
    notes = []
    if lines and not lines[-1].endswith("\n") and not _is_json(lines[-1]):
        notes.append(f"The last line of {METRICS} is cut off: the run was stopped while it wrote.")
        lines.pop()
    by_step: dict[int, Reader] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            reader = Reader(_parse_json(line, f"{path}, line {number},"), f"{path}, line {number}")
            by_step[reader.integer("step", number)] = reader  # a resumed run writes some steps again
    if not by_step:
        raise ConfigError(f"{path} holds no step: the run has not finished one yet")
    steps = sorted(by_step)
    metrics = {name: [by_step[step].number(name) for step in steps] for name in METRIC_NAMES}
    return Run(folder, steps, metrics, notes=notes)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _parse_plan(reader: Reader) -> Plan:
    pipeline = reader.object("pipeline")
    pp_degree = max(1, pipeline.integer("degree", 1))
    world_size = max(1, reader.integer("world_size", 1))
    groups = reader.objects("layers", "group {} of layers")
    num_layers = sum(group.integer("count", 1) for group in groups)
    borders = _stage_borders(pipeline, num_layers, pp_degree)
    search = reader.object("search")
    return Plan(
        model=reader.text("model"),
        world_size=world_size,
        global_batch=reader.integer("global_batch", 1),
        num_microbatches=reader.integer("num_microbatches", 1),
        precision=reader.text("precision", "bf16"),
        pp_degree=pp_degree,
        schedule=pipeline.text("schedule", "1f1b"),
        runs=tuple(_layer_runs(groups, borders, world_size // pp_degree)),
        memory_budget_bytes=search.number("memory_budget_bytes"),
        search=search.value,
    )


def _stage_borders(pipeline: Reader, num_layers: int, pp_degree: int) -> list[int]:
    """First layer of each stage, and the end."""
    sizes = pipeline.value.get("layers_per_stage")
    if sizes is None:
        stages = 2 * pp_degree if pipeline.value.get("schedule") == "interleaved" else pp_degree
        return [num_layers * stage // stages for stage in range(stages + 1)]
    if not isinstance(sizes, list) or not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ConfigError(f"{pipeline.source}: 'layers_per_stage' must be a list of whole numbers")
    borders = [0]
    for size in sizes:
        borders.append(borders[-1] + size)
    if not sizes or len(sizes) % pp_degree != 0 or borders[-1] != num_layers:
        raise ConfigError(
            f"{pipeline.source}: 'layers_per_stage' {sizes} does not divide {num_layers} layers into {pp_degree} stages"
        )
    return borders


def _layer_runs(groups: list[Reader], borders: list[int], ranks_per_stage: int) -> list[LayerRun]:
    """The plan's groups, cut at stage borders."""
    runs = []
    first = stage = 0
    for group in groups:
        end = first + group.integer("count", 1)
        ways = math.prod(max(1, group.integer(f"{kind}_degree", 1)) for kind in ("tp", "ulysses", "cp"))
        strategy = tuple((name, group.plain(name)) for name in group.value if name != "count")
        while first < end:
            while stage + 2 < len(borders) and first >= borders[stage + 1]:
                stage += 1
            cut = min(end, borders[stage + 1])
            runs.append(
                LayerRun(
                    first=first,
                    count=cut - first,
                    stage=stage,
                    dp_degree=max(1, ranks_per_stage // ways),
                    strategy=strategy,
                )
            )
            first = cut
    return runs


def _parse_summary(reader: Reader) -> Summary:
    seconds = reader.object("step_seconds")
    ranks = [
        RankMemory(
            rank=entry.integer("rank", index),
            stage=entry.integer("stage", 0),
            measured_bytes=entry.number("peak_memory_bytes"),
            predicted_bytes=entry.number("predicted_memory_bytes"),
        )
        for index, entry in enumerate(reader.objects("ranks"))
    ]
    return Summary(
        model=reader.text("model"),
        device=reader.text("device"),
        world_size=reader.integer("world_size", max(1, len(ranks))),
        ranks=tuple(sorted(ranks, key=lambda rank: rank.rank)),
        measured_seconds=seconds.number("measured"),
        predicted_seconds=seconds.number("predicted"),
        why_unpredicted=reader.text("why_unpredicted"),
        tokens_per_second=reader.number("tokens_per_second"),
        options=reader.object("options").value,
    )


def _parse_trace(reader: Reader) -> list[Event]:
    """Complete events only, times from the first one on."""
    entries = [entry for entry in reader.objects("traceEvents") if entry.value.get("ph") == "X"]
    begin = min((entry.number("ts") or 0.0 for entry in entries), default=0.0)
    return [
        Event(
            name=entry.text("name"),
            category=entry.text("cat"),
            start_ms=((entry.number("ts") or 0.0) - begin) / 1000,
            duration_ms=(entry.number("dur") or 0.0) / 1000,
            rank=entry.integer("tid", 0),
            details=", ".join(f"{key} {value}" for key, value in entry.object("args").value.items()),
        )
        for entry in entries
    ]

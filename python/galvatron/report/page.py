"""The HTML page: text, tables and tiles around the figures. Everything is inlined; the page needs no network."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from html import escape
from importlib import resources

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from galvatron import __version__
from galvatron.command_line import bytes_text, count_text
from galvatron.report import figures
from galvatron.report.run_files import METRICS, PLAN, START, SUMMARY, TRACE, LayerRun, Plan, Run

_STRATEGY_COLOURS = (
    figures.BLUE,
    figures.GREEN,
    figures.RED,
    figures.PURPLE,
    figures.CYAN,
    figures.YELLOW,
    figures.GREY,
)


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    note: str = ""


class _Page:
    """Sections in order, and the figures that they refer to by name."""

    def __init__(self) -> None:
        self.sections: list[str] = []
        self.figures: dict[str, dict] = {}

    def section(self, title: str, *parts: str) -> None:
        self.sections.append(f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>")

    def figure(self, name: str, figure: go.Figure, label: str, controls: str = "") -> str:
        self.figures[name] = json.loads(figure.to_json())
        return f'{controls}<div class="figure" id="{name}" role="img" aria-label="{escape(label)}"></div>'


def render_page(run: Run) -> str:
    page = _Page()
    _add_curves(page, run)
    _add_plan(page, run)
    _add_prediction(page, run)
    _add_timeline(page, run)
    _add_details(page, run)
    resource = resources.files("galvatron.report")
    return _TEMPLATE.format(
        title=escape(f"{_model_of(run)}: {run.folder.resolve().name}"),
        style=(resource / "page.css").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        script=(resource / "page.js").read_text(encoding="utf-8"),
        header=_header(run),
        tiles="".join(_tile(tile) for tile in _tiles(run)),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in run.notes),
        sections="".join(page.sections),
        figures=_script_json(page.figures),
        version=__version__,
    )


_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{header}
<div class="tiles">{tiles}</div>
{notes}
{sections}
<footer>galvatron-report {version}</footer>
</main>
<script>{plotly}</script>
<script type="application/json" id="figures">{figures}</script>
<script>{script}</script>
</body>
</html>
"""


def _script_json(value: object) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _model_of(run: Run) -> str:
    for part in (run.summary, run.plan):
        if part is not None and part.model:
            return part.model
    return "training run"


def _header(run: Run) -> str:
    facts = []
    if run.summary is not None:
        facts.append(f"{run.summary.world_size} ranks on {run.summary.device or 'an unnamed device'}")
    elif run.plan is not None:
        facts.append(f"{run.plan.world_size} ranks")
    if run.plan is not None:
        facts += [f"{run.plan.precision}", f"batch {run.plan.global_batch} in {run.plan.num_microbatches} microbatches"]
    facts.append(f"steps {run.steps[0]} to {run.steps[-1]}")
    facts.append(str(run.folder))
    return f"<header><h1>{escape(_model_of(run))}</h1><p>{escape(' · '.join(facts))}</p></header>"


def _tiles(run: Run) -> list[Tile]:
    tiles = []
    losses = [loss for loss in run.metrics["loss"] if loss is not None]
    if losses:
        tiles.append(Tile("final loss", f"{losses[-1]:.4g}", f"from {losses[0]:.4g}"))
    speed = run.summary.tokens_per_second if run.summary else None
    if speed is None:
        speed = _typical(run.metrics["tokens_per_second"])
    if speed is not None:
        tiles.append(Tile("tokens per second", count_text(speed)))
    tiles += _step_time_tile(run) + _memory_tile(run)
    tokens = [value for value in run.metrics["tokens"] if value is not None]
    if tokens:
        tiles.append(Tile("tokens per step", count_text(tokens[-1]), f"{len(run.steps):,} steps"))
    return tiles


def _typical(values: list[float | None]) -> float | None:
    """Median without the first steps, which warm up."""
    known = [value for value in values if value is not None]
    return statistics.median(known[len(known) // 5 :]) if known else None


def _step_time_tile(run: Run) -> list[Tile]:
    measured = run.summary.measured_seconds if run.summary else None
    if measured is None:
        measured = _typical(run.metrics["seconds"])
    if measured is None:
        return []
    predicted = run.summary.predicted_seconds if run.summary else None
    return [Tile("step time", _seconds_text(measured), _comparison(measured, predicted, _seconds_text))]


def _memory_tile(run: Run) -> list[Tile]:
    if run.summary is None:
        most = max((value for value in run.metrics["memory_bytes"] if value is not None), default=None)
        return [Tile("peak memory", bytes_text(most))] if most is not None else []
    measured = [(rank.measured_bytes, rank) for rank in run.summary.ranks if rank.measured_bytes is not None]
    if not measured:
        return []
    most_bytes, fullest = max(measured, key=lambda entry: entry[0])
    note = _comparison(most_bytes, fullest.predicted_bytes, bytes_text)
    return [Tile(f"peak memory, rank {fullest.rank}", bytes_text(most_bytes), note)]


def _comparison(measured: float, predicted: float | None, text) -> str:
    if predicted is None:
        return ""
    if measured <= 0:
        return f"predicted {text(predicted)}"
    return f"predicted {text(predicted)} ({predicted / measured - 1:+.0%})"


def _seconds_text(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"


def _tile(tile: Tile) -> str:
    note = f'<div class="tile-note">{escape(tile.note)}</div>' if tile.note else ""
    label, value = escape(tile.label), escape(tile.value)
    return f'<div class="tile"><div class="tile-label">{label}</div><div class="tile-value">{value}</div>{note}</div>'


def _missing(file: str, what: str) -> str:
    return f'<p class="missing">This run has no {escape(file)}, so {escape(what)}.</p>'


def _add_curves(page: _Page, run: Run) -> None:
    controls = (
        '<div class="controls" data-figure="loss"><button data-type="linear" aria-pressed="true">linear</button>'
        '<button data-type="log" aria-pressed="false">log</button></div>'
    )
    page.section("Loss", page.figure("loss", figures.loss_figure(run), "loss by step", controls))
    small = []
    for name, title, colour in (
        ("tokens_per_second", "tokens/s", figures.GREEN),
        ("grad_norm", "gradient norm", figures.PURPLE),
        ("lr", "learning rate", figures.BLUE),
    ):
        if any(value is not None for value in run.metrics[name]):
            figure = page.figure(name, figures.metric_figure(run, name, title, colour), f"{title} by step")
            small.append(f"<div><h3>{escape(title)}</h3>{figure}</div>")
    if small:
        page.section("Course of the run", f'<div class="grid">{"".join(small)}</div>')


def _add_plan(page: _Page, run: Run) -> None:
    if run.plan is None:
        page.section("Plan", _missing(PLAN, "its plan is not shown"))
        return
    plan = run.plan
    num_stages = max((run.stage for run in plan.runs), default=0) + 1
    stages = f"{num_stages} pipeline stage{'s' if num_stages > 1 else ''}"
    if num_stages > plan.pp_degree:
        stages += f" on {plan.pp_degree} pipeline ranks"
    facts = f"{stages} ({plan.schedule}) of {plan.world_size // plan.pp_degree} ranks each"
    colours = _strategy_colours(plan)
    page.section("Plan", f'<p class="lead">{escape(facts)}</p>', _strip(plan, colours), _plan_table(plan, colours))


def _strategy_colours(plan: Plan) -> dict[tuple, str]:
    strategies = list(dict.fromkeys(run.strategy for run in plan.runs))
    return {strategy: _STRATEGY_COLOURS[i % len(_STRATEGY_COLOURS)] for i, strategy in enumerate(strategies)}


def _strip(plan: Plan, colours: dict[tuple, str]) -> str:
    """A row of boxes per stage, as wide as they have layers."""
    longest = max((sum(run.count for run in runs) for runs in _runs_by_stage(plan).values()), default=1)
    rows = []
    for stage, runs in _runs_by_stage(plan).items():
        boxes = "".join(
            f'<div class="box" style="flex:{run.count};background:{colours[run.strategy]}" '
            f'title="{escape(_layers_text(run))}: {escape(_strategy_text(run))}">{run.count}</div>'
            for run in runs
        )
        width = 100 * sum(run.count for run in runs) / longest
        rows.append(
            f'<div class="stage"><div class="stage-name">stage {stage}</div>'
            f'<div class="stage-row"><div class="boxes" style="width:{width:.4g}%">{boxes}</div></div></div>'
        )
    return f'<div class="strip">{"".join(rows)}</div>'


def _runs_by_stage(plan: Plan) -> dict[int, list[LayerRun]]:
    by_stage: dict[int, list[LayerRun]] = {}
    for run in plan.runs:
        by_stage.setdefault(run.stage, []).append(run)
    return by_stage


def _layers_text(run: LayerRun) -> str:
    last = run.first + run.count - 1
    return f"layer {run.first}" if run.count == 1 else f"layers {run.first} to {last}"


def _label(name: str) -> str:
    """ "tp" of "tp_degree", "zero stage" of "zero_stage"."""
    return name.removesuffix("_degree").replace("_", " ")


def _cell(value: int | str) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _strategy_text(run: LayerRun) -> str:
    return ", ".join([f"dp {run.dp_degree}"] + [f"{_label(name)} {_cell(value)}" for name, value in run.strategy])


def _plan_table(plan: Plan, colours: dict[tuple, str]) -> str:
    """A column for each field of a strategy that some layer has; a dash is its default."""
    names = list(dict.fromkeys(name for run in plan.runs for name, _ in run.strategy))
    head = "<th></th>" + "".join(f"<th>{escape(name)}</th>" for name in ("stage", "layers", "dp", *map(_label, names)))
    body = []
    for run in plan.runs:
        key = f'<td><span class="key" style="background:{colours[run.strategy]}"></span></td>'
        dp = f"<td{' class=quiet' if run.dp_degree == 1 else ''}>{run.dp_degree}</td>"
        body.append(
            f"<tr>{key}<td>{run.stage}</td><td>{escape(_layers_text(run).split(' ', 1)[1])}</td>{dp}"
            + "".join(map(_field_cell, map(run.value, names)))
            + "</tr>"
        )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _field_cell(value: int | str | None) -> str:
    return "<td class=quiet>-</td>" if value is None else f"<td>{escape(_cell(value))}</td>"


def _add_prediction(page: _Page, run: Run) -> None:
    title = "Predicted beside measured"
    if run.summary is None:
        page.section(title, _missing(SUMMARY, "prediction and measurement are not compared"))
        return
    parts = []
    if run.summary.why_unpredicted:
        parts.append(f'<p class="missing">No prediction: {escape(run.summary.why_unpredicted)}.</p>')
    if run.summary.measured_seconds is not None or run.summary.predicted_seconds is not None:
        figure = page.figure("step_time", figures.step_time_figure(run.summary), "step time, measured and predicted")
        parts.append(f"<h3>Step time</h3>{figure}")
    if run.summary.ranks:
        budget = run.plan.memory_budget_bytes if run.plan else None
        figure = page.figure("memory", figures.memory_figure(run.summary, budget), "peak memory per rank")
        parts.append(f"<h3>Memory per rank</h3>{figure}")
    page.section(title, *(parts or [f'<p class="missing">{SUMMARY} holds no times and no ranks.</p>']))


def _add_timeline(page: _Page, run: Run) -> None:
    title = "Timeline of one step"
    if run.events is None:
        page.section(title, _missing(TRACE, "there is no timeline"))
    elif not run.events:
        page.section(title, f'<p class="missing">{TRACE} holds no events.</p>')
    else:
        lead = (
            f"The ranks compute for {figures.busy_fraction(run.events):.0%} of the time; thin bars are communication. "
            f"Drag to move, scroll to zoom, double-click to see all."
        )
        if len(run.events) > figures.MOST_EVENTS:
            lead += f" The longest {figures.MOST_EVENTS:,} of {len(run.events):,} events are drawn."
        timeline = figures.timeline_figure(run.events, run.summary)
        figure = page.figure("timeline", timeline, "timeline of one step per rank")
        page.section(title, f'<p class="lead">{escape(lead)}</p>', figure)


def _add_details(page: _Page, run: Run) -> None:
    parts = []
    if run.options:
        rows = "".join(
            f"<tr><td>{escape(str(key))}</td><td>{escape(_value_text(value))}</td></tr>"
            for key, value in run.options.items()
        )
        parts.append(f"<details><summary>Options of the run</summary><table><tbody>{rows}</tbody></table></details>")
    if run.plan is not None and run.plan.search:
        text = escape(json.dumps(run.plan.search, indent=2))
        parts.append(f"<details><summary>What the search recorded</summary><pre>{text}</pre></details>")
    files = [name for name in (METRICS, START, PLAN, SUMMARY, TRACE) if (run.folder / name).exists()]
    parts.append(f'<p class="lead">Made from {escape(", ".join(files))} in {escape(str(run.folder))}.</p>')
    page.section("Details", *parts)


def _value_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

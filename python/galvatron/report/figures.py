"""The page's figures. Colours of text, grid and background come from the page's theme: see page.js."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from galvatron.report.run_files import Event, Run, Summary

# Paul Tol's bright scheme: told apart by colour-blind readers, visible on light and dark ground.
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = (
    "#4477AA",
    "#EE6677",
    "#228833",
    "#CCBB44",
    "#66CCEE",
    "#AA3377",
    "#9AA0A6",
)
CATEGORY_COLOURS = {"forward": BLUE, "backward": RED, "communication": YELLOW, "optimizer": GREEN}
SMOOTH_FROM = 150  # steps from which a smoothed loss is drawn too
MOST_POINTS = 4_000  # of a curve
MOST_EVENTS = 20_000  # bars that a browser draws without stuttering


def _figure(height: int, x_title: str, y_title: str = "") -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 16, "t": 12, "b": 44},
        hovermode="x unified",
        showlegend=False,
        xaxis={"title": {"text": x_title}},
        yaxis={"title": {"text": y_title}, "automargin": True, "exponentformat": "power"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        bargap=0.3,
    )
    return figure


def loss_figure(run: Run) -> go.Figure:
    loss = run.metrics["loss"]
    steps, shown = thinned(run.steps, loss)
    figure = _figure(360, "step", "loss")
    smooth = len(loss) >= SMOOTH_FROM
    figure.add_scatter(
        x=steps,
        y=shown,
        name="loss",
        line={"color": BLUE, "width": 1 if smooth else 2.5},
        opacity=0.55 if smooth else 1,
    )
    if smooth:
        steps, shown = thinned(run.steps, smoothed(loss))
        figure.add_scatter(x=steps, y=shown, name="smoothed", line={"color": BLUE, "width": 2.5})
        figure.update_layout(showlegend=True)
    return figure


def smoothed(values: list[float | None]) -> list[float | None]:
    """Mean over a window around each step, narrower towards both ends: it lags behind nothing. Gaps stay gaps."""
    sums, counts = [0.0], [0]
    for value in values:
        sums.append(sums[-1] + (value or 0.0))
        counts.append(counts[-1] + (value is not None))
    out: list[float | None] = []
    for i, value in enumerate(values):
        half = min(i, len(values) - 1 - i, max(2, len(values) // 30))
        begin, end = i - half, i + half + 1
        mean = (sums[end] - sums[begin]) / max(1, counts[end] - counts[begin])
        out.append(mean if value is not None else None)
    return out


def thinned(steps: list[int], values: list[float | None]) -> tuple[list[int], list[float | None]]:
    """At most MOST_POINTS points that look the same: of each bucket its lowest and highest, so spikes stay."""
    if len(steps) <= MOST_POINTS:
        return steps, values
    width = -(-len(steps) // (MOST_POINTS // 2))
    kept: set[int] = {0, len(steps) - 1}
    for begin in range(0, len(steps), width):
        known = [(value, begin + i) for i, value in enumerate(values[begin : begin + width]) if value is not None]
        if known:
            kept |= {extreme(known, key=lambda point: point[0])[1] for extreme in (min, max)}
    chosen = sorted(kept)
    return [steps[i] for i in chosen], [values[i] for i in chosen]


def metric_figure(run: Run, name: str, title: str, colour: str) -> go.Figure:
    figure = _figure(220, "step")
    steps, values = thinned(run.steps, run.metrics[name])
    figure.add_scatter(x=steps, y=values, name=title, line={"color": colour, "width": 2})
    return figure


def step_time_figure(summary: Summary) -> go.Figure:
    figure = _figure(190, "seconds per step")
    rows = [("measured", summary.measured_seconds, BLUE), ("predicted", summary.predicted_seconds, GREY)]
    for name, seconds, colour in rows:
        if seconds is not None:
            figure.add_bar(
                x=[seconds],
                y=[name],
                orientation="h",
                name=name,
                marker={"color": colour},
                text=[f"{seconds:.4g} s"],
                textposition="auto",
                hovertemplate="%{x:.5g} s<extra></extra>",
            )
    figure.update_layout(hovermode="closest", yaxis={"autorange": "reversed"}, xaxis={"rangemode": "tozero"})
    return figure


def memory_unit(most: float) -> tuple[float, str]:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if most >= unit:
            return float(unit), name
    return 1.0, "B"


def memory_figure(summary: Summary, budget: float | None) -> go.Figure:
    values = [v for rank in summary.ranks for v in (rank.measured_bytes, rank.predicted_bytes) if v is not None]
    unit, unit_name = memory_unit(max([*values, budget or 0], default=0))
    figure = _figure(300, "rank", f"peak memory, {unit_name}")
    ranks = [f"{rank.rank}" for rank in summary.ranks]
    for name, key, colour in (("measured", "measured_bytes", BLUE), ("predicted", "predicted_bytes", GREY)):
        heights = [getattr(rank, key) for rank in summary.ranks]
        if any(height is not None for height in heights):
            figure.add_bar(
                x=ranks,
                y=[None if height is None else height / unit for height in heights],
                name=name,
                marker={"color": colour},
                hovertemplate=f"%{{y:.4g}} {unit_name}",
            )
    if budget is not None:
        figure.add_hline(
            y=budget / unit,
            line={"color": RED, "width": 2, "dash": "dash"},
            annotation={"text": f"budget {budget / unit:.4g} {unit_name}", "font": {"color": RED}},
            annotation_position="top left",
        )
    figure.update_layout(showlegend=True, barmode="group", xaxis={"type": "category"}, yaxis={"rangemode": "tozero"})
    return figure


def timeline_figure(events: list[Event], summary: Summary | None) -> go.Figure:
    """One row per rank: what it computes above, what it sends and waits for as a thinner bar below."""
    events = sorted(events, key=lambda event: event.duration_ms, reverse=True)[:MOST_EVENTS]
    ranks = sorted({event.rank for event in events})
    row = {rank: index for index, rank in enumerate(ranks)}
    figure = _figure(110 + 52 * max(1, len(ranks)), "milliseconds")
    categories = [*CATEGORY_COLOURS, *sorted({event.category for event in events} - set(CATEGORY_COLOURS))]
    for category in categories:
        chosen = [event for event in events if event.category == category]
        if not chosen:
            continue
        below = category == "communication"
        figure.add_bar(
            orientation="h",
            name=category or "other",
            base=[event.start_ms for event in chosen],
            x=[event.duration_ms for event in chosen],
            y=[row[event.rank] + (0.32 if below else -0.1) for event in chosen],
            width=0.18 if below else 0.56,
            marker={
                "color": CATEGORY_COLOURS.get(category, GREY),
                "line": {"width": 0.5, "color": "rgba(128,128,128,.5)"},
            },
            text=[event.name for event in chosen] if not below else None,
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            constraintext="inside",
            customdata=[[_hover(event)] for event in chosen],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )
    stages = {rank.rank: rank.stage for rank in summary.ranks} if summary else {}
    labels = [f"rank {rank} · stage {stages[rank]}" if rank in stages else f"rank {rank}" for rank in ranks]
    figure.update_layout(
        hovermode="closest",
        showlegend=True,
        barmode="overlay",
        dragmode="pan",
        uniformtext={"minsize": 9, "mode": "hide"},
        yaxis={
            "tickvals": list(range(len(ranks))),
            "ticktext": labels,
            "range": [len(ranks) - 0.45, -0.5],
            "fixedrange": True,
        },
        xaxis={"rangemode": "nonnegative"},
    )
    return figure


def _hover(event: Event) -> str:
    lines = [
        f"<b>{html.escape(event.name)}</b> {html.escape(event.category)}, rank {event.rank}",
        f"{event.start_ms:.3f} to {event.start_ms + event.duration_ms:.3f} ms ({event.duration_ms:.3f} ms)",
    ]
    if event.details:
        lines.append(html.escape(event.details))
    return "<br>".join(lines)


def busy_fraction(events: list[Event]) -> float:
    """Share of all ranks' time, from the first event to the last, in which they compute."""
    end = max((event.start_ms + event.duration_ms for event in events), default=0.0)
    ranks = {event.rank for event in events}
    busy = 0.0
    for rank in ranks:
        until = 0.0
        mine = [e for e in events if e.rank == rank and e.category in ("forward", "backward", "optimizer")]
        for event in sorted(mine, key=lambda event: event.start_ms):
            stop = event.start_ms + event.duration_ms
            busy += max(0.0, stop - max(until, event.start_ms))
            until = max(until, stop)
    return busy / (end * len(ranks)) if end > 0 else 0.0

"""Parts of a page for notebooks. Everything that is written is escaped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL = "padding:.15em .7em;text-align:{};white-space:nowrap"
# What lies in a device's memory: name, keys of a stage's memory, colour.
_MEMORY_PARTS = (
    ("parameters", ("parameters_bytes",), "#3d6fb4"),
    ("optimizer", ("master_bytes", "optimizer_bytes"), "#7a5ca8"),
    ("gradients", ("gradients_bytes",), "#3f9a8f"),
    ("activations", ("activations_bytes",), "#d98a2b"),
    ("transient", ("transient_bytes",), "#c25555"),
    ("reserve", ("reserve_bytes",), "#8a8f98"),
)


def line(text: object, tag: str = "div") -> str:
    return f"<{tag}>{escape(str(text))}</{tag}>"


def table(heads: Sequence[object], rows: Sequence[Sequence[object]], left: Sequence[int] = ()) -> str:
    """`left`: columns of words; others are numbers."""

    def cells(tag: str, row: Sequence[object]) -> str:
        out = ""
        for column, text in enumerate(row):
            style = _CELL.format("left" if column in left else "right")
            out += f'<{tag} style="{style}">{escape(str(text))}</{tag}>'
        return f"<tr>{out}</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f'<table style="{_TABLE}"><thead>{cells("th", heads)}</thead><tbody>{body}</tbody></table>'


def memory_bars(stages: Sequence[Mapping[str, Any]], memory_bytes: int, text_of: Any) -> str:
    """One bar for each pipeline rank, as long as its share of `memory_bytes`, or where that is 0 of the fullest.

    `stages`: of a prediction; `text_of`: bytes in words.
    """
    ranks = {stage["pp_rank"]: stage["memory"] for stage in stages}
    whole = max(memory_bytes, *(memory["total_bytes"] for memory in ranks.values()), 1)
    rows = "".join(
        f'<tr><td style="{_CELL.format("left")}">{escape(f"pipeline rank {rank}")}</td>'
        f'<td style="width:24em">{_bar(memory, whole, text_of)}</td>'
        f'<td style="{_CELL.format("left")}">{escape(_amount(memory["total_bytes"], memory_bytes, text_of))}</td></tr>'
        for rank, memory in ranks.items()
    )
    return f'<table style="{_TABLE}">{rows}</table>{_legend()}'


def _amount(total: int, memory_bytes: int, text_of: Any) -> str:
    return text_of(total) if memory_bytes == 0 else f"{text_of(total)} of {text_of(memory_bytes)}"


def _bar(memory: Mapping[str, int], whole: int, text_of: Any) -> str:
    parts = ""
    for name, keys, color in _MEMORY_PARTS:
        size = sum(memory[key] for key in keys)
        if size > 0:
            tip = escape(f"{name}: {text_of(size)}")
            parts += f'<div title="{tip}" style="width:{100 * size / whole:.2f}%;background:{color}"></div>'
    return f'<div style="display:flex;height:1em;background:#8883">{parts}</div>'


def _legend() -> str:
    names = (f'<span style="color:{color}">&#9632;</span> {escape(name)}&ensp;' for name, _, color in _MEMORY_PARTS)
    return f'<div style="font-size:smaller">{"".join(names)}</div>'

"""Tables of plans as a user asks for them: galvatron search --frontier, galvatron sweep."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

QUESTION = ["--model", "gpt2-tiny", "--cluster", "8xA100-40G", "--global-batch", 8, "--simplicity", 0]
FILES = [word for kind in ("csv", "json", "svg", "html") for word in (f"--{kind}", f"out/table.{kind}")]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.rows += tag == "tr"


def check_files(folder: Path, num_rows: int, rows: list[dict]) -> None:
    with (folder / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) == num_rows
    for text, row in zip(table, rows, strict=True):
        assert text.keys() == row.keys()
        assert text["brief"] == row["brief"]
        assert text["step_ms"] == "" if row["step_ms"] is None else float(text["step_ms"]) == row["step_ms"]
    picture = ElementTree.parse(folder / "table.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert picture.get("role") == "img"
    tags = Tags()
    tags.feed((folder / "table.html").read_text())
    assert tags.rows == num_rows + 1


def search_at(galvatron, tmp_path: Path, memory: int) -> dict | None:
    result = galvatron("search", *QUESTION, "--memory", memory, "--output", "plan.json")
    if result.returncode == 3:
        return None
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / "plan.json").read_text())["search"]["prediction"]


def test_a_frontier_equals_searches(galvatron, tmp_path: Path):
    result = galvatron("search", *QUESTION, "--frontier", *FILES)
    assert result.returncode == 0, result.stderr
    assert "nothing fits in less than" in result.stdout
    frontier = json.loads((tmp_path / "out/table.json").read_text())
    check_files(tmp_path / "out", len(frontier["steps"]), frontier["steps"])
    assert frontier["question"]["model"] == "gpt2-tiny"
    assert frontier["num_searches"] <= 32
    first, second = frontier["steps"][:2]
    assert first["from_bytes"] == frontier["too_little_bytes"] + 1
    assert search_at(galvatron, tmp_path, frontier["too_little_bytes"]) is None
    for step in (first, second):
        found = search_at(galvatron, tmp_path, step["from_bytes"])
        assert found is not None
        assert found["step_ms"] == step["step_ms"]
        assert found["peak_memory_bytes"] == step["peak_memory_bytes"]


def test_a_frontier_over_nothing_that_fits(galvatron):
    alone = galvatron("search", *QUESTION, "--memory", "1MiB")
    result = galvatron("search", *QUESTION, "--memory", "1MiB", "--frontier")
    assert result.returncode == alone.returncode == 3
    assert alone.stdout.startswith(result.stdout)  # which shows the leanest plan too
    assert "nothing fits in 1.00 MiB: the leanest plan needs" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--csv", "a.csv"], "--csv writes the table of --frontier; a plan goes to --output"),
        (["--frontier", "--explain"], "--explain belongs to one plan"),
        (["--frontier", "--output", "a.json"], "--output belongs to one plan"),
        (["--frontier", "--time-limit", "1"], "--time-limit is of one search"),
        (["--frontier", "--budgets", "1"], "--budgets needs a whole number"),
    ],
)
def test_a_frontier_refuses_in_one_sentence(galvatron, arguments, words):
    result = galvatron("search", *QUESTION, *arguments)
    assert result.returncode == 2, result.stdout
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr


def test_a_sweep_equals_searches(galvatron, tmp_path: Path):
    sweep = [*QUESTION[:4], "--simplicity", 0, "--global-batch", "4,8", "--memory", "1MiB,3GiB"]
    result = galvatron("sweep", *sweep, *FILES)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("gpt2-tiny, 8xA100-40G, 8 ranks, ")
    rows = json.loads((tmp_path / "out/table.json").read_text())["rows"]
    check_files(tmp_path / "out", 4, rows)
    assert [(row["global_batch"], row["memory_bytes"] >> 20) for row in rows] == [(4, 1), (4, 3072), (8, 1), (8, 3072)]
    assert [row["step_ms"] is None for row in rows] == [True, False, True, False]
    found = search_at(galvatron, tmp_path, 3 << 30)
    assert found is not None
    assert rows[3]["step_ms"] == found["step_ms"]


def test_a_sweep_where_nothing_fits(galvatron, tmp_path: Path):
    result = galvatron("sweep", *QUESTION, "--memory", "1MiB", "--svg", "a.svg")
    assert result.returncode == 3, result.stderr
    assert "does not fit: " in result.stdout
    assert "nothing to draw in a.svg" in result.stdout
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cluster", "8xA100"], "--model is missing"),
        ([*QUESTION, "--memory", "4GiB:1GiB:1GiB"], "--memory needs sizes (24GiB,40GiB) or a range"),
        ([*QUESTION, "--model", "gpt2,"], "--model needs names joined by commas, not 'gpt2,'"),
        ([*QUESTION, "--model", "gpt2-tiny,gpt2-tny"], "did you mean"),
        ([*QUESTION, "--seq-length", "0"], "--seq-length needs a whole number of at least 1"),
    ],
)
def test_a_sweep_refuses_in_one_sentence(galvatron, arguments, words):
    result = galvatron("sweep", *arguments)
    assert result.returncode == 2, result.stdout
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr

"""galvatron report: a page with the run's own numbers; damaged files are one sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from conftest import SOURCE_DIR

PAGE = SOURCE_DIR / "visualizer" / "dist" / "report.html"
needs_page = pytest.mark.skipif(not PAGE.exists(), reason="needs `make page`")

PLAN = {
    "format": "galvatron-plan",
    "version": 1,
    "model": "gpt-<tiny>",
    "world_size": 8,
    "global_batch": 32,
    "num_microbatches": 4,
    "precision": "fp32",
    "pipeline": {"degree": 2, "schedule": "1f1b", "layers_per_stage": [5, 9]},
    "layers": [
        {"count": 1, "tp_degree": 4, "zero_stage": 3},
        {"count": 12, "tp_degree": 2, "recompute": "full"},
        {"ulysses_degree": 4},
    ],
    "search": {"memory_budget_bytes": 400 << 20, "gap": 0},
}
SUMMARY = {
    "model": "gpt-<tiny>",
    "device": "cpu",
    "world_size": 2,
    "ranks": [
        {"rank": 1, "stage": 1, "peak_memory_bytes": 300 << 20, "predicted_memory_bytes": 330 << 20},
        {"rank": 0, "stage": 0, "peak_memory_bytes": 200 << 20},
    ],
    "step_seconds": {"measured": 0.5, "predicted": 0.4},
    "tokens_per_second": 2048.0,
    "options": {"seq_length": 128, "data": "a & b"},
}
TRACE = {
    "traceEvents": [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": 0},
        {"ph": "X", "name": "F0", "cat": "forward", "ts": 5000, "dur": 1000, "pid": 0, "tid": 0, "args": {"layer": 3}},
        {"ph": "X", "name": "gather", "cat": "communication", "ts": 5500, "dur": 500, "pid": 0, "tid": 0},
        {"ph": "X", "name": "B0", "cat": "backward", "ts": 6000, "dur": 2000, "pid": 0, "tid": 1},
        {"ph": "X", "name": "adamw", "cat": "optimizer", "ts": 8000, "dur": 1000, "pid": 0, "tid": 0},
    ]
}


def metric(step: int, **values: object) -> dict:
    line = {"step": step, "loss": 8.0 / step, "grad_norm": 1.0, "lr": 1e-3, "tokens": 1024}
    return {**line, "seconds": 0.5, "tokens_per_second": 2048.0, "memory_bytes": 1 << 20, **values}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete run of four steps."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text("".join(json.dumps(metric(step)) + "\n" for step in range(1, 5)))
    for name, value in (("plan", PLAN), ("summary", SUMMARY), ("trace", TRACE)):
        (run / f"{name}.json").write_text(json.dumps(value))
    return run


def view_in(page: str) -> dict:
    return json.loads(
        re.search(r'<script id="galvatron-run" type="application/json">(.*?)</script>', page, re.DOTALL)[1]
    )


@needs_page
class TestPage:
    def test_the_page_is_whole_and_needs_no_network(self, folder, galvatron):
        done = galvatron("report", folder)
        assert (done.returncode, done.stderr) == (0, "")
        table, _, last = done.stdout.rstrip("\n").rpartition("\n")
        assert table.startswith("  of a step ") and last == str(folder / "report.html")
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
        assert not re.search(r'(?:src|href)="?(?:https?:)?//', page)

    def test_it_holds_the_runs_numbers(self, folder, galvatron):
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(metric(5, valid_loss=2.5)) + "\n")
        assert galvatron("report", folder, "--output", "elsewhere.html").returncode == 0
        assert not (folder / "report.html").exists()
        view = view_in((folder.parent / "elsewhere.html").read_text(encoding="utf-8"))
        assert view["metrics"]["step"] == [1, 2, 3, 4, 5]
        assert view["metrics"]["loss"] == [8.0, 4.0, 8 / 3, 2.0, 1.6]
        assert view["evaluations"] == {"step": [5], "validation_loss": [2.5]}
        assert [rank["measured"]["text"] for rank in view["memory"]["ranks"]] == ["200 MiB", "300 MiB"]
        assert view["memory"]["budget"]["text"] == "400 MiB"
        assert view["title"] == "gpt-<tiny>: run"

    def test_nothing_in_the_files_can_end_a_script(self, folder, galvatron):
        evil = "</script><script>alert(1)</script><!--"
        (folder / "plan.json").write_text(json.dumps({**PLAN, "model": evil, "search": {"note": evil}}))
        trace = {"traceEvents": [{**TRACE["traceEvents"][1], "name": evil, "cat": evil}]}
        (folder / "trace.json").write_text(json.dumps(trace))
        assert galvatron("report", folder).returncode == 0
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert evil not in page and view_in(page)["search"]["note"] == evil

    @pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
    def test_a_browser_draws_it_without_a_network(self, folder, galvatron, tmp_path):
        assert galvatron("report", folder).returncode == 0
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom"]
        page = subprocess.run(
            [*command, f"file://{folder / 'report.html'}"], capture_output=True, text=True, timeout=120, env=os.environ
        ).stdout
        shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
        assert "gpt-&lt;tiny&gt;" in shown and "500 ms" in shown and "400 MiB" in shown
        assert shown.count("<canvas") + shown.count("<svg") >= 5


class TestBadInput:
    @pytest.mark.parametrize(
        ("file", "content", "says"),
        [
            ("metrics.jsonl", None, "holds no metrics.jsonl"),
            ("metrics.jsonl", "", "holds no step"),
            ("metrics.jsonl", '{"step": 1}\nnonsense\n', "line 2, is not valid JSON"),
            ("metrics.jsonl", "[1]\n", "line 1 must be a JSON object, not list"),
            ("metrics.jsonl", '{"step": 1, "loss": "low"}\n', "'loss' must be a number, not \"low\""),
            ("metrics.jsonl", '{"step": 1.5}\n', "'step' must be a whole number"),
            ("plan.json", "{", "plan.json is not valid JSON"),
            ("plan.json", '{"layers": 3}', "plan.json is no plan of ours"),
            ("plan.json", json.dumps({**PLAN, "layers": [{"tp_consecutive": []}]}), "'tp_consecutive' must be"),
            ("summary.json", '{"ranks": [1]}', "'ranks'[0] must be a JSON object"),
            ("trace.json", '{"traceEvents": {}}', "'traceEvents' must be a list"),
            ("trace.json", "[" * 100_000, "trace.json is nested deeper than 64 levels"),
        ],
    )
    def test_damaged_files(self, file, content, says, folder, galvatron):
        if content is None:
            (folder / file).unlink()
        else:
            (folder / file).write_text(content)
        done = galvatron("report", folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("galvatron: error: ") and says in done.stderr and done.stderr.count("\n") == 1
        assert not (folder / "report.html").exists()

    def test_a_folder_that_is_not_there(self, galvatron, tmp_path):
        done = galvatron("report", tmp_path / "nowhere")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"there is no folder {tmp_path}/nowhere\n" in done.stderr

    def test_a_place_that_cannot_be_written(self, folder, galvatron):
        (folder / "page").mkdir()
        done = galvatron("report", folder, "--output", folder / "page")
        assert done.returncode == 2 and "--output" in done.stderr and "is a folder" in done.stderr


def test_a_run_is_watched_while_it_goes_on(folder, start):
    (folder / "summary.json").unlink()
    process = start("report", folder, "--watch")
    try:
        address = process.stdout.readline().strip()
        ask = urllib.request.Request(f"{address.rstrip('/')}/api/run/0")
        view = json.load(urllib.request.urlopen(ask, timeout=30))
        assert (view["state"], view["metrics"]["step"]) == ("running", [1, 2, 3, 4])
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(metric(5)) + "\n")
        assert json.load(urllib.request.urlopen(ask, timeout=30))["metrics"]["step"] == [1, 2, 3, 4, 5]
    finally:
        process.terminate()
        process.communicate(timeout=30)

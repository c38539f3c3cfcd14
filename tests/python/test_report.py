"""galvatron-report: figures hold the run's own numbers, missing files are said on the page, damaged ones refused."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from galvatron.report import cli, figures, read_run, render_page

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


@pytest.fixture
def report_tool(capsys):
    """Runs galvatron-report in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def without_plotly(page: str) -> str:
    """The page without its largest script, which is not ours."""
    return re.sub(r"<script>/\*.*?</script>", "", page, count=1, flags=re.DOTALL)


def test_a_run_that_did_not_end_has_its_title_and_options(folder, report_tool):
    (folder / "summary.json").unlink()
    (folder / "run.json").write_text(json.dumps({"format": "galvatron-run", "options": {"data": "my corpus"}}))
    assert report_tool(folder)[0] == 0
    ours = without_plotly((folder / "report.html").read_text(encoding="utf-8"))
    assert "<h1>gpt-&lt;tiny&gt;</h1>" in ours and "my corpus" in ours


class TestPage:
    def test_the_page_is_whole_and_needs_no_network(self, folder, report_tool):
        code, out, err = report_tool(folder)
        assert (code, out, err) == (0, f"{folder / 'report.html'}\n", "")
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
        assert "Plotly.react" in page and len(page) > 1_000_000  # plotly.js is in it
        ours = without_plotly(page)
        assert len(ours) < 100_000
        assert "http://" not in ours and "https://" not in ours

    def test_figures_hold_the_runs_numbers(self, folder):
        page = render_page(read_run(folder))
        drawn = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL).group(1))
        assert set(drawn) == {"loss", "tokens_per_second", "grad_norm", "lr", "step_time", "memory", "timeline"}
        assert drawn["loss"]["data"][0]["x"] == [1, 2, 3, 4]
        assert drawn["loss"]["data"][0]["y"] == [8.0, 4.0, 8 / 3, 2.0]
        measured, predicted = drawn["memory"]["data"]
        assert measured["x"] == ["0", "1"] and measured["y"] == [200, 300]
        assert predicted["y"] == [None, 330]
        assert drawn["memory"]["layout"]["shapes"][0]["y0"] == 400
        assert [bar["x"] for bar in drawn["step_time"]["data"]] == [[0.5], [0.4]]

    def test_headline_figures(self, folder):
        text = without_plotly(render_page(read_run(folder)))
        for part in ("gpt-&lt;tiny&gt;", "2 ranks on cpu", "from 8", "500 ms", "predicted 400 ms (-20%)", "300 MiB"):
            assert part in text, part
        assert "predicted 330 MiB (+10%)" in text and "2,048" in text
        assert "gpt-<tiny>" not in text

    def test_missing_files_are_said(self, folder):
        for name, sentence in (
            ("plan.json", "This run has no plan.json, so its plan is not shown."),
            ("summary.json", "This run has no summary.json, so prediction and measurement are not compared."),
            ("trace.json", "This run has no trace.json, so there is no timeline."),
        ):
            assert sentence not in render_page(read_run(folder))
            (folder / name).unlink()
            assert sentence in render_page(read_run(folder))

    def test_nothing_in_the_files_can_end_a_script(self, folder):
        evil = "</script><script>alert(1)</script>"
        (folder / "plan.json").write_text(json.dumps({**PLAN, "model": evil, "search": {"note": evil}}))
        trace = {"traceEvents": [{**TRACE["traceEvents"][1], "name": evil, "cat": evil}]}
        (folder / "trace.json").write_text(json.dumps(trace))
        page = render_page(read_run(folder))
        assert evil not in page and html.escape(evil) in page


class TestRunFiles:
    def test_layer_runs_are_cut_at_stage_borders(self, folder):
        plan = read_run(folder).plan
        assert [(run.stage, run.first, run.count) for run in plan.runs] == [(0, 0, 1), (0, 1, 4), (1, 5, 8), (1, 13, 1)]
        assert [run.dp_degree for run in plan.runs] == [1, 2, 2, 1]
        assert plan.runs[2].value("recompute") == "full" and plan.runs[3].value("ulysses_degree") == 4

    def test_every_field_of_a_strategy_is_shown(self, folder):
        groups = [{"count": 13, "tp_degree": 2, "tp_consecutive": False}, {"a_field_to_come": 5}]
        (folder / "plan.json").write_text(json.dumps({**PLAN, "layers": groups}))
        page = without_plotly(render_page(read_run(folder)))
        assert "<th>dp</th><th>tp</th><th>tp consecutive</th><th>a field to come</th>" in page
        assert "<td>2</td><td>no</td><td class=quiet>-</td>" in page and "<td>5</td></tr>" in page
        assert 'title="layer 13: dp 4, a field to come 5"' in page

    def test_stages_are_balanced_where_the_plan_does_not_say(self, folder):
        plan = {**PLAN, "pipeline": {"degree": 3}, "layers": [{"count": 7}]}
        (folder / "plan.json").write_text(json.dumps(plan))
        assert [run.count for run in read_run(folder).plan.runs] == [2, 2, 3]

    def test_a_step_that_was_run_again_counts_once(self, folder):
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(metric(4, loss=1.5)) + "\n" + json.dumps(metric(5, loss=None)) + "\n")
        run = read_run(folder)
        assert run.steps == [1, 2, 3, 4, 5]
        assert run.metrics["loss"][3:] == [1.5, None]

    def test_a_last_line_that_is_cut_off_is_said(self, folder):
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('{"step": 5, "lo')
        run = read_run(folder)
        assert run.steps == [1, 2, 3, 4]
        assert "The last line of metrics.jsonl is cut off" in render_page(run)

    def test_events_start_at_zero(self, folder):
        events = read_run(folder).events
        assert [(e.name, e.start_ms, e.duration_ms, e.rank) for e in events] == [
            ("F0", 0, 1, 0),
            ("gather", 0.5, 0.5, 0),
            ("B0", 1, 2, 1),
            ("adamw", 3, 1, 0),
        ]
        assert events[0].details == "layer 3"
        # Rank 0 computes 2 of 4 ms, rank 1 also: communication does not count.
        assert figures.busy_fraction(events) == pytest.approx(0.5)


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
            (
                "plan.json",
                '{"layers": [{"tp_consecutive": []}]}',
                "'tp_consecutive' must be a number or a word, not []",
            ),
            ("plan.json", '{"layers": 3}', "'layers' must be a list, not int"),
            (
                "plan.json",
                '{"layers": [{"count": 3}], "pipeline": {"degree": 2, "layers_per_stage": [1, 1]}}',
                "does not",
            ),
            ("summary.json", '{"ranks": [1]}', "'ranks'[0] must be a JSON object"),
            ("trace.json", '{"traceEvents": {}}', "'traceEvents' must be a list"),
            ("trace.json", "[" * 100_000, "trace.json is not valid JSON"),
        ],
    )
    def test_damaged_files(self, file, content, says, folder, report_tool):
        if content is None:
            (folder / file).unlink()
        else:
            (folder / file).write_text(content)
        code, out, err = report_tool(folder)
        assert (code, out) == (2, "")
        assert err.startswith("galvatron-report: ") and says in err and err.count("\n") == 1
        assert not (folder / "report.html").exists()

    def test_a_folder_that_is_not_there(self, report_tool, tmp_path):
        assert report_tool(tmp_path / "nowhere") == (
            2,
            "",
            f"galvatron-report: there is no folder {tmp_path}/nowhere\n",
        )

    def test_a_place_that_cannot_be_written(self, folder, report_tool):
        (folder / "page").mkdir()
        code, _, err = report_tool(folder, "--output", folder / "page")
        assert code == 2 and "is a folder" in err


class TestCurves:
    def test_smoothing_follows_without_lag(self):
        line = [float(i) for i in range(100)]
        assert figures.smoothed(line) == pytest.approx(line)
        assert figures.smoothed([1.0, None, 3.0]) == [1.0, None, 3.0]

    def test_thinning_keeps_spikes_and_ends(self):
        steps = list(range(100_000))
        values: list[float | None] = [1.0] * len(steps)
        values[54_321], values[7] = 99.0, None
        x, y = figures.thinned(steps, values)
        assert len(x) <= figures.MOST_POINTS + 2
        assert x == sorted(x) and x[0] == 0 and x[-1] == 99_999
        assert y[x.index(54_321)] == 99.0


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_draws_every_figure(folder, report_tool, tmp_path):
    assert report_tool(folder)[0] == 0
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom"]
    page = subprocess.run(
        [*command, f"file://{folder / 'report.html'}"], capture_output=True, text=True, timeout=120, env=os.environ
    ).stdout
    assert 'data-drawn="7"' in page
    assert page.count('class="main-svg"') >= 7
    assert ">F0<" in page and "budget 400 MiB" in page

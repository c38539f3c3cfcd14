"""Planning from Python: the command line's questions and answers, tables, notebooks, interrupts."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import threading
import time
from html.parser import HTMLParser

import pytest
import torch
from package_testing import TINY, galvatron_command, needs_module

import galvatron

pytestmark = needs_module

CLUSTER = "2x8xA100-40G:25GB/s"
QUESTION = {"cluster": CLUSTER, "global_batch": 64, "seq_length": 2048}
# Takes minutes: 100,000 devices and a batch of many divisors.
LONG = {"cluster": "12500x8xH100", "global_batch": 8192, "runners_up": 0}


def on_command_line(options: dict[str, object]) -> list[object]:
    return [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value)]


class Page(HTMLParser):
    """Checks that what is opened is closed; keeps the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.tags: set[str] = set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def found() -> galvatron.SearchResult:
    return galvatron.search("llama2-7b", **QUESTION, num_layers=40, tokens="1T")


@pytest.fixture(scope="module")
def frontier(found) -> galvatron.Frontier:
    return found.frontier(budgets=8)


def test_an_answer_says_what_it_answered(found, tmp_path):
    options = {**QUESTION, "num_layers": 40, "tokens": "1T", "output": tmp_path / "plan.json"}
    done = galvatron_command("search", "--model", "llama2-7b", *on_command_line(options))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(found))
    search = json.loads((tmp_path / "plan.json").read_text())["search"]
    assert found.question == search["question"]
    assert found.throughput == search["throughput"]
    assert found.certificate == search["certificate"]
    assert found.question["model"] == "llama2-7b(num_layers=40)"
    assert (found.question["world_size"], found.question["seq_length"]) == (16, 2048)
    assert 0 < found.throughput["mfu"] < 1
    assert found.throughput["device_hours"] == pytest.approx(24 * 16 * found.throughput["days"])
    assert found.prediction.fits
    explained = galvatron_command("search", "--model", "llama2-7b", *on_command_line(options), "--explain").stdout
    assert found.explain().split("certificate")[0] == explained.split("certificate")[0]


def test_other_numbers_of_a_model_are_another_model(found):
    plain = galvatron.search("llama2-7b", **QUESTION)
    assert plain.question["num_params"] < found.question["num_params"]
    assert plain.prediction.step_ms < found.prediction.step_ms
    assert galvatron.load(TINY, num_layers=3).spec.num_layers == galvatron.load(TINY).spec.num_layers + 1
    config = json.loads(galvatron.load(TINY).spec.config)
    assert galvatron.search(config, cluster="8xH100", num_layers=5, global_batch=8).plan.layers[5:]


def test_a_frontier_is_that_of_the_command_line(frontier, tmp_path):
    files = {"csv": tmp_path / "f.csv", "svg": tmp_path / "f.svg"}
    done = galvatron_command("search", "--model", "llama2-7b", "--frontier", *on_command_line(
        {**QUESTION, "num_layers": 40, "tokens": "1T", "budgets": 8, **files}))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert frontier.to_csv() == files["csv"].read_text()
    assert frontier.to_svg() == files["svg"].read_text()
    rows = list(csv.DictReader(io.StringIO(frontier.to_csv())))
    assert len(frontier) == len(frontier.rows) == len(rows) > 2
    assert [int(row["from_bytes"]) for row in rows] == [row["from_bytes"] for row in frontier.rows]
    assert frontier.details["num_searches"] <= 8
    assert "nothing fits in" in frontier.notes and "--" not in frontier.notes
    row = frontier.rows[1]
    again = galvatron.search("llama2-7b", **QUESTION, num_layers=40, memory=row["from_bytes"], simplicity=0)
    assert again.prediction.step_ms <= row["step_ms"] * (1 + 1e-9)


def test_a_sweep_is_that_of_the_command_line(tmp_path):
    lists = {"cluster": ["8xA100", "8xA100-40G"], "seq_length": [1024, 2048], "memory": ["16GiB", "30GiB"]}
    sweep = galvatron.sweep("llama2-7b", global_batch=64, **lists)
    words = {key: ",".join(map(str, value)) for key, value in lists.items()} | {"csv": tmp_path / "s.csv"}
    done = galvatron_command("sweep", "--model", "llama2-7b", "--global-batch", 64, *on_command_line(words))
    assert done.returncode == 0, done.stderr
    assert sweep.to_csv() == (tmp_path / "s.csv").read_text()
    assert len(sweep) == 8
    assert {row["cluster"] for row in sweep.rows} == set(lists["cluster"])
    assert done.stdout.startswith(f"{sweep.title}\n{sweep}")
    one = galvatron.sweep([TINY, "gpt2"], cluster="8xH100", global_batch="8:16:8", world_size=4, num_layers=3)
    assert [row["global_batch"] for row in one.rows] == [8, 16, 8, 16]


def test_simulate_takes_what_search_takes(found):
    priced = galvatron.simulate("llama2-7b", found.plan, cluster=CLUSTER, num_layers=40, tokens="1T")
    assert priced.step_ms == pytest.approx(found.prediction.step_ms, rel=1e-12)
    assert priced.throughput == found.throughput
    assert priced.question["sources"] == found.question["sources"]
    slow = galvatron.simulate(
        "llama2-7b", found.plan.to_dict(), cluster="2x8xA100-40G", num_layers=40, inter_node="2GB/s"
    )
    assert slow.step_ms > priced.step_ms
    tight = galvatron.simulate("llama2-7b", found.plan, cluster=CLUSTER, num_layers=40, memory="4GiB")
    assert priced.fits and not tight.fits


def test_a_calibration_corrects_search_and_simulate(found, tmp_path):
    origin = {"run": "run", "date": "2026-11-30", "model": "llama2-7b", "device": "A100-40G", "world_size": 16}
    calibration = {"format": "galvatron-calibration", "version": 1, "origin": {**origin, "precision": "bf16"}}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**calibration, "factors": {"forward": 2.0, "backward": 2.0}}))
    slower = galvatron.search("llama2-7b", **QUESTION, runners_up=0, calibration=path)
    assert slower.prediction.step_ms > 1.5 * galvatron.search("llama2-7b", **QUESTION, runners_up=0).prediction.step_ms
    assert "corrected by run" in str(slower.question)
    again = galvatron.simulate("llama2-7b", slower.plan, cluster=CLUSTER, calibration=path)
    assert again.step_ms == pytest.approx(slower.prediction.step_ms, rel=1e-12)
    path.write_text(json.dumps({**calibration, "origin": {**origin, "precision": "fp32"}, "factors": {}}))
    with pytest.raises(galvatron.ConfigError, match="measured in fp32, the question is of bf16"):
        galvatron.search("llama2-7b", **QUESTION, calibration=path)


def test_plans_of_galvatron2_are_read(tmp_path):
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps({
        "pp_deg": 2, "tp_sizes_enc": "2,2,1,1", "tp_consecutive_flags": "1,1,1,1", "dp_types_enc": "0,0,1,1",
        "use_sp": "0,0,0,0", "checkpoint": "1,0,0,0", "global_bsz": 16, "chunks": 4, "pp_division": "2,2",
        "pipeline_type": "pipedream_flush", "default_dp_type": "zero2", "vtp": 2, "vsp": 0, "embed_sdp": 0,
    }))  # fmt: skip
    model = {**json.loads(galvatron.load(TINY).spec.config), "n_layer": 4}
    plan = galvatron.Plan.read(theirs, model, world_size=8)
    plan.check(model, world_size=8, seq_length=64)
    assert (plan.precision, plan.global_batch, plan.pipeline.degree) == ("bf16", 16, 2)
    assert [layer.tp_degree for layer in plan.layers] == [2, 2, 2, 1, 1, 2]
    assert galvatron.Plan.read(theirs, model, world_size=8, precision="fp32").precision == "fp32"
    plan.write(tmp_path / "ours.json")
    assert galvatron.simulate(model, tmp_path / "ours.json", cluster="8xA100", seq_length=64).step_ms > 0
    with pytest.raises(galvatron.ConfigError, match=r"model is missing: .* which names none"):
        galvatron.Plan.read(theirs)


def test_what_is_wrong_with_a_plan_is_a_value():
    plan = galvatron.Plan.uniform(TINY, world_size=4, global_batch=8)
    assert plan.precision == ("bf16" if torch.cuda.is_available() else "fp32")
    assert plan.problem(TINY) is None
    plan.layers[1].zero_stage = 7
    problem = plan.problem(TINY)
    assert problem is not None and "zero_stage" in problem
    with pytest.raises(galvatron.ConfigError, match="zero_stage"):
        plan.check(TINY)
    assert "zero_stage" in repr(plan) and "zero_stage" in Page(plan._repr_html_()).words
    plan.layers[1].zero_stage = torch.nn
    assert "zero_stage" in str(plan.problem(TINY))


def test_a_plan_is_drawn():
    plan = galvatron.Plan.uniform(TINY, world_size=4, global_batch=8, pp_degree=2, num_microbatches=4)
    drawing = plan.draw()
    assert drawing == plan.draw(galvatron.load(TINY))
    assert "stage 0" in drawing and "schedule 1f1b, 4 microbatches" in drawing
    plan.global_batch = plan.num_microbatches = 200
    lines = {width: plan.draw(width=width).splitlines()[-1] for width in (60, 100)}
    assert len(lines[60]) <= 60 < len(lines[100]) <= 100
    plan.model = "somebody's"
    with pytest.raises(galvatron.ConfigError, match="somebody's"):
        plan.draw()


def test_reprs_are_one_short_line(found, frontier):
    for thing in (found, found.best, found.plan, found.prediction, frontier, galvatron.Plan.uniform(TINY)):
        text = repr(thing)
        assert "\n" not in text and len(text) < 240, text
        assert re.match(r"<\w+ ?.*>$", text), text
    assert "16 ranks" in repr(found) and "tokens/s" in repr(found) and "MFU" in repr(found)
    assert f"{len(frontier)} rows" in repr(frontier)


def test_notebooks_show_tables_and_bars(found, frontier):
    page = Page(found._repr_html_())
    for words in ("llama2-7b(num_layers=40)", "stage", "pipeline rank 0", "activations", "ZeRO-3", "tokens/s"):
        assert words in page.words
    assert page.tags <= {"div", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert "<svg" in frontier._repr_html_()
    hostile = "<script>alert('&')</script>"
    plan = galvatron.Plan.uniform(TINY, world_size=2)
    plan.model = hostile
    for thing in (plan, galvatron.FoundPlan(plan, found.prediction)):
        page = Page(thing._repr_html_())
        assert "script" not in page.tags and hostile in page.words
    plan.precision = hostile
    assert "script" not in Page(plan._repr_html_()).tags


def test_presets_and_clusters_are_listed():
    models = {model["name"]: model for model in galvatron.models()}
    assert set(models) == set(galvatron.preset_names())
    assert models["llama2-7b"]["num_params"] == 6738415616
    listed = galvatron.clusters()
    assert set(listed["clusters"]) == set(galvatron.cluster_names())
    assert listed["devices"]["A100-40G"]["num_nodes"] == 1


def test_a_long_search_tells_how_far_it_is_and_can_be_ended():
    heard: list[dict] = []

    def hear(progress: dict) -> bool:
        heard.append(progress)
        return progress["best_ms_per_sample"] is None

    result = galvatron.search("gpt-1t", **LONG, on_progress=hear)
    assert "ended_by" in result.certificate
    assert heard[-1]["best_ms_per_sample"] > 0
    assert all(line["decided"] <= line["candidates"] for line in heard)
    assert [line["seconds"] for line in heard] == sorted(line["seconds"] for line in heard)


def test_a_time_limit_ends_a_search():
    began = time.monotonic()
    with pytest.raises(galvatron.ConfigError, match="no plan was found: the search was ended by time_limit after 50"):
        galvatron.search("gpt-1t", **LONG, time_limit=0.05)
    assert time.monotonic() - began < 30
    in_time = galvatron.search(TINY, cluster="8xH100", global_batch=8, time_limit=60)
    assert in_time.certificate["gap"] == 0
    with pytest.raises(galvatron.ConfigError, match="time_limit is of one search; with frontier give budgets"):
        in_time.frontier()


def test_what_a_progress_callback_raises_ends_the_search():
    def stop(progress: dict) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        galvatron.search("gpt-1t", **LONG, on_progress=stop)


def test_an_interrupt_ends_a_long_search():
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    began = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        galvatron.search("gpt-1t", **LONG)
    assert time.monotonic() - began < 30
    timer.join()

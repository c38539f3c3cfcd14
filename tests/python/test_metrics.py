"""Figures of a run where people look: TensorBoard's own reader and W&B's own file give back what was written."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from package_testing import ROOT

import galvatron
from galvatron.metrics import RunStart, TensorBoard, WandB
from galvatron.metrics.cli import make_parser, run
from galvatron.metrics.follow import Place, whole_lines
from galvatron.metrics.loggers import FIGURES, figures_of

os.environ["WANDB_SILENT"] = "true"
QUICK = {"data": "synthetic", "seq_length": 16, "global_batch": 4, "precision": "fp32", "device": "cpu"}


def line(step: int, **more: object) -> dict:
    record = {"step": step, "loss": 1 / (step + 2), "grad_norm": 0.1 * step, "lr": 3e-4, "tokens": 64, "seconds": 0.5}
    return record | {"tokens_per_second": 128.0, "memory_bytes": 123_456_789_012 + step} | more


def write_run(folder: Path, records: list[dict], ended: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"run": "abc", "model": "tiny", "options": {"lr": 3e-4, "data": "x"}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    if ended:
        (folder / "summary.json").write_text("{}")
    return folder


def board_values(folder: Path) -> dict[str, dict[int, float]]:
    """Every scalar as TensorBoard shows it: read by its own reader, as its server asks it."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.data.provider import RunTagFilter

    multiplexer = EventMultiplexer(tensor_size_guidance={"scalars": 0}).AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    found = provider.read_scalars(
        RequestContext(), experiment_id="", plugin_name="scalars", downsample=1_000_000, run_tag_filter=RunTagFilter()
    )
    if not found:
        return {}
    [run_found] = found.values()
    return {tag: {datum.step: datum.value for datum in data} for tag, data in run_found.items()}


def wandb_rows(folder: Path) -> tuple[list[dict], dict]:
    """The history and the configuration of the offline file, which W&B's process writes to its end a moment later."""
    deadline = time.monotonic() + 60
    while True:
        rows, config, has_ended = wandb_records(folder)
        if has_ended:
            return rows, config
        assert time.monotonic() < deadline
        time.sleep(0.2)


def wandb_records(folder: Path) -> tuple[list[dict], dict, bool]:
    """By W&B's own reader."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    [path] = folder.glob("wandb/offline-run-*/run-*.wandb")
    store = DataStore()
    store.open_for_scan(str(path))
    rows: list[dict] = []
    config: dict = {}
    has_ended = False
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            rows.append({i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in record.history.item})
        if record.HasField("run"):
            config |= {update.key: json.loads(update.value_json) for update in record.run.config.update}
        has_ended = has_ended or record.HasField("exit")
    return rows, config, has_ended


def expected(records: list[dict]) -> dict[str, dict[int, float]]:
    out: dict[str, dict[int, float]] = {}
    for record in records:
        for name, value in figures_of(record).items():
            out.setdefault(name, {})[record["step"]] = value
    return out


def same(found: dict[str, dict[int, float]], wanted: dict[str, dict[int, float]]) -> bool:
    def as_text(values):
        return {name: {step: repr(float(value)) for step, value in of.items()} for name, of in values.items()}

    return as_text(found) == as_text(wanted)


def test_every_metric_of_the_stream_has_a_place_in_loggers(tmp_path: Path):
    heard: list[dict] = []
    galvatron.train("gpt2-tiny", **QUICK, steps=2, eval_interval=2, eval_batches=1, csv=tmp_path / "m.csv",
                    on_step=heard.append)  # fmt: skip
    columns = (tmp_path / "m.csv").read_text().splitlines()[0].split(",")
    assert set(columns) - {"step", "samples"} == set(FIGURES)
    assert heard[-1].valid_perplexity == pytest.approx(math.exp(heard[-1].valid_loss))


def test_the_table_holds_what_the_lines_hold(tmp_path: Path):
    import csv

    galvatron.train("vit-tiny", data="synthetic", global_batch=4, precision="fp32", device="cpu", steps=3,
                    eval_interval=2, eval_batches=1, csv=tmp_path / "m.csv", metrics=tmp_path / "m.jsonl")  # fmt: skip
    lines = [json.loads(text) for text in (tmp_path / "m.jsonl").read_text().splitlines()]
    with (tmp_path / "m.csv").open() as file:
        rows = [{key: json.loads(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]
    assert rows == lines
    assert lines[0]["images_per_second"] == pytest.approx(4 / lines[0]["seconds"])


def test_tensorboard_reads_back_every_value(tmp_path: Path):
    records = [line(step) for step in range(1, 30)]
    records[3] |= {"valid_loss": 2.5, "valid_perplexity": 12.182493960703473, "valid_accuracy": 1 / 3}
    records[5] |= {"loss": None, "skipped": True, "samples": [8, 16]}
    place = write_run(tmp_path / "run", records)
    run(make_parser().parse_args(["tensorboard", str(place), "--quiet"]))
    found = board_values(place / "tensorboard")
    assert same(found, expected(records))
    assert math.isnan(found["train/loss"][6])
    # Once more: TensorBoard shows each step once.
    run(make_parser().parse_args(["tensorboard", str(place), "--quiet"]))
    assert same(board_values(place / "tensorboard"), expected(records))


def test_times_are_those_of_the_run(tmp_path: Path):
    place = write_run(tmp_path / "run", [line(step) for step in range(1, 5)])
    os.utime(place / "metrics.jsonl", (1_700_000_000, 1_700_000_000))
    assert [one.wall_time for one in whole_lines(Place.of(place))] == [1_700_000_000 - 0.5 * i for i in (3, 2, 1, 0)]


def test_wandb_offline_reads_back_every_value(tmp_path: Path):
    records = [line(step) for step in range(1, 12)]
    records[4]["valid_accuracy"] = 1 / 3
    place = write_run(tmp_path / "run", records)
    output = tmp_path / "out"
    run(make_parser().parse_args(["wandb", str(place), "--offline", "--output", str(output), "--quiet"]))
    rows, config = wandb_rows(output)
    own = {"_step", "_runtime", "_timestamp"}
    found = {name: {} for name in expected(records)}
    for row in rows:
        for name in set(row) - own - {"step"}:
            found[name][row["step"]] = row[name]
    assert same(found, expected(records))
    assert [row["step"] for row in rows] == list(range(1, 12))
    assert (config["model"], config["lr"], config["data"]) == ("tiny", 3e-4, "x")


def test_training_tells_its_loggers(tmp_path: Path):
    heard: list[dict] = []
    summary = galvatron.train(
        "gpt2-tiny", **QUICK, steps=4, on_step=heard.append,
        loggers=[TensorBoard(tmp_path / "board"), WandB("p", mode="offline", folder=tmp_path)],
    )  # fmt: skip
    assert summary.losses == [record["loss"] for record in heard]
    assert same(board_values(tmp_path / "board"), expected([dict(record) for record in heard]))
    rows, config = wandb_rows(tmp_path)
    assert [row["train/loss"] for row in rows] == summary.losses
    assert config["model"] == "gpt2-tiny"
    assert config["seq_length"] == 16


class Failing:
    def __init__(self, where: str) -> None:
        self.where = where
        self.heard: list[str] = []

    def start(self, run: RunStart) -> None:
        self._hear("start")

    def log(self, record, wall_time=None) -> None:
        self._hear("log")

    def finish(self) -> None:
        self._hear("finish")

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        if what == self.where:
            raise OSError("the disk is full")


@pytest.mark.parametrize(
    ("where", "heard"),
    [("start", ["start"]), ("log", ["start", "log"]), ("finish", ["start", "log", "log", "log", "finish"])],
)
def test_a_logger_that_fails_is_named_and_training_goes_on(where, heard, capsys):
    logger = Failing(where)
    assert len(galvatron.train("gpt2-tiny", **QUICK, steps=3, loggers=[logger]).losses) == 3
    assert logger.heard == heard
    assert "Failing failed: the disk is full; it hears no more" in capsys.readouterr().err


def test_what_is_no_logger_is_refused():
    for wrong in (["tensorboard"], "tensorboard", [TensorBoard], [print]):
        with pytest.raises(
            galvatron.ConfigError, match=r"loggers needs objects with start\(\), log\(\) and finish\(\)"
        ):
            galvatron.train("gpt2-tiny", **QUICK, steps=1, loggers=wrong)


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(galvatron.ConfigError, match="need wandb, which is not installed: pip install"):
        WandB()


# --- following ---


def started(place: Path, *arguments: str, **more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "galvatron.metrics", "tensorboard", str(place), "--follow", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")}, text=True, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def wait_for(folder: Path, steps: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not folder.exists() or max(board_values(folder).get("train/loss", {0: 0})) < steps:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.2)


def test_following_a_run_that_goes_back_and_on(tmp_path: Path):
    """A checkpoint is gone back to: the file is written anew, and steps that are done again replace what was shown."""
    records = [line(step) for step in range(1, 6)]
    place = write_run(tmp_path / "run", records, ended=False)
    process = started(place)
    wait_for(place / "tensorboard", 5, process)
    again = [*records[:3], *(line(step, loss=7.0 + step) for step in range(4, 9))]
    beside = place / "metrics.tmp"
    beside.write_text("".join(json.dumps(record) + "\n" for record in again))
    beside.rename(place / "metrics.jsonl")
    with (place / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line(9))[:20])
        file.flush()
        time.sleep(0.5)
        file.write(json.dumps(line(9))[20:] + "\n")
    (place / "summary.json").write_text("{}")
    assert process.wait(timeout=60) == 0, process.communicate()
    assert same(board_values(place / "tensorboard"), expected([*again, line(9)]))


def test_following_ends_with_its_input(tmp_path: Path):
    records = [line(step) for step in range(1, 4)]
    place = write_run(tmp_path / "run", records, ended=False)
    process = started(place, "--until-input-ends", "--quiet", stdin=subprocess.PIPE)
    wait_for(place / "tensorboard", 3, process)
    with (place / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line(4)) + "\n")
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert same(board_values(place / "tensorboard"), expected([*records, line(4)]))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "holds no metrics.jsonl; is it the folder of a run?"),
        ("", "holds no step yet: wait for one, or --follow the run"),
        ("{}\n", "line 1, has no 'step': is it the metrics file of a run?"),
        ('{"step": 1}\n{"st\n', "line 2, is no JSON"),
    ],
)
def test_what_is_no_run_is_one_sentence(content, sentence, tmp_path: Path):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(galvatron.ConfigError) as caught:
        run(make_parser().parse_args(["tensorboard", str(tmp_path)]))
    assert sentence in str(caught.value)
    with pytest.raises(galvatron.ConfigError, match="name the folder of a run"):
        run(make_parser().parse_args(["wandb", str(tmp_path / "nowhere")]))

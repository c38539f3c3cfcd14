"""What a run tells of its steps: tables, traces, Prometheus, whole evaluations; and models that fit their data."""

from __future__ import annotations

import csv
import json
import math
import re
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from conftest import SOURCE_DIR, read_metrics, refusal, wait_for_steps, write_tokens
from prometheus_client.parser import text_string_to_metric_families
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

SMALL = ["--model", "gpt2-tiny", "--seq-length", 32, "--lr", 3e-3, "--precision", "fp32"]


@pytest.fixture
def train(galvatron, corpus):
    def run(*arguments: object, precision: str = "fp32", **extra: str):
        result = galvatron("train", *SMALL, "--precision", precision, "--data", corpus, *arguments, **extra)
        assert result.returncode == 0, result.stderr
        return result

    return run


def rows_of(path: Path) -> list[dict]:
    with path.open() as file:
        return [{key: json.loads(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def test_a_table_goes_on_where_its_run_does(train, galvatron, corpus, tmp_path: Path):
    saving = ["--steps", 6, "--save", "save", "--save-interval", 3, "--metrics", "m.jsonl", "--csv", "m.csv"]
    train(*saving, "--nproc", 2, "--zero-stage", 3, "--eval-interval", 2)
    assert rows_of(tmp_path / "m.csv") == read_metrics(tmp_path / "m.jsonl")
    assert [row["step"] for row in rows_of(tmp_path / "m.csv")] == [1, 2, 3, 4, 5, 6]
    again = [*saving, "--resume", "save/step-000003", "--eval-interval", 2]
    train(*again)
    assert rows_of(tmp_path / "m.csv") == read_metrics(tmp_path / "m.jsonl")
    assert len(rows_of(tmp_path / "m.csv")) == 6
    other = galvatron("train", *SMALL, "--data", corpus, "--steps", 2, "--csv", "m.csv")
    assert "--csv m.csv holds another run; go on with it (--resume)" in refusal(other)


def steps_of(trace: Path) -> dict[int, set[int]]:
    """Ranks that were traced, by step."""
    found: dict[int, set[int]] = {}
    for event in json.loads(trace.read_text())["traceEvents"]:
        if event["ph"] == "X":
            found.setdefault(event["args"]["step"], set()).add(event["tid"])
    return found


def test_chosen_steps_are_traced(train, galvatron, tmp_path: Path):
    pipeline = ["--nproc", 2, "--pp-degree", 2, "--num-microbatches", 2, "--steps", 8, "--run-dir"]
    train(*pipeline, "run", "--trace", "steps=2..3,5")
    assert steps_of(tmp_path / "run" / "trace.json") == {2: {0, 1}, 3: {0, 1}, 5: {0, 1}}
    train(*pipeline, "other", "--trace", "t.json", "--trace-steps", "8")
    assert steps_of(tmp_path / "t.json") == {8: {0, 1}}
    train(*pipeline, "last")
    assert steps_of(tmp_path / "last" / "trace.json") == {8: {0, 1}}
    assert galvatron("report", "run").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--trace", "steps=5..2"], "--trace steps= needs steps from 1 on, such as 10..12,20, not '5..2'"),
        (["--trace-steps", "0"], "--trace-steps needs steps from 1 on, such as 10..12,20, not '0'"),
        (["--trace", "steps=9", "--run-dir", "run"], "--trace-steps 9, but the run has 4 steps; name steps up to that"),
        (["--trace-steps", "2"], "--trace-steps 2 has no place for the trace: give --run-dir, or --trace FILE"),
        (["--trace-steps", "1..5000"], "--trace-steps names more than 1000 steps"),
        (["--eval-batches", "some"], "--eval-batches needs a whole number of at least 0, not 'some'"),
        (["--metrics-port", "70000"], "--metrics-port needs a whole number from 0 to 65535, not '70000'"),
        (["--csv", "/proc/none/m.csv"], "--csv"),
        (["--num-classes", "auto"], "m.labels.npy"),
        (["--num-classes", "5"], "--num-classes 5, but model 'gpt2-tiny' learns tokens, not classes; leave it away"),
        (["--vocab-size", "all"], "--vocab-size needs a whole number from 1 to"),
    ],
)
def test_nonsense_is_one_sentence(arguments, sentence, galvatron, corpus):
    result = galvatron("train", *SMALL, "--data", corpus, "--steps", 4, *arguments)
    assert sentence.replace("m.labels.npy", f"{corpus}.labels.npy") in refusal(result)
    assert result.stderr.count("\n") == 1


# --- TensorBoard ---


def test_tensorboard_hears_of_a_run(train, tmp_path: Path):
    """From every rank's command line one follower; a test at the end is told, too."""
    python = {"GALVATRON_PYTHON": sys.executable, "PYTHONPATH": str(SOURCE_DIR / "python")}
    train("--steps", 3, "--nproc", 2, "--test", "--run-dir", "run", "--tensorboard", "board", **python)
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert len(list((tmp_path / "board").iterdir())) == 1
    events = EventAccumulator(str(tmp_path / "board"), {"tensors": 0}).Reload()
    told = {event.step: make_ndarray(event.tensor_proto).item() for event in events.Tensors("train/loss")}
    assert told == {line["step"]: line["loss"] for line in lines}
    [last] = events.Tensors("test/accuracy")
    assert make_ndarray(last.tensor_proto).item() == lines[-1]["test_accuracy"]


def test_training_goes_on_where_its_follower_fails(train):
    said = train("--steps", 3, "--run-dir", "run", "--wandb", "p", GALVATRON_PYTHON="/bin/false").stderr
    assert "Weights & Biases hears no more of this run: galvatron-metrics ended (exit code 1)" in said


# --- Prometheus ---


def figures(address: str) -> dict[str, float]:
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("gauge", "counter"), family
        for sample in family.samples:
            found[sample.name] = sample.value
            if sample.name == "galvatron_run_info":
                found |= {f"label {key}": value for key, value in sample.labels.items()}
    return found


def test_prometheus_reads_a_run_while_it_trains(start, corpus, tmp_path: Path):
    job = start("train", *SMALL, "--data", corpus, "--nproc", 2, "--zero-stage", 2, "--steps", 100_000,
                "--metrics", "m.jsonl", "--metrics-port", 0, "--eval-interval", 3, "--eval-batches", 1)  # fmt: skip
    try:
        wait_for_steps(tmp_path / "m.jsonl", 4, job)
        said = ""
        while "figures for Prometheus are at" not in said:
            said = job.stderr.readline()
        address = re.search(r"http://127.0.0.1:\d+/metrics", said).group()
        found = figures(address)
        lines = {line["step"]: line for line in read_metrics(tmp_path / "m.jsonl")}
        line = lines[int(found["galvatron_step"])]
        for name in ("loss", "grad_norm", "lr", "tokens_per_second", "memory_bytes"):
            assert found[f"galvatron_{name}"] == line[name], name
        assert (found["galvatron_step_tokens"], found["galvatron_step_seconds"]) == (line["tokens"], line["seconds"])
        evaluated = max(step for step, of in lines.items() if "valid_loss" in of and step <= line["step"])
        assert found["galvatron_valid_accuracy"] == lines[evaluated]["valid_accuracy"]
        assert found["galvatron_valid_perplexity"] == pytest.approx(math.exp(found["galvatron_valid_loss"]))
        assert found["galvatron_steps_total"] == line["step"]
        assert found["galvatron_tokens_total"] == line["step"] * 8 * 32
        assert found["galvatron_target_steps"] == 100_000
        assert (found["label model"], found["label world_size"]) == ("gpt2-tiny", "2")
        time.sleep(0.3)
        assert figures(address)["galvatron_steps_total"] > found["galvatron_steps_total"]
        refuses_what_it_should(address)
        does_not_wait_for_who_reads_nothing(address, tmp_path / "m.jsonl", job)
    finally:
        job.terminate()
        job.communicate(timeout=60)


def refuses_what_it_should(address: str) -> None:
    for request, status in (
        (urllib.request.Request(address.replace("/metrics", "/")), 404),
        (urllib.request.Request(address, method="DELETE"), 405),
        (urllib.request.Request(address, headers={"Host": "evil.example:80"}), 403),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert caught.value.code == status
        assert caught.value.read().count(b"\n") == 1
    with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=10) as answer:
        assert answer.read() == b""


def does_not_wait_for_who_reads_nothing(address: str, metrics: Path, job) -> None:
    port = int(address.split(":")[2].split("/")[0])
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for one in sockets[:10]:
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)  # and never the rest
    wait_for_steps(metrics, metrics.read_text().count("\n") + 20, job)
    for one in sockets:
        one.close()


def test_a_port_in_use_is_one_sentence_before_the_first_step(galvatron, corpus, tmp_path: Path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        for ranks in ([], ["--nproc", 2]):
            result = galvatron("train", *SMALL, "--data", corpus, "--steps", 2, "--run-dir", "run",
                               "--metrics-port", port, *ranks)  # fmt: skip
            assert refusal(result).endswith(
                f"--metrics-port {port} is in use: give another, or --metrics-port 0 for a free one"
            )
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


# --- evaluations of the whole split ---


def test_an_evaluation_takes_the_whole_split_once_under_any_plan(train, tmp_path: Path):
    """250 samples of validation in batches of 8: the last one has 2."""
    common = ["--steps", 4, "--split", "3,2", "--eval-interval", 4, "--eval-batches", "all"]
    plans = {
        "one": [],
        "three": ["--global-batch", 8, "--num-microbatches", 3],
        "tp": ["--nproc", 2, "--tp-degree", 2, "--zero-stage", 3],
        "pp": ["--nproc", 4, "--pp-degree", 2, "--num-microbatches", 4, "--ulysses-degree", 2],
    }
    found = {}
    for name, plan in plans.items():
        result = train(*common, *plan, "--metrics", f"{name}.jsonl", precision="fp64")
        found[name] = read_metrics(tmp_path / f"{name}.jsonl")[-1]
        assert "validation" in result.stdout and "perplexity" in result.stdout and "accuracy" in result.stdout
    one = found["one"]
    for other in found.values():
        assert other["valid_loss"] == pytest.approx(one["valid_loss"], rel=1e-9)
        assert other["valid_accuracy"] == pytest.approx(one["valid_accuracy"], rel=1e-12)
        assert other["valid_perplexity"] == pytest.approx(math.exp(one["valid_loss"]), rel=1e-9)
    train(*common[:-1], 9999, "--metrics", "more.jsonl", precision="fp64")
    assert read_metrics(tmp_path / "more.jsonl")[-1]["valid_loss"] == one["valid_loss"]
    train(*common[:-1], 2, "--metrics", "some.jsonl", precision="fp64")
    assert read_metrics(tmp_path / "some.jsonl")[-1]["valid_loss"] != one["valid_loss"]


def test_synthetic_data_have_no_whole(galvatron):
    result = galvatron("train", *SMALL, "--data", "synthetic", "--steps", 2, "--eval-interval", 1,
                       "--eval-batches", 0)  # fmt: skip
    assert "synthetic data have no end; say how many --eval-batches an evaluation has" in refusal(result)


# --- models that fit their data ---


def exported(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "vocabulary"),
    [
        (["--vocab-size", "auto"], 17),
        (["--vocab-size", "auto", "--vocab-multiple", 8], 24),
        (["--model", "bert-tiny", "--vocab-size", "auto"], 18),  # and one to hide others behind
        (["--model", "bert-tiny", "--vocab-size", "auto", "--mask-token", 30], 31),
        (["--model", "t5-tiny", "--vocab-size", "auto"], 17 + 2),  # sentinels of two spans
    ],
)
def test_the_vocabulary_is_that_of_the_data(arguments, vocabulary, train, tmp_path: Path):
    options = ["--steps", 2, "--save", "save", "--export", "out", "--nproc", 2, "--tp-degree", 2]
    train(*options, *arguments)
    assert exported(tmp_path / "out")["vocab_size"] == vocabulary
    # What goes on needs no word about it, and may have the same one.
    model = arguments[:2] if arguments[0] == "--model" else []
    train(*model, "--steps", 3, "--resume", "save", "--metrics", "on.jsonl")
    train(*arguments, "--steps", 3, "--resume", "save", "--metrics", "same.jsonl")
    assert read_metrics(tmp_path / "on.jsonl")[0]["loss"] == read_metrics(tmp_path / "same.jsonl")[0]["loss"]


def test_the_vocabulary_is_that_of_the_tokenizer_too(train, tmp_path: Path):
    tokens = {"model": {"type": "WordLevel", "vocab": {f"t{i}": i for i in range(40)}}}
    tokens["added_tokens"] = [{"id": 44, "content": "<end>"}]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokens))
    train("--steps", 1, "--vocab-size", "auto", "--tokenizer", "tokenizer.json", "--export", "out")
    assert exported(tmp_path / "out")["vocab_size"] == 45


def write_images(prefix: Path, labels: list[int], names: list[str] | None = None, channels: int = 1) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, size=(len(labels), channels, 8, 8), dtype=np.uint8)
    np.save(f"{prefix}.images.npy", images)
    np.save(f"{prefix}.labels.npy", np.asarray(labels, dtype=np.int64))
    if names:
        info = {"format": "galvatron-images", "version": 1, "classes": names}
        Path(f"{prefix}.images.json").write_text(json.dumps(info))


@pytest.mark.parametrize("model", ["vit-tiny", "swin-tiny"])
def test_classes_are_those_of_the_data_and_have_their_names(model, galvatron, tmp_path: Path):
    """transformers reads the exported folder: names, and pixels as the model was trained on them."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    names = ["cat", "dog", "Kuh", "鸟"]
    write_images(tmp_path / "pets", [i % 3 for i in range(64)], names)  # of the birds there is none
    result = galvatron("train", "--model", model, "--data", "pets", "--num-classes", "auto", "--precision", "fp32",
                       "--image-mean", 0.25, "--image-std", 0.125, "--steps", 3, "--nproc", 2, "--tp-degree", 2,
                       "--export", "out", "--save", "save", "--eval-interval", 3, "--split", "3,1",
                       "--eval-batches", "all", "--run-dir", "run")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "img/s" in result.stderr and "images/s" in result.stdout
    last = read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert last["images_per_second"] == pytest.approx(8 / last["seconds"])
    assert summary["images_per_second"] > 0 and summary["valid_accuracy"] == last["valid_accuracy"]
    assert galvatron("export", "save", "--output", "again").returncode == 0

    pixels = np.load(tmp_path / "pets.images.npy")[48:, 0]
    labels = np.load(tmp_path / "pets.labels.npy")[48:]
    for folder in (tmp_path / "out", tmp_path / "again"):
        read = AutoModelForImageClassification.from_pretrained(folder).eval()
        assert [read.config.id2label[i] for i in range(4)] == names
        assert read.config.label2id == {name: i for i, name in enumerate(names)}
        processor = AutoImageProcessor.from_pretrained(folder)
        values = processor([one[..., None] for one in pixels],
                           input_data_format="channels_last", return_tensors="pt")["pixel_values"]  # fmt: skip
        wanted = (torch.from_numpy(pixels[:, None]) / 255 - 0.25) / 0.125
        torch.testing.assert_close(values, wanted, rtol=1e-5, atol=1e-5)
        with torch.no_grad():
            right = read(values).logits.argmax(1).numpy() == labels
        assert right.mean() == pytest.approx(last["valid_accuracy"])


def test_another_number_of_classes_may_be_given(galvatron, tmp_path: Path):
    write_images(tmp_path / "few", [i % 3 for i in range(24)])
    common = ["train", "--model", "vit-tiny", "--data", "few", "--steps", 1, "--precision", "fp32"]
    for given, classes in (("auto", 3), (5, 5)):
        result = galvatron(*common, "--num-classes", given, "--export", f"out-{given}")
        assert result.returncode == 0, result.stderr
        config = exported(tmp_path / f"out-{given}")
        assert config["num_labels"] == classes and "id2label" not in config
    many = np.load(tmp_path / "few.labels.npy") + 20
    np.save(tmp_path / "few.labels.npy", many)
    assert "; --num-classes auto has as many as the data" in refusal(galvatron(*common))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "gpt2-tiny", "--data", "synthetic", "--vocab-size", "auto"],
         "--vocab-size auto follows the data, and synthetic data have what the model has; give a number"),
        (["--model", "vit-tiny", "--data", "synthetic", "--num-classes", "auto"],
         "--num-classes auto follows the data, and synthetic data have what the model has; give a number"),
        (["--model", "vit-tiny", "--data", "few", "--vocab-size", "auto"],
         "reads images, which have no vocabulary; --num-classes auto fits its classes to the data"),
        (["--init-from", "out", "--data", "text", "--vocab-size", "auto"],
         "makes embeddings of another size than the 17 tokens that out brings"),
    ],
)  # fmt: skip
def test_what_cannot_follow_the_data_is_one_sentence(arguments, sentence, galvatron, tmp_path: Path):
    write_images(tmp_path / "few", [i % 3 for i in range(24)])
    write_tokens(tmp_path / "text", [i % 17 for i in range(2000)])
    if "out" in arguments:
        made = galvatron("train", *SMALL, "--data", "text", "--vocab-size", "auto", "--steps", 1, "--export", "out")
        assert made.returncode == 0, made.stderr
    result = galvatron("train", *arguments, "--steps", 1)
    assert sentence in refusal(result)

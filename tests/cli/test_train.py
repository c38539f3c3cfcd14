"""galvatron train with real ranks."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
from conftest import losses, read_metrics
from same_losses import require_same_losses

SMALL = ["--model", "gpt2-tiny", "--seq-length", 32, "--shuffle", "false", "--lr", 3e-3]


@pytest.fixture
def train(galvatron, corpus):
    """Trains on the corpus; the run must succeed."""

    def run(*arguments: object, precision: str = "fp32", **extra: str):
        result = galvatron("train", *SMALL, "--precision", precision, "--data", corpus, *arguments, **extra)
        assert result.returncode == 0, result.stderr
        return result

    return run


def test_two_ranks_learn_and_leave_their_files(train, tmp_path: Path):
    result = train("--nproc", 2, "--steps", 25, "--run-dir", "run", "--zero-stage", 3, "--eval-interval", 10)
    assert "throughput" in result.stdout
    assert "training 25/25" in result.stderr  # plain lines when piped
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 26))
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    assert lines[-1]["valid_loss"] < 0.6 * lines[0]["loss"]
    expected = {"step", "loss", "grad_norm", "lr", "tokens", "seconds", "tokens_per_second", "memory_bytes"}
    assert set(lines[0]) == expected | {"data_wait_seconds"}
    assert all(0 <= line["data_wait_seconds"] < line["seconds"] for line in lines)
    assert lines[0]["tokens"] == 8 * 32
    assert lines[0]["memory_bytes"] > 1 << 20

    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["world_size"] == 2
    assert [rank["rank"] for rank in summary["ranks"]] == [0, 1]
    assert summary["loss"] == {"first": lines[0]["loss"], "last": lines[-1]["loss"], "valid": lines[-1]["valid_loss"]}
    trace = json.loads((tmp_path / "run" / "trace.json").read_text())
    assert {event["tid"] for event in trace["traceEvents"] if event["ph"] == "X"} == {0, 1}
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["world_size"] == 2


def test_a_plan_keeps_the_losses_and_a_repeat_every_bit(train, tmp_path: Path):
    train("--steps", 20, "--metrics", "one.jsonl")
    train("--steps", 20, "--metrics", "truth.jsonl", precision="fp64")
    pipeline = ["--nproc", 2, "--steps", 20, "--pp-degree", 2, "--num-microbatches", 4]
    train(*pipeline, "--metrics", "two.jsonl", "--run-dir", "run")
    train("--nproc", 2, "--steps", 20, "--plan", "run/plan.json", "--metrics", "again.jsonl")
    names = ("one.jsonl", "truth.jsonl", "two.jsonl", "again.jsonl")
    one, truth, two, again = (losses(tmp_path / name) for name in names)
    require_same_losses("gpt2-tiny", two, one, truth)
    assert again == two


def test_a_config_file_holds_options_and_the_command_line_wins(train, tmp_path: Path):
    (tmp_path / "run.toml").write_text(
        'steps = 9\n[train]\nglobal-batch = 4\nlr-schedule = "constant"\ndeterministic = true\n'
        "[profile-model]\noutput = 'model.json'\n"
    )
    train("--config", "run.toml", "--steps", 3, "--metrics", "m.jsonl")
    lines = read_metrics(tmp_path / "m.jsonl")
    assert [line["lr"] for line in lines] == [3e-3] * 3
    assert lines[0]["tokens"] == 4 * 32


def test_trains_a_model_with_other_numbers(train, tmp_path: Path):
    train("--num-layers", 1, "--hidden-size", 32, "--nproc", 2, "--steps", 2, "--run-dir", "run", "--export", "out")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["model"] == "gpt2-tiny(num_layers=1,hidden_size=32)"
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["n_layer"], config["n_embd"], config["n_head"]) == (1, 32, 4)
    options = json.loads((tmp_path / "run" / "summary.json").read_text())["options"]
    assert (options["model"], options["num_layers"], options["hidden_size"]) == ("gpt2-tiny", 1, 32)
    assert "num_heads" not in options
    train("--model", "out", "--init-from", "out", "--steps", 1)  # what came out needs no numbers beside it


def test_goes_on_from_a_checkpoint_to_the_bit(train, tmp_path: Path):
    train("--nproc", 2, "--steps", 6, "--zero-stage", 2, "--save", "save", "--save-interval", 3, "--metrics", "m.jsonl")
    assert sorted(path.name for path in (tmp_path / "save").glob("[!.]*")) == ["latest", "step-000003", "step-000006"]
    train("--nproc", 2, "--steps", 6, "--zero-stage", 2, "--resume", "save/step-000003", "--metrics", "rest.jsonl")
    assert losses(tmp_path / "rest.jsonl") == losses(tmp_path / "m.jsonl")[3:]


def test_another_optimizer_learns_saves_and_goes_on(train, galvatron, corpus, tmp_path: Path):
    sgd = ["--optimizer", "sgd", "--momentum", 0.8, "--lr", 0.3, "--steps", 6]
    train(*sgd, "--nproc", 2, "--zero-stage", 3, "--save", "save", "--save-interval", 3, "--run-dir", "run")
    expected = losses(tmp_path / "run" / "metrics.jsonl")
    assert expected[-1] < expected[0]
    options = json.loads((tmp_path / "run" / "summary.json").read_text())["options"]
    assert (options["optimizer"], options["momentum"], options["weight_decay"]) == ("sgd", 0.8, 0)
    assert "beta1" not in options
    train(*sgd, "--resume", "save/step-000003", "--metrics", "rest.jsonl")
    for precision in ("fp32", "fp64"):
        train(*sgd, "--metrics", f"{precision}.jsonl", precision=precision)
    one_rank = losses(tmp_path / "fp32.jsonl"), losses(tmp_path / "fp64.jsonl")
    require_same_losses("gpt2-tiny", expected[:3] + losses(tmp_path / "rest.jsonl"), *one_rank)
    refused = galvatron("train", *SMALL, "--data", corpus, "--steps", 6, "--resume", "save/step-000003")
    assert refused.returncode == 2
    assert "was trained with optimizer sgd, whose states adamw cannot go on from" in refused.stderr


def test_interleaved_stages_keep_the_losses_and_share_checkpoints(train, tmp_path: Path):
    train("--steps", 8, "--metrics", "one.jsonl")
    train("--steps", 8, "--metrics", "truth.jsonl", precision="fp64")
    pipeline = ["--nproc", 2, "--steps", 8, "--pp-degree", 2, "--num-microbatches", 4, "--zero-stage", 2]
    interleaved = [*pipeline, "--schedule", "interleaved"]
    result = train(*interleaved, "--metrics", "two.jsonl", "--run-dir", "run", "--save", "save", "--save-interval", 4)
    assert "4 stages on 2 pipeline ranks, interleaved" in result.stdout
    expected = losses(tmp_path / "one.jsonl"), losses(tmp_path / "truth.jsonl")
    two = losses(tmp_path / "two.jsonl")
    require_same_losses("gpt2-tiny", two, *expected)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert [rank["stages"] for rank in summary["ranks"]] == [[0, 2], [1, 3]]
    trace = json.loads((tmp_path / "run" / "trace.json").read_text())
    assert {"F3.1", "B0"} < {event["name"] for event in trace["traceEvents"]}

    # On under 1F1B, and from there interleaved again, with stages of one's own choice.
    train(*pipeline, "--resume", "save/step-000004", "--metrics", "1f1b.jsonl", "--save", "1f1b", "--save-interval", 2)
    resumed = two[:4] + losses(tmp_path / "1f1b.jsonl")
    require_same_losses("gpt2-tiny", resumed, *expected)
    train(*interleaved, "--resume", "1f1b/step-000006", "--layers-per-stage", "1,1,1,1", "--metrics", "back.jsonl")
    require_same_losses("gpt2-tiny", resumed[:6] + losses(tmp_path / "back.jsonl"), *expected)


def test_exported_weights_start_another_run(train, tmp_path: Path):
    train("--nproc", 2, "--steps", 20, "--tp-degree", 2, "--export", "out", "--metrics", "m.jsonl")
    train("--steps", 1, "--init-from", tmp_path / "out", "--metrics", "next.jsonl")
    assert losses(tmp_path / "next.jsonl")[0] < 0.7 * losses(tmp_path / "m.jsonl")[0]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_ranks_of_another_launcher_are_used(start, corpus, tmp_path: Path):
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = ["train", *SMALL, "--data", corpus, "--steps", 2, "--metrics", "m.jsonl"]
    ranks = [start(*command, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(2)]
    outputs = [rank.communicate(timeout=60) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    assert len(losses(tmp_path / "m.jsonl")) == 2
    assert outputs[1] == ("", "")  # rank 0 speaks for all


def child_with_rank(parent: int, rank: int) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_child = path.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1] == str(parent)
            if is_child and f"RANK={rank}" in path.joinpath("environ").read_bytes().decode().split("\0"):
                return int(path.name)
        except OSError:  # it has just ended
            continue
    raise AssertionError(f"no rank {rank}")


def test_a_killed_rank_ends_the_job_with_one_sentence(start, corpus, tmp_path: Path):
    job = start("train", *SMALL, "--data", corpus, "--nproc", 3, "--steps", 100_000, "--metrics", "m.jsonl")
    metrics = tmp_path / "m.jsonl"
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.stat().st_size == 0:
        assert time.monotonic() < deadline and job.poll() is None
        time.sleep(0.05)
    os.kill(child_with_rank(job.pid, 2), signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 1
    assert "galvatron: rank 2 was killed by signal 9" in err.splitlines()[-1]
    assert "step " in err  # rank 0 says where it was

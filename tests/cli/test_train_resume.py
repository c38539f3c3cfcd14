"""galvatron train that is stopped, goes on, and does not step on another run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from conftest import losses, read_metrics, refusal, wait_for_steps, write_tokens

MODEL = ["--model", "gpt2-tiny", "--seq-length", 32, "--lr", 3e-3, "--precision", "fp32"]
RESUMABLE = 75


@pytest.fixture
def run(galvatron, corpus):
    """`galvatron train` on the corpus, as it ends."""

    def start(*arguments: object, **extra: str):
        return galvatron("train", *MODEL, "--data", corpus, *arguments, **extra)

    return start


@pytest.fixture
def train(run):
    """The same; it must succeed."""

    def start(*arguments: object, **extra: str):
        result = run(*arguments, **extra)
        assert result.returncode == 0, result.stderr
        return result

    return start


def names(folder: Path) -> list[str]:
    """Without the lock of who saves there."""
    return sorted(path.name for path in folder.glob("[!.]*"))


def test_the_data_order_is_the_checkpoints_unless_another_is_asked_for(train, run, tmp_path: Path):
    plan = ["--nproc", 2, "--zero-stage", 2, "--steps", 8]
    train(*plan, "--seed", 7, "--split", "8,1,1", "--save", "save", "--save-interval", 4, "--metrics", "m.jsonl")
    result = train(*plan, "--resume", "save/step-000004", "--metrics", "rest.jsonl")
    assert losses(tmp_path / "rest.jsonl") == losses(tmp_path / "m.jsonl")[4:]
    assert "going on from save/step-000004: step 4 of 8, seed 7" in result.stderr
    said = refusal(run(*plan, "--resume", "save/step-000004", "--seed", 8, "--metrics", "x.jsonl"))
    assert "was trained with --seed 7, not 8; leave it away to go on as before" in said
    said = refusal(run(*plan, "--resume", "save/step-000004", "--shuffle", "false", "--metrics", "x.jsonl"))
    assert "was trained with --shuffle true, not false" in said
    # What may change is said.
    result = train(*plan, "--resume", "save/step-000004", "--lr", 1e-3, "--metrics", "y.jsonl")
    assert "other options than before: --lr 0.003 -> 0.001" in result.stderr


def test_float8_goes_on_as_it_was(galvatron, corpus, tmp_path: Path):
    def train(*arguments: object) -> str:
        common = ["train", "--model", "gpt2-tiny", "--seq-length", 32, "--data", corpus, "--steps", 4]
        result = galvatron(*common, *arguments)
        assert result.returncode == 0, result.stderr
        return result.stderr

    said = train("--fp8", "--save", "save", "--save-interval", 2, "--metrics", "m.jsonl")
    assert "--fp8: cpu has no float8 products" in said
    train("--precision", "bf16", "--metrics", "plain.jsonl")
    assert losses(tmp_path / "plain.jsonl") != losses(tmp_path / "m.jsonl")
    # With the checkpoint's precision comes its float8.
    said = train("--resume", "save/step-000002", "--metrics", "rest.jsonl")
    assert losses(tmp_path / "rest.jsonl") == losses(tmp_path / "m.jsonl")[2:]
    assert "other options" not in said
    said = train("--precision", "bf16", "--resume", "save/step-000002", "--metrics", "changed.jsonl")
    assert "other options than before: --fp8 true -> false" in said


def test_other_data_and_another_model_are_refused(train, galvatron, run, tmp_path: Path):
    train("--steps", 2, "--save", "save")
    write_tokens(tmp_path / "corpus", [i % 19 for i in range(20_000)])
    assert "was trained on other data: its .bin had 40000 bytes" in refusal(run("--steps", 4, "--resume", "save"))
    write_tokens(tmp_path / "corpus", [i % 17 for i in range(20_000)])
    config = json.loads((Path(__file__).parents[2] / "configs" / "models" / "gpt2-tiny.json").read_text())
    config["n_head"] = 1
    (tmp_path / "other.json").write_text(json.dumps(config))
    said = refusal(run("--model", "other.json", "--steps", 4, "--resume", "save"))
    assert "with n_head" in said and "but 'other' has 1" in said


def test_a_place_of_another_run_is_refused(train, run, tmp_path: Path):
    places = ["--save", "save", "--run-dir", "run", "--export", "out"]
    train("--steps", 2, *places)
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    for place in (places[:2], places[2:4], places[4:]):
        assert f"{place[0]} {place[1]} holds" in refusal(run("--steps", 2, *place))
    train("--steps", 2, "--metrics", "m.jsonl")
    assert "--metrics m.jsonl holds another run" in refusal(run("--steps", 2, "--metrics", "m.jsonl"))
    train("--steps", 2, "--save", "other", "--seed", 5)
    assert "is of run" in refusal(run("--steps", 4, "--resume", "other", "--run-dir", "run"))
    assert "is of run" in refusal(run("--steps", 4, "--resume", "other", "--save", "save"))
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before
    train("--steps", 4, "--resume", "save", *places)
    assert [line["step"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [1, 2, 3, 4]


def test_weights_alone_begin_a_new_run(train, run, tmp_path: Path):
    train("--steps", 20, "--save", "save", "--metrics", "m.jsonl")
    new = ["--steps", 3, "--seed", 9, "--resume", "save", "--load-weights-only"]
    train(*new, "--nproc", 2, "--tp-degree", 2, "--metrics", "new.jsonl", "--optimizer", "sgd")
    lines = read_metrics(tmp_path / "new.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[0]["loss"] < 0.7 * losses(tmp_path / "m.jsonl")[0]
    assert "holds checkpoints of another run" in refusal(run(*new, "--save", "save"))
    assert "needs --resume" in refusal(run("--load-weights-only"))


def test_metrics_go_on_without_steps_twice(train, tmp_path: Path):
    plan = ["--steps", 6, "--run-dir", "run", "--save", "save", "--save-interval", 2]
    train(*plan)
    whole = losses(tmp_path / "run" / "metrics.jsonl")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')  # the machine went down
    (tmp_path / "run" / "summary.json").unlink()
    train(*plan, "--resume", "save/step-000002")
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in lines] == whole


def test_saving_in_the_background_changes_nothing(train, tmp_path: Path):
    plan = ["--nproc", 2, "--steps", 12, "--zero-stage", 1]
    train(*plan, "--metrics", "plain.jsonl")
    train(*plan, "--metrics", "m.jsonl", "--save", "save", "--save-interval", 2, "--async-save", "--run-dir", "run")
    assert losses(tmp_path / "m.jsonl") == losses(tmp_path / "plain.jsonl")
    saves = json.loads((tmp_path / "run" / "summary.json").read_text())["checkpoints"]
    assert saves["count"] == 6 and saves["bytes"] > 6 << 20
    train(*plan, "--resume", "save/step-000004", "--metrics", "rest.jsonl")
    assert losses(tmp_path / "rest.jsonl") == losses(tmp_path / "m.jsonl")[4:]


def test_only_the_checkpoints_that_shall_stay_stay(train, tmp_path: Path):
    train("--steps", 7, "--save", "save", "--save-interval", 1, "--keep-last", 2, "--keep-every", 3)
    assert names(tmp_path / "save") == ["latest", "step-000003", "step-000006", "step-000007"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(train, run, tmp_path: Path):
    plan = ["--nproc", 2, "--lr-schedule", "constant"]
    train(*plan, "--steps", 6, "--save", "save", "--save-interval", 2, "--metrics", "m.jsonl")
    (state,) = (tmp_path / "save" / "step-000006").glob("state-00001-*")
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1  # a bit inside the state: found when it is read
    state.write_bytes(content)
    result = train(*plan, "--steps", 8, "--resume", "save", "--metrics", "rest.jsonl")
    assert "step-000006 is damaged: state-00001-of-00002.safetensors was changed" in result.stderr
    assert "going on from save/step-000004" in result.stderr
    assert losses(tmp_path / "rest.jsonl")[:2] == losses(tmp_path / "m.jsonl")[4:]
    said = refusal(run(*plan, "--steps", 8, "--resume", "save/step-000006", "--run-dir", "run"))
    assert "is damaged" in said
    assert not (tmp_path / "run" / "run.json").exists()


def test_one_command_is_start_and_restart(train, run, tmp_path: Path):
    command = ["--save", "save", "--save-interval", 2, "--run-dir", "run", "--resume", "auto"]
    assert "--resume auto goes on from the checkpoints in --save" in refusal(run("--resume", "auto"))
    result = train("--steps", 4, *command)
    assert "no checkpoint in save yet: a new run" in result.stderr
    result = train("--steps", 6, *command)
    assert "going on from save/step-000004" in result.stderr
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("number", "nproc"), [(signal.SIGTERM, 2), (signal.SIGUSR1, 2), (signal.SIGINT, 1)])
def test_a_signal_saves_and_the_run_goes_on_to_the_bit(start, train, corpus, tmp_path: Path, number, nproc):
    command = ["--nproc", nproc, "--steps", 60, "--save", "save", "--run-dir", "run", "--resume", "auto"]
    job = start("train", *MODEL, "--data", corpus, *command)
    wait_for_steps(tmp_path / "run" / "metrics.jsonl", 3, job)
    os.kill(job.pid, number)
    _, err = job.communicate(timeout=60)
    assert job.returncode == RESUMABLE, err
    assert "stopped after step" in err and "saved save/step-" in err
    assert "to go on:" in err and "--resume auto" in err.splitlines()[-1]
    assert "options" in json.loads((tmp_path / "run" / "summary.json").read_text())
    train(*command)
    train(*command[:4], "--metrics", "whole.jsonl")
    assert losses(tmp_path / "run" / "metrics.jsonl") == losses(tmp_path / "whole.jsonl")


def test_a_signal_without_a_place_to_save_says_so(start, corpus, tmp_path: Path):
    job = start("train", *MODEL, "--data", corpus, "--nproc", 2, "--steps", 100_000, "--run-dir", "run")
    wait_for_steps(tmp_path / "run" / "metrics.jsonl", 2, job)
    assert {"run.json", "plan.json"} <= set(names(tmp_path / "run"))  # from the start
    os.kill(job.pid, signal.SIGTERM)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGTERM
    assert "nothing was saved: there is no --save" in err


def test_ranks_that_were_given_other_options_do_not_start(start, corpus, tmp_path: Path):
    from test_train import free_port

    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = ["train", *MODEL, "--data", corpus, "--steps", 2, "--metrics", "m.jsonl"]
    ranks = [start(*command, "--seed", 5 + rank, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in range(2)]
    outputs = [rank.communicate(timeout=60) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [2, 2], outputs
    for _, err in outputs:
        assert "rank 1 on " in err and "has option seed 6, but rank 0 on " in err and "has 5" in err
    assert not (tmp_path / "m.jsonl").exists()


def test_a_save_that_fails_is_said_and_tried_again(start, corpus, tmp_path: Path):
    command = ["--steps", 400, "--save", "save", "--save-interval", 2, "--metrics", "m.jsonl"]
    job = start("train", *MODEL, "--data", corpus, *command)
    wait_for_steps(tmp_path / "m.jsonl", 2, job)
    (tmp_path / "save").rename(tmp_path / "away")
    (tmp_path / "save").write_text("no folder")
    wait_for_steps(tmp_path / "m.jsonl", read_metrics(tmp_path / "m.jsonl")[-1]["step"] + 8, job)
    job.send_signal(signal.SIGSTOP)  # else it may make a folder between the two
    (tmp_path / "save").unlink()
    (tmp_path / "away").rename(tmp_path / "save")
    job.send_signal(signal.SIGCONT)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert "was not written" in err and "training goes on, and the next try is after step" in err
    assert (tmp_path / "save" / "step-000400").exists()


def test_the_copy_of_an_asynchronous_save_is_predicted(galvatron, train, tmp_path: Path):
    plan = ["--nproc", 2, "--zero-stage", 1, "--steps", 4]
    train(*plan, "--run-dir", "plain")
    asked = ["--model", "gpt2-tiny", "--seq-length", 32, "--cluster", "2xA100", "--output", "predicted.json"]
    said = galvatron("simulate", "plain/plan.json", *asked).stdout
    assert "a checkpoint has 1.61 MiB, of a rank up to 825 KiB" in said
    saves = ["--save-interval", 1, "--steps", 4, "--nproc", 2, "--plan", "predicted.json"]
    train(*saves, "--save", "one", "--run-dir", "waits")
    train(*saves, "--save", "other", "--run-dir", "goes-on", "--async-save")
    waits, goes_on = (json.loads((tmp_path / run / "summary.json").read_text()) for run in ("waits", "goes-on"))
    copy = goes_on["checkpoints"]["copy_bytes"]
    for before, after in zip(waits["ranks"], goes_on["ranks"], strict=True):
        assert after["predicted_memory_bytes"] == before["predicted_memory_bytes"] + copy
        assert abs(after["peak_memory_bytes"] / after["predicted_memory_bytes"] - 1) < 0.02

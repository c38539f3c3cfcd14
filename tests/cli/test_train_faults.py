"""Ranks that die, hang or are stopped, and jobs that go on after them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import BINARY, clean_environment, losses, read_metrics, wait_for_steps

MODEL = ["--model", "gpt2-tiny", "--seq-length", 32, "--lr", 3e-3, "--precision", "fp32", "--data", "corpus"]
HOST = socket.gethostname()
METRICS = Path("run") / "metrics.jsonl"
RUN = ["--run-dir", "run", "--save", "save", "--save-interval", 4]


@pytest.fixture(autouse=True)
def data(corpus):
    return corpus


def process_of_rank(rank: int, folder: Path) -> int:
    """Of the ranks that work in the folder."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment = path.joinpath("environ").read_bytes().decode().split("\0")
            is_galvatron = path.joinpath("exe").readlink().name == "galvatron"
            if path.joinpath("cwd").readlink() == folder and f"RANK={rank}" in environment and is_galvatron:
                return int(path.name)
        except OSError:  # it has just ended
            continue
    raise AssertionError(f"no rank {rank}")


def wait_for_rank(rank: int, folder: Path, other_than: int | None = None) -> int:
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        try:
            if (process := process_of_rank(rank, folder)) != other_than:
                return process
        except AssertionError:
            pass
        time.sleep(0.02)


@pytest.fixture
def whole(galvatron, tmp_path: Path):
    """Losses of the run that nobody disturbs."""

    def train(*arguments: object) -> list[float]:
        result = galvatron("train", *MODEL, *arguments, "--metrics", "whole.jsonl")
        assert result.returncode == 0, result.stderr
        return losses(tmp_path / "whole.jsonl")

    return train


def same_losses_as(whole: list[float], folder: Path) -> None:
    lines = read_metrics(folder / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, len(whole) + 1))
    assert [line["loss"] for line in lines] == whole


@pytest.mark.parametrize("stopped", [1, 0])
def test_a_stopped_rank_ends_the_job_with_who_waits_for_whom(start, tmp_path: Path, stopped: int):
    job = start("train", *MODEL, "--nproc", 2, "--steps", 100_000, "--run-dir", "run", "--step-timeout", 3)
    wait_for_steps(tmp_path / METRICS, 2, job)
    os.kill(process_of_rank(stopped, tmp_path), signal.SIGSTOP)
    began = time.monotonic()
    _, err = job.communicate(timeout=60)
    assert job.returncode == 1
    assert time.monotonic() - began < 30
    pattern = rf"rank {stopped} on {re.escape(HOST)} shows no life for \d+ s and did not come to \w+ \d+ on ranks 0,1"
    said = [line for line in err.splitlines() if re.search(pattern, line)]
    assert len(said) == 1, err
    assert f"where rank {1 - stopped} waits; it was last seen" in said[0]
    flight = json.loads((tmp_path / "run" / f"flight-{1 - stopped}.json").read_text())
    assert "shows no life" in flight["reason"] and flight["rank"] == 1 - stopped
    assert flight["entries"][-1]["ended"] is None and flight["entries"][-1]["ranks"] == [0, 1]
    assert {"kind", "sequence", "bytes", "step", "started"} <= set(flight["entries"][-1])


def test_a_killed_rank_is_told_with_what_it_did(start, tmp_path: Path):
    job = start("train", *MODEL, "--nproc", 2, "--steps", 100_000, "--run-dir", "run")
    wait_for_steps(tmp_path / METRICS, 2, job)
    time.sleep(1.2)  # it says what it does every second
    os.kill(process_of_rank(1, tmp_path), signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    assert "galvatron: rank 1 was killed by signal 9 (Killed); the other ranks were ended; it was last seen" in err
    assert f"lost the connection to rank 1 on {HOST}" in err
    assert json.loads((tmp_path / "run" / "flight-0.json").read_text())["entries"]


def test_ranks_are_started_again_and_end_as_if_nothing_had_happened(start, whole, tmp_path: Path):
    plan = ["--nproc", 2, "--steps", 60, "--zero-stage", 1]
    job = start("train", *MODEL, *plan, *RUN, "--max-restarts", 3)
    first = 0
    for steps in (6, 20):
        wait_for_steps(tmp_path / METRICS, steps, job)
        first = wait_for_rank(1, tmp_path, other_than=first)
        os.kill(first, signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert "restart 1 of 3: 2 ranks from save/step-" in err
    assert "restart 2 of 3: 2 ranks from save/step-" in err
    same_losses_as(whole(*plan), tmp_path)


def kill_rank_twice(job: subprocess.Popen, folder: Path) -> str:
    killed = 0
    for _ in range(2):
        killed = wait_for_rank(1, folder, other_than=killed)
        wait_for_steps(folder / METRICS, 1, job)
        os.kill(killed, signal.SIGKILL)
    _, err = job.communicate(timeout=90)
    return err


def test_a_rank_that_keeps_failing_is_left_out(start, whole, tmp_path: Path):
    job = start("train", *MODEL, "--nproc", 2, "--steps", 30, *RUN[:4], "--max-restarts", 3)
    err = kill_rank_twice(job, tmp_path)
    assert job.returncode == 0, err
    assert "restart 1 of 3: 2 ranks from the beginning" in err
    assert "rank 1 failed twice in a row without a new checkpoint: going on with 1 instead of 2" in err
    assert "restart 2 of 3: 1 rank from the beginning" in err
    ends = losses(tmp_path / "run" / "metrics.jsonl")[-1], whole("--steps", 30)[-1]
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)


def test_a_plan_that_is_given_needs_its_ranks(start, galvatron, tmp_path: Path):
    galvatron("train", *MODEL, "--nproc", 2, "--steps", 1, "--run-dir", "first")
    plan = ["--plan", "first/plan.json"]
    job = start("train", *MODEL, "--nproc", 2, "--steps", 100_000, *plan, *RUN[:4], "--max-restarts", 3)
    err = kill_rank_twice(job, tmp_path)
    assert job.returncode == 1
    assert "the plan first/plan.json needs its 2 ranks (--plan auto would search for fewer)" in err


def test_restarts_need_a_place_to_go_on_from(galvatron):
    result = galvatron("train", *MODEL, "--nproc", 2, "--max-restarts", 1)
    assert result.returncode == 2
    assert "--max-restarts goes on from the last checkpoint in --save; give --save" in result.stderr
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    result = galvatron("train", *MODEL, "--max-restarts", 1, "--save", "save", **ranks)
    assert result.returncode == 2
    assert "let it restart them (torchrun --max-restarts 1), with --resume auto" in result.stderr


def torchrun(folder: Path, options: list[object], arguments: list[object]) -> subprocess.Popen:
    command = [sys.executable, "-m", "torch.distributed.run", "--no-python", *options, BINARY, "train", *arguments]
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=clean_environment(TORCH_CPP_LOG_LEVEL="ERROR"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_torchrun_restarts_and_the_run_goes_on_to_the_bit(whole, tmp_path: Path):
    run = ["--steps", 60, "--zero-stage", 2]
    options = ["--standalone", "--nproc-per-node", 2, "--max-restarts", 2]
    job = torchrun(tmp_path, options, [*MODEL, *run, *RUN, "--resume", "auto"])
    wait_for_steps(tmp_path / METRICS, 10, job)
    os.kill(process_of_rank(1, tmp_path), signal.SIGKILL)
    out, _ = job.communicate(timeout=90)
    assert job.returncode == 0, out
    assert "going on from save/step-" in out
    same_losses_as(whole("--nproc", 2, *run), tmp_path)


def test_torchrun_goes_on_with_the_node_that_is_left(whole, tmp_path: Path):
    """Elastic: two agents of one rank each, of which one is lost with its rank."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    # The second has so long to join: on a busy machine its imports take seconds.
    times = "last_call_timeout=8,keep_alive_interval=1,keep_alive_max_attempt=2,join_timeout=60"
    options = ["--nnodes", "1:2", "--nproc-per-node", 1, "--max-restarts", 3, "--rdzv-backend", "c10d"]
    options += ["--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "7", "--rdzv-conf", times]
    options += ["--local-addr", "127.0.0.1"]
    run = [*MODEL, "--steps", 300, *RUN, "--resume", "auto", "--step-timeout", 5]
    first = torchrun(tmp_path, options, run)
    time.sleep(1)  # it serves the rendezvous
    second = torchrun(tmp_path, options, run)
    ranks = [wait_for_rank(rank, tmp_path) for rank in (1, 0)]
    wait_for_steps(tmp_path / METRICS, 8, first)
    parents = [int(Path(f"/proc/{rank}/stat").read_text().rsplit(")", 1)[1].split()[1]) for rank in ranks]
    assert sorted(parents) == sorted([first.pid, second.pid])
    second.kill()
    os.kill(ranks[parents.index(second.pid)], signal.SIGKILL)
    second.communicate()
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0, out
    assert "going on from save/step-" in out
    ends = losses(tmp_path / "run" / "metrics.jsonl")[-1], whole("--steps", 300)[-1]
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["world_size"] == 1


def test_a_full_disk_ends_no_run(start, galvatron, tmp_path: Path):
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("needs unshare -rm for a small disk of its own")
    for name in ("run", "save"):
        (tmp_path / name).mkdir()
    mounts = "mount -t tmpfs -o size=12m none save && mount -t tmpfs -o size=512k none run"
    # A disk without room is refused before the first step: this one fills afterwards.
    began = "until [ -s run/metrics.jsonl ]; do sleep 0.02; done"
    fill = f"head -c 500k /dev/zero > run/filler; ({began}; head -c 11m /dev/zero > save/filler) &"
    arguments = [*MODEL, "--nproc", 2, "--steps", 1500, "--save-interval", 4, "--keep-last", 1, "--save", "save"]
    arguments += ["--run-dir", "run"]
    command = " ".join(map(str, [BINARY, "train", *arguments]))
    job = subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", f"{mounts} && {{ {fill} exec {command} 2> err.txt; }}"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not all(word in said(tmp_path) for word in ("was not written", "cannot write run/metrics.jsonl")):
        assert time.monotonic() < deadline and job.poll() is None, said(tmp_path)
        time.sleep(0.05)
    inside = Path(f"/proc/{job.pid}/root") / tmp_path.relative_to("/")
    for name in ("run", "save"):
        (inside / name / "filler").unlink()
    while not (inside / "save" / "latest").exists():
        assert time.monotonic() < deadline and job.poll() is None, said(tmp_path)
        time.sleep(0.05)
    metrics = ""
    while metrics.count("\n") < 200:
        assert time.monotonic() < deadline and job.poll() is None, said(tmp_path)
        metrics = (inside / "run" / "metrics.jsonl").read_text()
        time.sleep(0.05)
    steps = [json.loads(line)["step"] for line in metrics.splitlines()[:200]]
    assert steps == list(range(1, 201))
    assert job.wait(timeout=240) == 0, said(tmp_path)
    assert "No space left on device" in said(tmp_path)


def said(folder: Path) -> str:
    path = folder / "err.txt"
    return path.read_text() if path.exists() else ""


def test_the_numbers_of_the_model_are_the_checkpoints(galvatron, tmp_path: Path):
    def train(*arguments: object):
        result = galvatron("train", *MODEL, "--nproc", 2, *arguments)
        assert result.returncode == 0, result.stderr
        return result

    train("--num-layers", 3, "--steps", 4, "--save", "save", "--save-interval", 2, "--metrics", "m.jsonl")
    train("--steps", 4, "--resume", "save/step-000002", "--metrics", "rest.jsonl")
    assert losses(tmp_path / "rest.jsonl") == losses(tmp_path / "m.jsonl")[2:]
    # The search is told of them too.
    auto = ["--plan", "auto", "--memory", "1GiB", "--cache-dir", "cache", "--run-dir", "run"]
    train("--steps", 4, "--resume", "save/step-000002", *auto)
    layers = json.loads((tmp_path / "run" / "plan.json").read_text())["layers"]
    assert sum(run["count"] for run in layers) == 5

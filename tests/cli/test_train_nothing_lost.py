"""What a careless user, a scheduler or a second job could lose, and does not."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BINARY, clean_environment, read_metrics, refusal, wait_for_steps
from test_train_places import needs_own_disks

JOB = ["train", "--model", "gpt2-tiny", "--data", "synthetic", "--seq-length", 32, "--precision", "fp32"]
RESUMABLE = 75


def done(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stderr
    return result.stderr


def steps(path: Path) -> list[int]:
    return [line["step"] for line in read_metrics(path)]


@pytest.fixture
def long_job(start, tmp_path: Path):
    """A job without end that saves, once it has done steps."""
    jobs = []

    def begin(*arguments: object) -> subprocess.Popen:
        jobs.append(start(*JOB, "--steps", 1_000_000, "--save", "save", "--metrics", "m.jsonl", *arguments))
        wait_for_steps(tmp_path / "m.jsonl", 1, jobs[0])
        return jobs[0]

    yield begin
    for job in jobs:
        job.kill()
        job.communicate()


def test_auto_does_not_replace_a_run_whose_checkpoints_are_elsewhere(galvatron, tmp_path: Path):
    places = ["--save", "save", "--run-dir", "run", "--export", "out"]
    done(galvatron(*JOB, "--steps", 4, *places))
    shutil.rmtree(tmp_path / "save")
    said = refusal(galvatron(*JOB, "--steps", 2, *places, "--resume", "auto"))
    assert "--run-dir run holds another run" in said
    said = refusal(galvatron(*JOB, "--steps", 2, "--save", "save", "--export", "out", "--resume", "auto"))
    assert "--export out holds another run's weights" in said
    assert steps(tmp_path / "run" / "metrics.jsonl") == [1, 2, 3, 4]


def test_lines_of_a_run_that_was_cut_off_before_its_first_checkpoint_are_kept(galvatron, tmp_path: Path):
    auto = ["--save", "save", "--resume", "auto", "--metrics", "m.jsonl"]
    done(galvatron(*JOB, "--steps", 3, "--metrics", "m.jsonl"))
    said = done(galvatron(*JOB, "--steps", 2, *auto))
    assert "are kept in m-1.jsonl" in said
    assert steps(tmp_path / "m-1.jsonl") == [1, 2, 3]
    assert steps(tmp_path / "m.jsonl") == [1, 2]
    done(galvatron(*JOB, "--steps", 4, *auto))
    assert steps(tmp_path / "m.jsonl") == [1, 2, 3, 4]


def test_two_jobs_do_not_save_into_one_folder(galvatron, long_job):
    first = long_job()
    for more in ([], ["--resume", "auto"]):
        said = refusal(galvatron(*JOB, "--steps", 2, "--seed", 2, "--save", "save", *more))
        assert f"another run saves into --save save now (process {first.pid} on " in said
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == RESUMABLE


def test_latest_without_its_checkpoint_is_no_new_run(galvatron, tmp_path: Path):
    job = [*JOB, "--steps", 2, "--save", "save", "--resume", "auto"]
    done(galvatron(*job))
    shutil.rmtree(tmp_path / "save" / "step-000002")
    assert "save/latest names a checkpoint, but there is none in save" in refusal(galvatron(*job))
    (tmp_path / "save" / "latest").unlink()
    done(galvatron(*job))
    (tmp_path / "save" / "latest").unlink()
    (tmp_path / "save" / "latest").mkdir()
    assert "save/latest must be a file" in refusal(galvatron(*job, "--steps", 4))


def test_latest_may_be_written_by_hand(galvatron, tmp_path: Path):
    job = [*JOB, "--save", "save", "--save-interval", 2, "--resume", "auto"]
    done(galvatron(*job, "--steps", 6))
    (tmp_path / "save" / "latest").write_text("step-000002\n")
    said = done(galvatron(*job, "--steps", 6))
    assert "going on from save/step-000002" in said
    assert "2 checkpoints of later steps in save: this run replaces them" in said


def test_options_of_checkpoints_need_a_folder(galvatron):
    for words in (["--save-interval", 5], ["--async-save"], ["--keep-last", 2], ["--keep-every", 2]):
        said = refusal(galvatron(*JOB, "--steps", 2, *words))
        assert words[0] in said and "give --save" in said


@pytest.mark.parametrize("nproc", [1, 2])
def test_a_closed_terminal_saves(long_job, tmp_path: Path, nproc: int):
    job = long_job("--nproc", nproc)
    job.send_signal(signal.SIGHUP)
    assert job.wait(60) == RESUMABLE
    assert (tmp_path / "save" / "latest").exists()


def test_output_that_nobody_reads_any_more_saves(tmp_path: Path):
    script = f'set -o pipefail; {BINARY} "$@" 2>&1 | head -c 1 > first'
    words = [*map(str, JOB), "--steps", "100000000", "--save", "save", "--max-bad-steps", "1"]
    result = subprocess.run(
        ["bash", "-c", script, "bash", *words], cwd=tmp_path, env=clean_environment(), timeout=120, check=False
    )
    assert result.returncode == RESUMABLE
    assert (tmp_path / "save" / "latest").exists()


def catches(process: int, number: int) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("saves", [True, False])
def test_a_signal_while_it_starts(start, saves: bool):
    job = start(*JOB, "--steps", 1_000_000, "--nproc", 2, *(["--save", "save"] if saves else []))
    while not catches(job.pid, signal.SIGUSR1):
        assert job.poll() is None, job.communicate()
        time.sleep(0.001)
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == (RESUMABLE if saves else 128 + signal.SIGTERM)


@needs_own_disks
def test_a_full_disk_for_metrics_costs_nothing_else(on_a_disk, tmp_path: Path):
    places = ["--metrics", "disk/m.jsonl", "--save", "save", "--export", "out"]
    result = on_a_disk(16384, "true", *JOB, "--steps", 100, *places)
    assert result.returncode == 1
    assert "cannot write disk/m.jsonl: No space left on device" in result.stderr
    assert "to go on from the last checkpoint" in result.stderr
    assert (tmp_path / "save" / "step-000100" / "checkpoint.json").exists()
    assert (tmp_path / "out" / "config.json").exists()


def test_export_does_not_replace_weights_unasked(galvatron, tmp_path: Path):
    done(galvatron(*JOB, "--steps", 1, "--save", "save"))
    done(galvatron("export", "save", "--output", "out"))
    before = (tmp_path / "out" / "config.json").stat().st_mtime_ns
    assert "out holds weights already" in refusal(galvatron("export", "save", "--output", "out"))
    assert (tmp_path / "out" / "config.json").stat().st_mtime_ns == before
    done(galvatron("export", "save", "--output", "out", "--overwrite"))

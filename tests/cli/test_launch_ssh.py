"""--hostfile with a real ssh to two addresses of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, read_metrics, write_tokens
from launch_testing import (
    EXAMPLES,
    HOSTS,
    SMALL,
    example,
    launch_environment,
    ranks_in,
    require_one_ranks_losses,
    run,
    run_example,
    ssh,  # noqa: F401  (a fixture)
    wait_for_steps,
    wait_until_gone,
)

JOB = [BINARY, "train", *SMALL, "--data", "corpus", "--hostfile", "hosts"]
ENDLESS = [*JOB, "--steps", "100000", "--metrics", "m.jsonl"]


@pytest.fixture(autouse=True)
def data(corpus: Path, tmp_path: Path) -> None:
    """What every job here trains on, and the example's hosts."""
    text = (EXAMPLES / "hosts").read_text()
    for name, host in zip(("node1", "node2"), HOSTS, strict=True):
        assert f"{name} slots=8" in text
        text = text.replace(f"{name} slots=8", f"{host} slots=1")
    (tmp_path / "hosts").write_text(text)


@pytest.fixture
def start_endless(ssh, tmp_path: Path):  # noqa: F811
    """A job without end, once it trains."""

    def start(*arguments: str) -> subprocess.Popen:
        job = subprocess.Popen(
            [*map(str, ENDLESS), "--ssh", ssh, *arguments],
            cwd=tmp_path,
            env=launch_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for_steps(tmp_path / "m.jsonl", lambda: job.poll() is None)
        return job

    return start


def test_the_example(ssh, tmp_path: Path):  # noqa: F811
    done = run_example(example("hostfile.sh", ("--hostfile hosts", f"--hostfile hosts --ssh '{ssh}'")), tmp_path)
    assert done.returncode == 0, done.stderr
    require_one_ranks_losses(tmp_path)
    assert "throughput" in done.stdout and f"{HOSTS[0]}: throughput" not in done.stdout
    assert f"{HOSTS[0]}: training {4}/{4}" in done.stderr


def test_slots_and_a_name_of_sshs_own_configuration(ssh, tmp_path: Path):  # noqa: F811
    (tmp_path / "hosts").write_text(f"first slots=2\n{HOSTS[1]} slots=1\n")
    done = run([*JOB, "--ssh", ssh, "--global-batch", 6, "--metrics", "m.jsonl", "--run-dir", "run"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"world_size": 3' in (tmp_path / "run" / "summary.json").read_text()


def test_words_and_paths_arrive_as_they_are(ssh, tmp_path: Path):  # noqa: F811
    folder = tmp_path / 'it\'s "a" $(touch oops) café'
    folder.mkdir()
    write_tokens(folder / "cor pus", [i % 17 for i in range(2000)])
    (folder / "hosts").write_text((tmp_path / "hosts").read_text())
    command = [BINARY, "train", *SMALL, "--data", "cor pus", "--hostfile", "hosts", "--ssh", ssh, "--run-dir", "a;b"]
    done = run(command, folder, HF_HOME="x='y' \"z\"\n$HOME")
    assert done.returncode == 0, done.stderr
    assert (folder / "a;b" / "summary.json").exists()
    assert not list(tmp_path.rglob("oops"))


def test_a_killed_remote_rank_ends_the_job_and_is_named(start_endless, tmp_path: Path):
    job = start_endless()
    os.kill(ranks_in(tmp_path)[1], signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 1
    last = err.splitlines()[-1]
    assert last.startswith(f"galvatron: host {HOSTS[1]} failed with exit code 1; the other hosts were ended"), err
    assert "rank 1 was killed by signal 9" in last
    wait_until_gone(tmp_path)


def test_all_hosts_start_again_from_the_last_checkpoint(start_endless, tmp_path: Path):
    job = start_endless("--steps", "120", "--save", "save", "--save-interval", "20", "--max-restarts", "1")
    wait_for_steps(tmp_path / "m.jsonl", lambda: job.poll() is None, count=25)
    os.kill(ranks_in(tmp_path)[1], signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert "restart 1 of 1: 2 ranks from save/step-0000" in err
    assert [line["step"] for line in read_metrics(tmp_path / "m.jsonl")] == list(range(1, 121))


def test_a_signal_saves_on_all_hosts(start_endless, tmp_path: Path):
    job = start_endless("--save", "save")
    job.terminate()
    _, err = job.communicate(timeout=60)
    assert job.returncode == 75, err
    assert (tmp_path / "save" / "latest").exists()
    assert f"{HOSTS[0]}: stopped after step" in err
    wait_until_gone(tmp_path)


def test_ranks_do_not_outlive_the_launcher(start_endless, tmp_path: Path):
    job = start_endless()
    job.kill()
    job.communicate(timeout=10)
    wait_until_gone(tmp_path)


def test_a_host_that_ssh_does_not_reach_is_named(ssh, tmp_path: Path):  # noqa: F811
    for hosts in (f"127.0.0.9\n{HOSTS[1]}\n", f"{HOSTS[0]}\n127.0.0.9\n"):
        (tmp_path / "hosts").write_text(hosts)
        done = run([*JOB, "--ssh", ssh], tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("galvatron: host 127.0.0.9 cannot be reached by ssh"), (
            done.stderr
        )
    wait_until_gone(tmp_path)


def test_bad_hosts_are_refused_before_anything_starts(tmp_path: Path):
    for text, words in [
        ("localhost slots=2\nbrutasse slots=2\n", "the first host is localhost, by which brutasse does not reach it"),
        ("n1 slots=two\n", "hosts line 1: 'slots=two'"),
        ("# none\n", "hosts names no host"),
    ]:
        (tmp_path / "hosts").write_text(text)
        done = run(JOB, tmp_path)
        assert done.returncode == 2
        assert words in done.stderr
    assert "cannot read nowhere" in run([*JOB[:-1], "nowhere"], tmp_path).stderr

"""A Slurm of two nodes, which are two addresses of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, SOURCE_DIR, losses
from launch_testing import (
    HOSTS,
    SMALL,
    example,
    free_ports,
    launch_environment,
    ranks_in,
    require_one_ranks_losses,
    require_program,
    run,
    run_batch,
    slurm,  # noqa: F401  (a fixture)
    wait_for_steps,
    wait_until_gone,
)
from page_blocks import Runner, blocks_of

JOB = [BINARY, "train", *SMALL, "--data", "corpus"]
ENDLESS = [*JOB, "--steps", "100000", "--metrics", "m.jsonl"]


@pytest.fixture(autouse=True)
def data(corpus: Path) -> None:
    """Every job here trains on it."""


@pytest.fixture
def slurm_run(slurm, tmp_path: Path):  # noqa: F811
    return lambda *command, **extra: run(list(command), tmp_path, **slurm, **extra)


@pytest.fixture
def batch(slurm, tmp_path: Path):  # noqa: F811
    """Runs a batch script, which must succeed, and gives its output."""

    def submit(script: str, *arguments: object) -> str:
        end, output = run_batch(tmp_path, script, *arguments, slurm=slurm)
        assert end == "0:0", output
        return output

    return submit


def test_srun(batch, tmp_path: Path):
    text = example(
        "slurm_srun.sbatch",
        ("#SBATCH --ntasks-per-node=8", "#SBATCH --ntasks-per-node=1"),
        ("#SBATCH --gpus-per-task=1\n", ""),
        ("#SBATCH --cpus-per-task=12", "#SBATCH --cpus-per-task=1"),
        ("24:00:00", "00:02:00"),
    )
    output = batch(text)
    require_one_ranks_losses(tmp_path)
    assert "Slurm gives this job" not in output  # of tasks that nobody started


def test_a_batch_script_without_srun(batch, tmp_path: Path):
    text = example(
        "slurm_sbatch.sh",
        ("#SBATCH --gpus=8\n", ""),
        ("#SBATCH --cpus-per-task=96", "#SBATCH --cpus-per-task=2"),
        ("24:00:00", "00:02:00"),
        ("--nproc 8", "--nproc 2"),
    )
    batch(text)
    require_one_ranks_losses(tmp_path)


def test_the_tutorial(slurm, tmp_path: Path):  # noqa: F811
    page = "docs/tutorials/slurm.md"
    runner = Runner(page, tmp_path, launch_environment(**slurm))
    for block in blocks_of((SOURCE_DIR / page).read_text()):
        runner.run(block)
    assert len(losses(tmp_path / "metrics.jsonl")) == 10
    assert (tmp_path / "save" / "latest").exists()


def test_tasks_that_nobody_started_are_mentioned(batch, tmp_path: Path):
    script = f"#!/bin/sh\n{BINARY} train {' '.join(SMALL)} --data corpus --metrics m.jsonl\n"
    output = batch(script, "--ntasks=2")
    assert "Slurm gives this job 2 tasks, but srun starts them: this is one rank alone" in output
    require_one_ranks_losses(tmp_path)


def test_two_steps_of_a_job_at_once(batch, tmp_path: Path):
    step = f"srun --exact -N2 -n2 {' '.join(map(str, JOB))} --metrics"
    batch(f"#!/bin/sh\n{step} a.jsonl & a=$!\n{step} b.jsonl\nwait $a\n", "-N2", "--ntasks-per-node=2")
    for name in ("a.jsonl", "b.jsonl"):
        require_one_ranks_losses(tmp_path, name)


def test_one_task_on_each_node_starts_its_ranks(slurm_run, tmp_path: Path):
    done = slurm_run("srun", "-N2", "--ntasks-per-node=1", *JOB, "--nnodes", 2, "--nproc", 2, "--metrics", "m.jsonl")
    assert done.returncode == 0, done.stderr
    require_one_ranks_losses(tmp_path)
    refused = slurm_run("srun", "-N2", "--ntasks-per-node=1", *JOB, "--nproc", 4)
    assert "--nproc 4, but slurm started 2 ranks" in refused.stderr


def test_mpirun_in_a_job(batch, tmp_path: Path):
    """Open MPI starts its daemons by srun: SLURM_PROCID is the daemon's, the same for all ranks of a node."""
    require_program("mpirun")
    root = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
    mpirun = f"mpirun -x MASTER_ADDR={HOSTS[0]} {' '.join(map(str, JOB))} --metrics m.jsonl"
    batch(f"#!/bin/sh\nenv {root} {mpirun}\n", "-N2", "--ntasks-per-node=2")
    require_one_ranks_losses(tmp_path)


def test_torchrun_in_a_step(slurm_run, tmp_path: Path):
    """Its agents may number the nodes in another order than Slurm."""
    (port,) = free_ports(1)
    torchrun = ["-m", "torch.distributed.run", "--nnodes", 2, "--nproc-per-node", 1, "--rdzv-backend", "c10d"]
    torchrun += ["--rdzv-endpoint", f"127.0.0.1:{port}", "--no-python", *JOB, "--metrics", "m.jsonl"]
    done = slurm_run("srun", "-N2", "--ntasks-per-node=1", sys.executable, *torchrun)
    assert done.returncode == 0, done.stderr
    require_one_ranks_losses(tmp_path)


def test_a_killed_remote_rank_ends_the_job(slurm, tmp_path: Path):  # noqa: F811
    command = ["srun", "-N2", "--ntasks-per-node=1", "--kill-on-bad-exit=0", *map(str, ENDLESS)]
    job = subprocess.Popen(command, cwd=tmp_path, env=launch_environment(**slurm), stderr=subprocess.PIPE, text=True)
    wait_for_steps(tmp_path / "m.jsonl", lambda: job.poll() is None)
    os.kill(ranks_in(tmp_path, HOSTS[1])[1], signal.SIGKILL)
    _, err = job.communicate(timeout=60)
    assert job.returncode != 0
    assert "rank 1" in err, err
    wait_until_gone(tmp_path)


def test_a_signal_to_the_step_saves(slurm, tmp_path: Path):  # noqa: F811
    command = ["srun", "-N2", "--ntasks-per-node=1", *map(str, ENDLESS), "--save", "save"]
    job = subprocess.Popen(command, cwd=tmp_path, env=launch_environment(**slurm), stderr=subprocess.PIPE, text=True)
    wait_for_steps(tmp_path / "m.jsonl", lambda: job.poll() is None)
    number = run(["squeue", "-h", "-o", "%A"], tmp_path, **slurm).stdout.split()[0]
    run(["scancel", "--signal=TERM", number], tmp_path, **slurm)
    _, err = job.communicate(timeout=60)
    assert job.returncode == 75, err
    assert (tmp_path / "save" / "latest").exists()
    assert len(losses(tmp_path / "m.jsonl")) >= 2

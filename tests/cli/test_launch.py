"""Launchers of one machine and of pods: the examples as they are, but for their sizes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, losses
from launch_testing import (
    EXAMPLES,
    SMALL,
    example,
    free_ports,
    launch_environment,
    require_one_ranks_losses,
    require_program,
    run,
    run_example,
)

JOB = [BINARY, "train", *SMALL, "--data", "corpus"]


@pytest.fixture(autouse=True)
def data(corpus: Path) -> None:
    """Every job here trains on it."""


def test_local(tmp_path: Path):
    done = run_example(example("local.sh", ("--nproc 8", "--nproc 2")), tmp_path)
    assert done.returncode == 0, done.stderr
    require_one_ranks_losses(tmp_path)
    assert (tmp_path / "save" / "latest").exists()


def test_torchrun_on_two_machines(tmp_path: Path):
    (port,) = free_ports(1)
    text = example("torchrun.sh", ("--nproc-per-node 8", "--nproc-per-node 1"), ("node1:29400", f"127.0.0.1:{port}"))
    (tmp_path / "example.sh").write_text(text)
    path = f"{Path(sys.executable).parent}:{launch_environment()['PATH']}"
    agents = [
        subprocess.Popen(
            ["sh", "example.sh"],
            cwd=tmp_path,
            env=launch_environment() | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [agent.communicate(timeout=90)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], outputs
    require_one_ranks_losses(tmp_path)


def test_mpirun(tmp_path: Path):
    require_program("mpirun")
    (tmp_path / "hosts").write_text("localhost slots=2\n")
    text = example("mpirun.sh", ("-n 16", "-n 2"), ("MASTER_ADDR=node1", "MASTER_ADDR=127.0.0.1"))
    done = run_example(text, tmp_path, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    assert done.returncode == 0, done.stderr
    require_one_ranks_losses(tmp_path)


def pods_environment(pod: int, pods: int, nproc: str, port: int) -> dict[str, str]:
    """What the training operator sets in each pod (v1.8: pkg/controller.v1/pytorch/envvar.go)."""
    world_size = pods * (int(nproc) if nproc.isdigit() else 1)
    both = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    return {
        **both,
        **{f"PET_{name}": value for name, value in both.items()},
        "WORLD_SIZE": str(world_size),
        "RANK": str(pod),
        "PET_NNODES": str(pods),
        "PET_NODE_RANK": str(pod),
        "PET_NPROC_PER_NODE": nproc,
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }


def run_pods(command: list[str], folder: Path, environments: list[dict[str, str]]) -> list[tuple[int, str]]:
    pods = [
        subprocess.Popen(
            command,
            cwd=folder,
            env=launch_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for environment in environments
    ]
    outputs = [pod.communicate(timeout=90)[0] for pod in pods]
    return [(pod.returncode, output) for pod, output in zip(pods, outputs, strict=True)]


def command_of(name: str) -> list[str]:
    """The container's command of an example, made small."""
    words = json.loads(re.search(r"command: (\[.*?\])", (EXAMPLES / name).read_text(), re.DOTALL)[1])
    assert words[:8] == ["galvatron", "train", "--model", "llama2-7b", "--plan", "plan.json", "--data", "corpus"]
    return [*words[:2], *SMALL, "--data", "corpus", "--metrics", "m.jsonl", *words[8:]]


def test_pods_of_a_pytorch_job(tmp_path: Path):
    text = (EXAMPLES / "kubernetes.yaml").read_text()
    assert 'nprocPerNode: "8"' in text
    (port,) = free_ports(1)
    ends = run_pods(command_of("kubernetes.yaml"), tmp_path, [pods_environment(pod, 2, "2", port) for pod in range(2)])
    assert [code for code, _ in ends] == [0, 0], ends
    require_one_ranks_losses(tmp_path)
    shares = list((tmp_path / "save").glob("step-*/state-*-of-00004.safetensors"))
    assert len(shares) == 4  # one of each rank


def test_pods_of_an_indexed_job(tmp_path: Path):
    command = command_of("indexed_job.yaml")
    for option, value in {"--nproc": "1", "--master-addr": "localhost"}.items():
        command[command.index(option) + 1] = value
    (port,) = free_ports(1)
    command += ["--master-port", str(port)]
    ends = run_pods(command, tmp_path, [{"JOB_COMPLETION_INDEX": str(pod)} for pod in range(2)])
    assert [code for code, _ in ends] == [0, 0], ends
    require_one_ranks_losses(tmp_path)


@pytest.mark.parametrize("name", ["kubernetes.yaml", "indexed_job.yaml"])
def test_manifests_are_yaml(name: str):
    yaml = pytest.importorskip("yaml")
    assert all(part["kind"] for part in yaml.safe_load_all((EXAMPLES / name).read_text()))


def test_ranks_and_machines_that_contradict_each_other(tmp_path: Path):
    pods = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29577"}
    for nproc in (2, 8):
        refused = run([*JOB, "--nproc", nproc], tmp_path, **pods)
        assert refused.returncode == 2
        assert f"--nproc {nproc}, but torchrun started 2 ranks (WORLD_SIZE=2, RANK=0)" in refused.stderr
        assert "add --nnodes 2" in refused.stderr
    refused = run([*JOB, "--nnodes", 2], tmp_path)
    assert refused.returncode == 2
    assert "--nnodes 2 needs --node-rank" in refused.stderr
    (tmp_path / "hosts").write_text("n1\n")
    for arguments, extra, words in [
        (["--nnodes", 2], {}, "leave --nnodes and --node-rank away"),
        ([], {"RANK": "0", "LOCAL_RANK": "0", **pods}, "but torchrun has started 2 already"),
    ]:
        refused = run([*JOB, "--hostfile", "hosts", *arguments], tmp_path, **extra)
        assert refused.returncode == 2
        assert words in refused.stderr


def test_an_address_that_is_none_is_said_at_once(tmp_path: Path):
    two = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_PORT": "29577"}
    refused = run(JOB, tmp_path, timeout=25, MASTER_ADDR="no-such-host.invalid", **two)
    assert refused.returncode == 2
    assert "'no-such-host.invalid' of rank 0 has no address here" in refused.stderr


def test_ranks_with_different_world_sizes_are_all_told(tmp_path: Path):
    (port,) = free_ports(1)
    both = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [{**both, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": size} for rank, size in enumerate("23")]
    for code, output in run_pods([*map(str, JOB)], tmp_path, ranks):
        assert code == 2, output
        assert "WORLD_SIZE is 2 for rank 0 and 3 for rank 1: give all ranks the same" in output


def test_addresses_in_brackets(tmp_path: Path):
    if not Path("/proc/net/if_inet6").exists() or not Path("/proc/net/if_inet6").read_text():
        pytest.skip("this machine has no IPv6")
    (port,) = free_ports(1)
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "[::1]", "MASTER_PORT": str(port)}
    ranks = [{**both, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    ends = run_pods([*map(str, JOB), "--metrics", "m.jsonl"], tmp_path, ranks)
    assert [code for code, _ in ends] == [0, 0], ends
    require_one_ranks_losses(tmp_path)


def test_ranks_are_pinned_to_cores_of_their_own(tmp_path: Path):
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("one core cannot be divided")
    first, second = sorted(cores)[:2]
    pinned = [*JOB, "--nproc", 2, "--pin", "core"]
    done = run(["taskset", "-c", f"{first},{second}", *pinned, "--metrics", "m.jsonl"], tmp_path)
    if "made without hwloc" in done.stderr:
        pytest.skip("this build has no hwloc")
    assert done.returncode == 0, done.stderr
    assert re.search(r"pinned: rank 0 of 2 has 1 of \d+ cores \(CPUs \d+\) and 1 thread", done.stderr), done.stderr
    # One core: both ranks share it.
    one = run(["taskset", "-c", first, *pinned, "--metrics", "one_core.jsonl"], tmp_path)
    assert f"has 1 of 1 cores (CPUs {first}) and 1 thread" in one.stderr
    run([*JOB, "--nproc", 2, "--pin", "none", "--metrics", "free.jsonl"], tmp_path)
    assert losses(tmp_path / "m.jsonl") == losses(tmp_path / "free.jsonl") == losses(tmp_path / "one_core.jsonl")

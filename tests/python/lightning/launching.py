"""Starts the ranks of a test as a cluster would: one process each, told its place by the environment."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LIMIT = 900  # seconds of a launch, many times what it takes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


# What a Trainer of this process has set for itself.
PLACE = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def rank_environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in PLACE}
    path = os.pathsep.join([str(ROOT / "python"), str(HERE), os.environ.get("PYTHONPATH", "")])
    return {**own, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **more}


def launch(cases: list[dict[str, Any]], ranks: int, folder: Path) -> None:
    """Runs the cases one after the other on each of the ranks; results are for read_result()."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps(cases))
    port = free_port()
    processes = []
    for rank in range(ranks):
        environment = rank_environment(
            RANK=str(rank), LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE=str(ranks),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        )  # fmt: skip
        command = [sys.executable, str(HERE / "run_cases.py"), str(folder), str(rank), str(ranks)]
        with open(folder / f"output-{rank}.txt", "w") as output:
            processes.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT))
    try:
        codes = [process.wait(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    said = "\n".join(f"--- rank {r}\n{(folder / f'output-{r}.txt').read_text()[-3000:]}" for r in range(ranks))
    assert codes == [0] * ranks, said


def read_result(folder: Path, name: str, rank: int = 0) -> dict[str, Any]:
    return torch.load(folder / f"{name}-{rank}.pt", weights_only=False)

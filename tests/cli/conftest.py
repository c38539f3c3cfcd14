"""Starting the binary, and small token files."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import time
from pathlib import Path

import pytest

SOURCE_DIR = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("GALVATRON_BINARY_DIR", SOURCE_DIR / "build" / "release")) / "bin" / "galvatron"
LAUNCH_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LAUNCH_PREFIXES = ("SLURM_", "OMPI_", "PMI_", "PMIX_", "PET_", "KUBERNETES_")


def clean_environment(**extra: str) -> dict[str, str]:
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in LAUNCH_VARIABLES and not key.startswith(LAUNCH_PREFIXES)
    }
    return {**environment, "OMP_NUM_THREADS": os.environ.get("GALVATRON_TEST_THREADS", "1"), **extra}


@pytest.fixture
def start(tmp_path: Path):
    """Starts `galvatron ARGUMENTS` in tmp_path."""

    def run(*arguments: object, **extra: str) -> subprocess.Popen:
        return subprocess.Popen(
            [str(BINARY), *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture
def on_a_disk(tmp_path: Path):
    """Runs `galvatron ARGUMENTS` in tmp_path where `disk` is a disk of its own, of so many bytes, behind COMMANDS."""

    def run(size: int, commands: str, *arguments: object) -> subprocess.CompletedProcess:
        (tmp_path / "disk").mkdir(exist_ok=True)
        script = f'mount -t tmpfs -o size={size} none disk && {commands} && exec "$@"'
        return subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(BINARY), *map(str, arguments)],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.fixture
def galvatron(start):
    """Runs `galvatron ARGUMENTS` to its end; nothing may take a minute."""

    def run(*arguments: object, **extra: str) -> subprocess.CompletedProcess:
        process = start(*arguments, **extra)
        try:
            out, err = process.communicate(timeout=240)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


def write_tokens(prefix: Path, tokens: list[int]) -> None:
    """A token file pair of one document, two bytes a token."""
    prefix.with_suffix(".bin").write_bytes(struct.pack(f"<{len(tokens)}H", *tokens))
    header = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 1, 2)
    prefix.with_suffix(".idx").write_bytes(header + struct.pack("<iqqq", len(tokens), 0, 0, 1))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Tokens that a model can learn: 0 1 2 ... 16 0 1 2 ..."""
    write_tokens(tmp_path / "corpus", [i % 17 for i in range(20_000)])
    return tmp_path / "corpus"


def refusal(result: subprocess.CompletedProcess) -> str:
    """The last thing that a command said which took something that it was given for impossible."""
    assert result.returncode == 2, (result.returncode, result.stderr)
    return result.stderr.splitlines()[-1]


def wait_for_steps(metrics: Path, steps: int, job: subprocess.Popen) -> None:
    """Until the job has written so many lines."""
    deadline = time.monotonic() + 60
    while not metrics.exists() or metrics.read_text().count("\n") < steps:
        assert time.monotonic() < deadline and job.poll() is None, job.communicate()
        time.sleep(0.02)


def read_metrics(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(path: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(path)]

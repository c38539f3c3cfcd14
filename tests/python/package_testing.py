"""What the tests of the Python package share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GALVATRON_BINARY_DIR", ROOT / "build/release"))
TINY = "gpt2-tiny"
TINY_VOCABULARY = 509
QUICK = {"steps": 3, "seq_length": 16, "global_batch": 4, "precision": "fp32", "lr": 1e-2}
# By which launchers tell a process its rank.
LAUNCH_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

needs_module = pytest.mark.skipif(
    not list((BUILD / "python/galvatron").glob("_core*.so")), reason="the Python module is not built (python3-dev)"
)


def galvatron_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(BUILD / "bin/galvatron"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

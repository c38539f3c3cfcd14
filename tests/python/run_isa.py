"""Repeats the numerical tests under other kernels of this processor: python tests/python/run_isa.py KERNELS.

One ctest for each of KERNELS, with the label isa (tests/python/CMakeLists.txt). Ends with SKIPPED, and says why, where
the processor has not what they need.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

SKIPPED = 77
ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("GALVATRON_BINARY_DIR", ROOT / "build/release")) / "bin"

# What chooses kernels: ATen's own vector code, MKL's matrix products, oneDNN's convolutions, threads.
KERNELS: dict[str, dict[str, str]] = {
    "aten-default": {"ATEN_CPU_CAPABILITY": "default"},
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "aten-avx512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "mkl-avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "mkl-avx512": {"MKL_ENABLE_INSTRUCTIONS": "AVX512"},
    # Processors that are not Intel's take no notice of MKL_ENABLE_INSTRUCTIONS, but of this.
    "mkl-compatible": {"MKL_CBWR": "COMPATIBLE"},
    "onednn-sse4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "onednn-avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "threads-2": {"GALVATRON_TEST_THREADS": "2"},
    "threads-4": {"GALVATRON_TEST_THREADS": "4"},
}
RANK = {"DEFAULT": 0, "AVX2": 1, "AVX512": 2}

COMMANDS: list[list[str | Path]] = [
    [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "isa",
        "tests/python/test_hf_parity.py",
        "tests/python/test_package.py",
    ],
    [BINARIES / "nn_tests", "--gtest_brief=1"],
    [BINARIES / "train_tests", "--gtest_brief=1", "--gtest_filter=Trainer.*Losses:AdamW.*:Checkpoint.GoesOn*"],
    [BINARIES / "plan_fuzz", "--count", "20"],
]


def missing(kernels: str) -> str | None:
    """What this processor does not have of what the kernels need."""
    needed = "AVX512" if kernels.endswith("avx512") else "AVX2" if kernels.endswith("avx2") else "DEFAULT"
    has = torch.backends.cpu.get_cpu_capability()
    return needed if RANK.get(has, 0) < RANK[needed] else None


def main(kernels: str) -> int:
    if (lacks := missing(kernels)) is not None:
        print(f"isa {kernels}: skipped, this processor has no {lacks}")
        return SKIPPED
    threads = KERNELS[kernels].get("GALVATRON_TEST_THREADS", "1")
    environment = {**os.environ, **KERNELS[kernels], "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    for command in COMMANDS:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, env=environment, check=False)
        if done.returncode != 0:
            print(f"isa {kernels}: {Path(command[0]).name} fails with {done.returncode}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

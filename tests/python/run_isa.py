"""Repeats the numerical tests under other kernels of this processor: python tests/python/run_isa.py VARIABLE=VALUE.

VARIABLE chooses kernels: ATEN_CPU_CAPABILITY torch's own vector code, MKL_ENABLE_INSTRUCTIONS and MKL_CBWR the matrix
products (processors that are not Intel's take no notice of the first), ONEDNN_MAX_CPU_ISA the convolutions,
GALVATRON_TEST_THREADS the threads. tests/python/CMakeLists.txt has a ctest for each, with the label isa. Ends with
SKIPPED, and says why, where the processor has not what is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

SKIPPED = 77
CPUINFO = Path("/proc/cpuinfo")
ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("GALVATRON_BINARY_DIR", ROOT / "build/release")) / "bin"

NUMERICAL = ["tests/python/test_hf_parity.py", "tests/python/test_package.py"]
COMMANDS: list[list[str | Path]] = [
    [sys.executable, "-m", "pytest", "-q", "-m", "isa", *NUMERICAL],
    [BINARIES / "nn_tests", "--gtest_brief=1"],
    [BINARIES / "train_tests", "--gtest_brief=1", "--gtest_filter=Trainer.AMix*:AdamW.*:Sgd.*:Checkpoint.GoesOn*"],
    [BINARIES / "plan_fuzz", "--count", "20"],
]


LEVELS = ["DEFAULT", "AVX2", "AVX512"]  # as torch calls them


def why_not(variable: str, value: str) -> str | None:
    """This processor has no such kernels, or has no others: then all the other tests run with them."""
    has = torch.backends.cpu.get_cpu_capability()
    level = LEVELS.index(has) if has in LEVELS else 0  # other processors have other names
    wanted = value.upper()
    if wanted in LEVELS[level + 1 :]:
        return f"this processor has no {wanted}"
    is_intel = "GenuineIntel" in CPUINFO.read_text() if CPUINFO.exists() else False
    if variable == "MKL_ENABLE_INSTRUCTIONS" and not is_intel:
        return "MKL takes no notice of it on this processor"
    if wanted == has and variable in ("ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA"):
        return "all other tests run with it"
    return None


def main(kernels: str) -> int:
    variable, _, value = kernels.partition("=")
    if (reason := why_not(variable, value)) is not None:
        print(f"{kernels}: skipped, {reason}")
        return SKIPPED
    threads = value if variable == "GALVATRON_TEST_THREADS" else "1"
    environment = {**os.environ, variable: value, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # there may be fewer cores than threads, and other tests on them
    for command in COMMANDS:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, env=environment, check=False)
        if done.returncode != 0:
            print(f"{kernels}: {Path(command[0]).name} fails with {done.returncode}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

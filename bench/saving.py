#!/usr/bin/env python3
"""Bandwidth of saving and loading checkpoints beside the disk's own, and the stall of an asynchronous save.

bench/saving.py --nproc 4 --layers 20
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 128, "n_embd": 768, "n_head": 12}
STEPS, INTERVAL = 6, 3


def run(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout + done.stderr


def disk_bandwidth(folder: pathlib.Path, mebibytes: int) -> float:
    """Bytes per second of writing and syncing one file."""
    file = folder / "dd"
    started = time.perf_counter()
    run(["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={mebibytes}", "conv=fsync"])
    seconds = time.perf_counter() - started
    file.unlink()
    return (mebibytes << 20) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nproc", type=int, default=4)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--folder", type=pathlib.Path, help="on the disk to measure; default: a temporary one")
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "bin" / "galvatron"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        (folder / "config.json").write_text(json.dumps({**CONFIG, "n_layer": options.layers}))
        command = [options.binary, "train", "--model", str(folder / "config.json"), "--data", "synthetic"]
        command += ["--precision", "fp32", "--device", "cpu", "--seq-length", "16", "--global-batch", "4"]
        command += ["--nproc", str(options.nproc), "--zero-stage", "3"]
        figures = {}
        for kind, extra in (("synchronous", []), ("asynchronous", ["--async-save"])):
            place = ["--save", str(folder / kind), "--run-dir", str(folder / f"{kind}-run")]
            run([*command, *place, *extra, "--steps", str(STEPS), "--save-interval", str(INTERVAL), "--keep-last", "1"])
            figures[kind] = json.loads((folder / f"{kind}-run" / "summary.json").read_text())["checkpoints"]
        plain = figures["synchronous"]
        size = plain["bytes"] / plain["count"]
        own = disk_bandwidth(folder, int(size) >> 20)
        loaded = run([*command, "--resume", str(folder / "synchronous"), "--steps", str(STEPS + 1)])
        seconds = float(re.search(r"read in ([0-9.]+) s", loaded).group(1))
    print(f"a checkpoint of {size / 1e9:.2f} GB, {options.nproc} ranks, ZeRO-3")
    for what, value in (
        ("dd with fsync", own),
        ("saving", plain["bytes"] / plain["write_seconds"]),
        ("loading", size / seconds),
    ):
        print(f"  {what:<16}{value / 1e6:>8.0f} MB/s{value / own:>8.2f} of dd")
    stalls = {kind: figure["stall_seconds"] / figure["count"] for kind, figure in figures.items()}
    print(f"  a synchronous save stalls training for {stalls['synchronous']:.2f} s")
    share = stalls["asynchronous"] / stalls["synchronous"]
    print(f"  an asynchronous one for {stalls['asynchronous']:.3f} s ({100 * share:.1f} %)")


if __name__ == "__main__":
    main()

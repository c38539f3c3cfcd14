#!/usr/bin/env python3
"""Kills ranks of a training job at random moments, again and again, and lets the same command go on each time.

Two jobs with different plans take turns. In the end each must have the loss of a run that nobody disturbed, to the bit;
no checkpoint may be lost or found damaged on the way.

    bench/kills.py --kills 100
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLANS = {
    "ZeRO-2": ["--zero-stage", "2"],
    "pipeline": ["--pp-degree", "2", "--num-microbatches", "4"],
}
MODEL = ["--model", "gpt2-tiny", "--data", "synthetic", "--seq-length", "64", "--precision", "fp32", "--device", "cpu"]
RANKS = 2
STOP_SHARE = 0.03  # of the kills; each costs a collective's timeout
PATIENCE = 240  # seconds for anything


class Job:
    """One plan's run, started again and again by one command."""

    def __init__(self, binary: str, folder: pathlib.Path, name: str, steps: int, interval: int) -> None:
        self.name, self.folder, self.steps = name, folder, steps
        self.save = folder / "save"
        self.last_resumed = 0
        self.command = [binary, "train", *MODEL, *PLANS[name], "--nproc", str(RANKS), "--steps", str(steps)]
        self.restart = ["--save", str(self.save), "--save-interval", str(interval), "--resume", "auto"]
        self.restart += ["--keep-last", "3", "--run-dir", str(folder / "run")]

    def start(self, asynchronous: bool) -> subprocess.Popen:
        extra = ["--async-save"] if asynchronous else []
        return subprocess.Popen(
            [*self.command, *self.restart, *extra],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )

    def losses(self, folder: pathlib.Path) -> list[float]:
        return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]

    def undisturbed(self) -> list[float]:
        folder = self.folder / "whole"
        subprocess.run(
            [*self.command, "--run-dir", str(folder)],
            check=True,
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
        )
        return self.losses(folder)

    def check_restart(self, output: str) -> None:
        """What a start said of the checkpoint that it went on from."""
        if "is damaged" in output:
            sys.exit(f"{self.name}: a checkpoint was damaged:\n{output}")
        found = re.search(r"going on from \S+/step-(\d+)", output)
        step = int(found.group(1)) if found else 0
        if step < self.last_resumed and "training" in output:
            sys.exit(f"{self.name}: went on from step {step} after one from {self.last_resumed}:\n{output}")
        self.last_resumed = max(step, self.last_resumed)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def ranks_of(parent: int) -> list[int]:
    children = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in children.read_text().split()] if children.exists() else []


def disturb(job: Job, draw: random.Random) -> str:
    """Starts the job and kills something of it; what, or "done" when it was too late."""
    process = job.start(asynchronous=draw.random() < 0.5)
    time.sleep(draw.uniform(0.3, 4.0))
    pids = ranks_of(process.pid)
    victims = [*pids, process.pid] if pids else [process.pid]
    stops = bool(pids) and draw.random() < STOP_SHARE
    victim = draw.choice(pids) if stops else draw.choice(victims)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGSTOP if stops else signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE)
    job.check_restart(output)
    if process.returncode == 0:
        return "done"
    return "stopped" if stops else "launcher" if victim == process.pid else "rank"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--steps", type=int, default=600, help="of each job")
    parser.add_argument("--interval", type=int, default=5, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "bin" / "galvatron"))
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for name in PLANS:
            place = pathlib.Path(folder) / name
            place.mkdir()
            jobs.append(Job(options.binary, place, name, options.steps, options.interval))
        counts: dict[str, int] = {}
        kills = 0
        while kills < options.kills:
            what = disturb(jobs[kills % len(jobs)], draw)
            counts[what] = counts.get(what, 0) + 1
            if what == "done":
                break
            kills += 1
            print(f"\r{kills} kills, at steps {[job.last_resumed for job in jobs]}", end="", flush=True)
        print()
        for job in jobs:
            output, _ = (process := job.start(asynchronous=False)).communicate(timeout=10 * PATIENCE)
            job.check_restart(output)
            finished = process.returncode == 0 or "leaves none to do" in output
            same = finished and job.losses(job.folder / "run") == job.undisturbed()
            end = "every loss is that of the undisturbed run, to the bit" if same else f"DIFFERS: {output}"
            print(f"{job.name}: {end}")
            if not same:
                sys.exit(1)
        print(f"{kills} kills ({', '.join(f'{count} {what}' for what, count in counts.items())}); nothing was lost")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Kills ranks of a training job at random moments, again and again, and lets the same command go on each time.

Jobs with different plans take turns; one that reaches its end is compared, and a new one begins. Each must have the
losses of a run that nobody disturbed, to the bit. No checkpoint may be lost, damaged, or visible before it is whole.

    bench/kills.py --kills 100
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
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
MODEL = ["--model", "gpt2-tiny", "--data", "synthetic", "--seq-length", "32", "--precision", "fp32", "--device", "cpu"]
RANKS = 2
SHARES = {signal.SIGKILL: 0.65, signal.SIGTERM: 0.25, signal.SIGSTOP: 0.10}
DONE, RESUMABLE = 0, 75
PATIENCE = 240  # seconds for anything


class Failure(Exception):
    """What must never happen, and did."""


class Checkpoints:
    """The folder of a job, as anybody sees it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def being_written(self) -> set[tuple[str, int]]:
        """What lies half written there: each with its inode, for what a kill has left may stay until the next save."""
        found = set()
        for partial in self.folder.glob("step-*.partial"):
            with contextlib.suppress(FileNotFoundError):
                found.add((partial.name, partial.stat().st_ino))
        return found

    def newest(self) -> int:
        """The step that `latest` names; 0 where there is none yet. What has its name must be whole."""
        for checkpoint in self.folder.glob("step-??????"):
            with contextlib.suppress(FileNotFoundError):  # --keep-last removes old ones meanwhile
                self.require_whole(checkpoint)
        latest = self.folder / "latest"
        if not latest.exists():
            return 0
        name = latest.read_text().split()[0]
        if not (self.folder / name / "checkpoint.json").exists():
            raise Failure(f"latest names {name}, which is not there")
        return int(name.removeprefix("step-"))

    @staticmethod
    def require_whole(checkpoint: pathlib.Path) -> None:
        try:
            files = json.loads((checkpoint / "checkpoint.json").read_text())["files"]
            sizes = {file["name"]: file["bytes"] for file in files}
            found = {name: (checkpoint / name).stat().st_size for name in sizes}
        except FileNotFoundError:
            if checkpoint.exists():
                raise Failure(f"{checkpoint.name} is half there") from None
            raise
        if found != sizes or len(sizes) != RANKS:
            raise Failure(f"{checkpoint.name} is not whole: {found}, not {sizes}")


class Job:
    """One plan's run, started again and again by one command."""

    def __init__(self, folder: pathlib.Path, name: str, options: argparse.Namespace) -> None:
        self.name, self.folder = name, folder
        self.checkpoints = Checkpoints(folder / "save")
        self.last_step = 0  # that a start went on from
        self.finished = 0
        self.command = [options.binary, "train", *MODEL, *PLANS[name], "--nproc", str(RANKS)]
        self.command += ["--steps", str(options.steps)]
        self.restart = ["--save", str(self.checkpoints.folder), "--save-interval", str(options.interval)]
        self.restart += ["--resume", "auto", "--keep-last", "3", "--run-dir", str(folder / "run")]
        self.restart += options.limits
        self.expected = self.undisturbed()

    def undisturbed(self) -> list[float]:
        whole = self.folder / "whole"
        subprocess.run(
            [*self.command, "--run-dir", str(whole)],
            check=True,
            capture_output=True,
            env=environment(),
            timeout=PATIENCE,
        )
        return losses(whole)

    def start(self, asynchronous: bool) -> subprocess.Popen:
        extra = ["--async-save"] if asynchronous else []
        return subprocess.Popen(
            [*self.command, *self.restart, *extra],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )

    def end(self, process: subprocess.Popen) -> int:
        """Waits for its end. What it said of the checkpoint that it went on from must hold."""
        output, _ = process.communicate(timeout=PATIENCE)
        if "is damaged" in output:
            raise Failure(f"a checkpoint was damaged:\n{output}")
        found = re.search(r"going on from \S+/step-(\d+)", output)
        if found and int(found.group(1)) < self.last_step:
            raise Failure(f"went on from step {found.group(1)} where step {self.last_step} was saved:\n{output}")
        newest = self.checkpoints.newest()
        if newest < self.last_step:
            raise Failure(f"step {self.last_step} was there, and now the newest is {newest}:\n{output}")
        self.last_step = newest
        # The last save may be there although the run was killed behind it.
        done = process.returncode == DONE or "leaves none to do" in output
        if done:
            self.compare(output)
        return DONE if done else process.returncode

    def compare(self, output: str) -> None:
        if losses(self.folder / "run") != self.expected:
            raise Failure(f"other losses than those of the undisturbed run:\n{output}")
        self.finished += 1
        self.last_step = 0
        shutil.rmtree(self.checkpoints.folder)
        shutil.rmtree(self.folder / "run")


def losses(run: pathlib.Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def ranks_of(parent: int) -> list[int]:
    children = pathlib.Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in children.read_text().split()] if children.exists() else []


def wait_for(condition: collections.abc.Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


def wait_for_a_moment(job: Job, process: subprocess.Popen, draw: random.Random, left: set[tuple[str, int]]) -> str:
    """While it starts, in the middle of a save, or at any time of training. `left`: by those who were killed before."""
    kind = draw.choices(["start", "save", "training"], [0.1, 0.45, 0.45])[0]
    if kind == "start":
        time.sleep(draw.uniform(0.05, 1.5))
        return kind
    wait_for(lambda: bool(job.checkpoints.being_written() - left), process)
    time.sleep(draw.uniform(0, 0.02) if kind == "save" else draw.uniform(0.02, 1.0))
    return kind


def disturb(job: Job, draw: random.Random) -> tuple[str, str]:
    """Starts the job and does something to one of its processes: what, and when. "ended": it was too late."""
    left = job.checkpoints.being_written()
    process = job.start(asynchronous=draw.random() < 0.5)
    moment = wait_for_a_moment(job, process, draw, left)
    ranks = ranks_of(process.pid)
    number = draw.choices(list(SHARES), list(SHARES.values()))[0]
    if number == signal.SIGSTOP and not ranks:
        number = signal.SIGKILL
    victim = draw.choice(ranks if number == signal.SIGSTOP else [*ranks, process.pid])
    too_late = process.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, number)
    code = job.end(process)
    if too_late or (code == DONE and number != signal.SIGTERM):
        return "ended", moment
    who = "launcher" if victim == process.pid else "rank"
    return f"{number.name} of a {who}", moment


def run(options: argparse.Namespace, folder: pathlib.Path) -> None:
    draw = random.Random(options.seed)
    jobs = []
    for name in PLANS:
        (folder / name).mkdir()
        jobs.append(Job(folder / name, name, options))
    kinds: collections.Counter[str] = collections.Counter()
    moments: collections.Counter[str] = collections.Counter()
    started = time.monotonic()
    while kinds.total() < options.kills:
        job = jobs[kinds.total() % len(jobs)]
        try:
            what, moment = disturb(job, draw)
        except Failure as failure:
            sys.exit(f"\n{job.name}, after {kinds.total()} kills from seed {options.seed}: {failure}")
        if what == "ended":
            continue
        kinds[what] += 1
        moments[moment] += 1
        print(f"\r{kinds.total()} kills, {sum(job.finished for job in jobs)} jobs at their end", end="", flush=True)
    print()
    for job in jobs:
        while job.last_step > 0 or job.finished == 0:
            code = job.end(job.start(asynchronous=False))
            if code not in (DONE, RESUMABLE):
                sys.exit(f"{job.name}: the last start ended with {code}")
    for job in jobs:
        print(f"{job.name}: {job.finished} jobs reached their end, every loss that of an undisturbed run, to the bit")
    print(f"{kinds.total()} kills in {time.monotonic() - started:.0f} s: " + listed(kinds))
    print(f"when: {listed(moments)}; no checkpoint was lost, damaged or half visible")


def listed(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200, help="of each job")
    parser.add_argument("--interval", type=int, default=5, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "bin" / "galvatron"))
    parser.add_argument(
        "--limits", nargs=argparse.REMAINDER, default=[], help="options of the jobs, such as time limits"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options, pathlib.Path(folder))


if __name__ == "__main__":
    main()

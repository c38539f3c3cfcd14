#!/usr/bin/env python3
"""Tokens/s, MFU and peak memory of `galvatron train` beside PyTorch on the same ranks.

    bench/train/turns.py [--nproc 2] [--precision bf16] [--device cuda] [--model gpt2] [--json FILE]

One rank: a plain loop and torch.compile; several: DDP and FSDP2. All jobs live at once and take turns step by step: all
others are stopped while one runs, so that the drift of a shared machine cancels (on CUDA all must fit on the devices;
--one-by-one runs them after each other, in rounds). Prints one table: the ratio is a job's time over that of the first,
round by round, with its quartiles. MFU counts by Megatron's convention (Narayanan et al. 2021, section 5.1, without
recomputation): 72 B S L h^2 (1 + S / 6h + V / 12 L h) FLOPs a step, all of attention's square; of the device's peak
(--peak-tflops), on a CPU of what a large product of the same precision reaches on as many threads.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOOPS = pathlib.Path(__file__).resolve().parent / "loops.py"
SECONDS_A_STEP = 600
MANY_STEPS = 1_000_000


def descendants(pid: int) -> list[int]:
    found = [pid]
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [p for child in children.read_text().split() for p in descendants(int(child))]
    return found


def peak_resident(pid: int) -> int:
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Job:
    """Processes that append a line to a file after every step, and stand still between their turns."""

    def __init__(self, name: str, commands: list[tuple[list[str], dict[str, str]]], lines: pathlib.Path) -> None:
        self.name, self.lines = name, lines
        lines.unlink(missing_ok=True)
        self.errors = lines.with_suffix(".err").open("w+")
        self.processes = [
            subprocess.Popen(
                c, env={**os.environ, **e}, stdout=subprocess.DEVNULL, stderr=self.errors, start_new_session=True
            )
            for c, e in commands
        ]
        self.seconds: list[float] = []
        self.peak = 0  # bytes of a rank
        self.on_device = False

    def _count(self) -> int:
        try:
            return self.lines.read_bytes().count(b"\n")
        except OSError:
            return 0

    def _signal(self, number: int) -> None:
        for process in self.processes:
            for pid in descendants(process.pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)

    def _fail(self, what: str) -> None:
        self.errors.seek(0)
        sys.exit(f"{self.name} {what}: {self.errors.read()[-500:].strip()}")

    def step(self) -> float:
        have, start = self._count(), time.perf_counter()
        self._signal(signal.SIGCONT)
        while self._count() <= have:
            if any(p.poll() is not None for p in self.processes):
                self._fail("ended early")
            if time.perf_counter() - start > SECONDS_A_STEP:
                self._fail(f"made no step within {SECONDS_A_STEP} s")
            time.sleep(0.0005)
        seconds = time.perf_counter() - start
        self._signal(signal.SIGSTOP)
        return seconds

    def memory(self) -> int:
        """Peak of a rank: the device's where the job says it, else resident."""
        said = [json.loads(line).get("memory_bytes", 0) for line in self.lines.read_text().splitlines()]
        resident = max(peak_resident(pid) for process in self.processes for pid in descendants(process.pid))
        return max(said) if self.on_device else resident

    def end(self) -> None:
        pids = [pid for process in self.processes for pid in descendants(process.pid)]
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes:
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def our_job(args: argparse.Namespace, name: str, folder: pathlib.Path, options: list[str]) -> Job:
    lines = folder / f"{len(list(folder.iterdir()))}.jsonl"
    command = [args.binary, "train", "--model", str(args.config), "--data", "synthetic", "--precision", args.precision]
    command += ["--device", args.device, "--steps", str(MANY_STEPS), "--global-batch", str(args.global_batch)]
    command += ["--seq-length", str(args.seq_length), "--metrics", str(lines), "--nproc", str(args.nproc), *options]
    return Job(name, [(command, {"OMP_NUM_THREADS": str(args.threads)})], lines)


def torch_job(args: argparse.Namespace, loop: str, folder: pathlib.Path) -> Job:
    lines = folder / f"{len(list(folder.iterdir()))}.jsonl"
    command = [sys.executable, str(LOOPS), "--loop", loop, "--config", str(args.config), "--lines", str(lines)]
    command += ["--device", args.device, "--precision", args.precision, "--global-batch", str(args.global_batch)]
    command += ["--seq-length", str(args.seq_length), "--steps", str(MANY_STEPS)]
    shared = {"OMP_NUM_THREADS": str(args.threads), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [dict(shared, WORLD_SIZE=str(args.nproc), RANK=str(r), LOCAL_RANK=str(r)) for r in range(args.nproc)]
    return Job(f"PyTorch {loop}", [(command, environment) for environment in ranks], lines)


def make_jobs(args: argparse.Namespace, folder: pathlib.Path) -> list:
    """What is measured, ours first: functions that start a job."""
    ours = {"galvatron": args.options.split()}
    if args.nproc > 1:
        ours["galvatron zero-3"] = ["--zero-stage", "3"]
    jobs = [(name, functools.partial(our_job, args, name, folder, options)) for name, options in ours.items()]
    for loop in ["plain", "compile"] if args.nproc == 1 else ["ddp", "fsdp2"]:
        jobs.append((f"PyTorch {loop}", functools.partial(torch_job, args, loop, folder)))
    wanted = args.only.split(",") if args.only else []
    return [start for name, start in jobs if not wanted or any(word in name for word in wanted)]


def in_turns(args: argparse.Namespace, starts: list) -> list[Job]:
    jobs: list[Job] = []
    try:
        for start in starts:
            jobs.append(start())
            jobs[-1].on_device = args.device == "cuda"
            for _ in range(args.warmup):
                jobs[-1].step()
        for i in range(args.rounds):
            for job in jobs if i % 2 == 0 else reversed(jobs):
                job.seconds.append(job.step())
        for job in jobs:
            job.peak = job.memory()
    finally:
        for job in jobs:
            job.end()
    return jobs


def one_by_one(args: argparse.Namespace, starts: list) -> list[Job]:
    """A tenth of the rounds at a time, each in processes of its own."""
    pieces, kept = max(1, args.rounds // 10), dict[str, Job]()
    for _ in range(pieces):
        for start in starts:
            job = in_turns(argparse.Namespace(**{**vars(args), "rounds": args.rounds // pieces}), [start])[0]
            first = kept.setdefault(job.name, job)
            if first is not job:
                first.seconds += job.seconds
                first.peak = max(first.peak, job.peak)
    return list(kept.values())


def flops_of_step(args: argparse.Namespace) -> float:
    config = json.loads(args.config.read_text())
    h, layers, vocabulary, s = config["n_embd"], config["n_layer"], config["vocab_size"], args.seq_length
    factor = 1 + s / (6 * h) + vocabulary / (12 * layers * h)
    return 72 * args.global_batch * s * layers * h * h * factor


def measured_peak(args: argparse.Namespace) -> float:
    """FLOP/s of a product of 2048 x 2048 on all threads of all ranks."""
    code = (
        "import time, torch\n"
        f"torch.set_num_threads({args.threads * args.nproc})\n"
        f"a = torch.randn(2048, 2048, dtype=torch.{'bfloat16' if args.precision == 'bf16' else 'float32'})\n"
        "best = 1e9\n"
        "for _ in range(9):\n"
        "    start = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - start)\n"
        "print(2 * 2048**3 / best)\n"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def quartiles(values: list[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 4], statistics.median(ordered), ordered[3 * len(ordered) // 4]


def summary(args: argparse.Namespace, jobs: list[Job]) -> dict:
    peak = args.peak_tflops * 1e12 * args.nproc
    if not peak and args.device == "cpu":
        peak = measured_peak(args)
    flops = flops_of_step(args)
    rows = []
    for job in jobs:
        low, middle, high = quartiles([b / a for a, b in zip(jobs[0].seconds, job.seconds, strict=True)])
        seconds = statistics.median(job.seconds)
        rows.append(
            {
                "name": job.name,
                "milliseconds": 1e3 * seconds,
                "tokens_per_second": args.global_batch * args.seq_length / seconds,
                "mfu": flops / seconds / peak if peak else None,
                "peak_memory_bytes": job.peak,
                "time_over_first": {"median": middle, "low": low, "high": high},
            }
        )
    return {
        "model": args.model,
        "device": args.device,
        "precision": args.precision,
        "nproc": args.nproc,
        "threads": args.threads,
        "global_batch": args.global_batch,
        "seq_length": args.seq_length,
        "rounds": len(jobs[0].seconds),
        "flops_per_step": flops,
        "mfu_convention": "Megatron, without recomputation",
        "peak_flops": peak,
        "jobs": rows,
    }


def print_table(found: dict) -> None:
    ranks = f"{found['nproc']} ranks" if found["nproc"] > 1 else "one rank"
    print(
        f"{found['model']}, {ranks} on {found['device']}, {found['threads']} threads each, {found['precision']}, "
        f"{found['global_batch']} x {found['seq_length']} tokens a step, {found['rounds']} rounds"
    )
    if found["peak_flops"]:
        print(f"MFU by {found['mfu_convention']}, of {found['peak_flops'] / 1e12:.3g} TFLOP/s")
    print(f"  {'':<18}{'ms':>9}{'tokens/s':>12}{'MFU':>8}{'memory':>11}{'   time / first':<26}")
    for row in found["jobs"]:
        mfu = f"{100 * row['mfu']:.1f} %" if row["mfu"] else "-"
        ratio, memory = row["time_over_first"], row["peak_memory_bytes"] / 2**20
        print(
            f"  {row['name']:<18}{row['milliseconds']:>9.1f}{row['tokens_per_second']:>12.0f}{mfu:>8}"
            f"{memory:>7.0f} MiB{ratio['median']:>9.3f} ({ratio['low']:.3f} {ratio['high']:.3f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/galvatron"))
    parser.add_argument("--model", default="gpt2-quickstart", help="preset or config.json, of GPT-2's family")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--nproc", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of each rank; 0: the machine's, divided")
    parser.add_argument("--global-batch", type=int, default=8)
    parser.add_argument("--seq-length", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--options", default="", help="of galvatron train, in the first job")
    parser.add_argument("--only", default="", help="words in the names of the jobs to run, by commas")
    parser.add_argument("--one-by-one", action="store_true", help="one job at a time on the devices")
    parser.add_argument("--peak-tflops", type=float, default=0, help="of one device, dense, in this precision")
    parser.add_argument("--json", type=pathlib.Path, help="write everything here too")
    args = parser.parse_args()
    args.threads = args.threads or max(1, len(os.sched_getaffinity(0)) // args.nproc)
    preset = ROOT / "configs/models" / f"{args.model}.json"
    args.config = preset if preset.exists() else pathlib.Path(args.model)
    if not args.config.exists():
        sys.exit(f"no model {args.model}")
    if args.global_batch % args.nproc != 0:
        sys.exit(f"{args.nproc} ranks do not divide a batch of {args.global_batch}")
    with tempfile.TemporaryDirectory() as folder:
        starts = make_jobs(args, pathlib.Path(folder))
        found = summary(args, (one_by_one if args.one_by_one else in_turns)(args, starts))
    print_table(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

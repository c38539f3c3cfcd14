#!/usr/bin/env python3
"""Whole planning commands, process start included: `search --help`, Galvatron-2's recorded questions, ordinary
questions of our own cost model, and a trillion parameters on 4096 to 100,000 devices.

    bench/commands.py [BINARY [OTHER]] [--rounds 15] [--only WORD]

One binary: the median time of each command. Two take turns, and the ratio OTHER / BINARY is that of each turn: median
and, as the spread, quartiles.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "data" / "galvatron2" / "cases"
BUILT = os.environ.get("GALVATRON", str(ROOT / "build" / "release" / "bin" / "galvatron"))


def question(case: pathlib.Path) -> list[str]:
    recorded = json.loads(case.read_text())
    model, cluster, settings = recorded["model"], recorded["cluster"], recorded["settings"]
    options = {
        "--galvatron2-profiles": CASES / recorded["profiles"]["dir"],
        "--cost-model": "galvatron2",
        "--world-size": cluster["num_nodes"] * cluster["gpus_per_node"],
        "--memory": f"{recorded['memory_gb']}GiB",
        "--global-batch": recorded["global_batch"],
        "--num-layers": model["num_layers"],
        "--hidden-size": model["hidden_size"],
        "--seq-length": model["seq_length"],
        "--max-tp": settings["max_tp"],
        "--max-pp": settings["max_pp"],
        "--max-ulysses": settings["max_sp"],
        "--precision": "bf16",
    }
    if settings["chunks"] is not None:
        options["--num-microbatches"] = settings["chunks"]
    return ["search", *(str(word) for option in options.items() for word in option)]


def asked(model: str, cluster: str, batch: int, *more: str) -> list[str]:
    return ["search", "--model", model, "--cluster", cluster, "--global-batch", str(batch), *more]


ORDINARY = {
    "gpt2-1.5b on 8xA100": asked("gpt2-1.5b", "8xA100", 64),
    "llama2-7b on 8xA100": asked("llama2-7b", "8xA100", 64),
    "llama2-7b on 8xA100, 24 GiB": asked("llama2-7b", "8xA100", 64, "--memory", "24GiB"),
    "llama-13b on 8xA100-40G": asked("llama-13b", "8xA100-40G", 64),
    "llama-30b on 16xA100": asked("llama-30b", "16xA100", 64),
    "llama2-70b on 64xA100-40G": asked("llama2-70b", "64xA100-40G", 256),
    "llama2-70b on 64xH100": asked("llama2-70b", "64xH100", 512),
    "llama2-7b on 8xA100, batch 10^6": asked("llama2-7b", "8xA100", 10**6),
}
SCALES = {512: 2048, 2048: 4096, 12500: 8192}  # nodes of eight H100: batch


def scale_questions(folder: pathlib.Path) -> dict[str, list[str]]:
    """gpt-1t on clusters as large; their files are written to `folder`."""
    known = json.loads((ROOT / "configs" / "clusters" / "4096xH100.json").read_text())
    out = {}
    for nodes, batch in SCALES.items():
        name = f"{8 * nodes}xH100"
        path = folder / f"{name}.json"
        path.write_text(json.dumps(known | {"name": name, "num_nodes": nodes}))
        out[f"gpt-1t on {name}, batch {batch}"] = asked("gpt-1t", str(path), batch)
    return out


def commands(folder: pathlib.Path) -> dict[str, list[str]]:
    return (
        {"search --help": ["search", "--help"]}
        | {case.stem: question(case) for case in sorted(CASES.glob("*.json"))}
        | ORDINARY
        | scale_questions(folder)
    )


def seconds(binary: str, arguments: list[str], limit: float) -> float:
    """Of the whole process; infinity when it was ended by the limit."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=limit or None
        )
    except subprocess.TimeoutExpired:
        return float("inf")
    took = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{binary} {' '.join(arguments)}\n{done.stderr}")
    return took


def spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:6.3f} ({low:.3f} .. {high:.3f})"


def turns(binaries: list[str], arguments: list[str], rounds: int, limit: float) -> list[list[float]]:
    """Seconds of each binary by round; who goes first alternates."""
    out: list[list[float]] = [[] for _ in binaries]
    for turn in range(rounds):
        order = range(len(binaries)) if turn % 2 == 0 else reversed(range(len(binaries)))
        for which in order:
            out[which].append(seconds(binaries[which], arguments, limit))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="*", default=[BUILT], help="one to time, or two to compare")
    parser.add_argument("--rounds", type=int, default=15, help="of each command")
    parser.add_argument("--only", default="", metavar="WORD", help="commands whose name has it")
    parser.add_argument("--limit", type=float, default=0, metavar="SECONDS", help="of a command; 0: none")
    arguments = parser.parse_args()
    if len(arguments.binaries) > 2 or arguments.rounds < 2:
        parser.error("give one or two binaries and at least 2 rounds")
    everything: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, words in commands(pathlib.Path(folder)).items():
            if arguments.only not in name:
                continue
            turns(arguments.binaries, words, 1, arguments.limit)  # warms the files
            times = turns(arguments.binaries, words, arguments.rounds, arguments.limit)
            line = f"{name:40}" + "".join(f"{1000 * statistics.median(one):9.2f} ms" for one in times)
            if len(times) == 2:
                ratios = [other / one for one, other in zip(*times, strict=True)]
                everything += ratios
                line += f"   ratio {spread(ratios)}"
            print(line, flush=True)
    if everything:
        print(f"{'all':40}{'':24}   ratio {spread(everything)}")


if __name__ == "__main__":
    main()

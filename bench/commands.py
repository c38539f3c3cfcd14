#!/usr/bin/env python3
"""Whole planning commands, process start included: `search --help` and Galvatron-2's recorded questions.

    bench/commands.py [BINARY [OTHER]] [--rounds 15]

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


def commands() -> dict[str, list[str]]:
    return {"search --help": ["search", "--help"]} | {
        case.stem: question(case) for case in sorted(CASES.glob("*.json"))
    }


def seconds(binary: str, arguments: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run([binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    took = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{binary} {' '.join(arguments)}\n{done.stderr}")
    return took


def spread(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:6.3f} ({low:.3f} .. {high:.3f})"


def turns(binaries: list[str], arguments: list[str], rounds: int) -> list[list[float]]:
    """Seconds of each binary by round; who goes first alternates."""
    out: list[list[float]] = [[] for _ in binaries]
    for turn in range(rounds):
        order = range(len(binaries)) if turn % 2 == 0 else reversed(range(len(binaries)))
        for which in order:
            out[which].append(seconds(binaries[which], arguments))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", nargs="*", default=[BUILT], help="one to time, or two to compare")
    parser.add_argument("--rounds", type=int, default=15, help="of each command")
    arguments = parser.parse_args()
    if len(arguments.binaries) > 2 or arguments.rounds < 2:
        parser.error("give one or two binaries and at least 2 rounds")
    everything: list[float] = []
    for name, words in commands().items():
        turns(arguments.binaries, words, 1)  # warms the files
        times = turns(arguments.binaries, words, arguments.rounds)
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

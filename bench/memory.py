#!/usr/bin/env python3
"""Peak memory of a rank under plans that should lower it: measured by training, beside what the cost model predicts.

    bench/memory.py [--nproc 4] [--steps 2] [--model gpt2-quickstart] [--profiles DIR]

Profiles of this machine are measured into DIR first unless they are there. The ratio is predicted / measured.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILT = pathlib.Path(__file__).resolve().parent.parent / "build" / "release" / "bin" / "galvatron"
BINARY = os.environ.get("GALVATRON", BUILT)
SEQ_LENGTH, GLOBAL_BATCH, PRECISION = 256, 16, "fp32"


def strategy(**fields: object) -> dict:
    return fields


# name, strategy of every layer, pipeline stages, microbatches
PLANS = [
    ("data parallel", strategy(), 1, 1),
    ("ZeRO-1", strategy(zero_stage=1), 1, 1),
    ("ZeRO-2", strategy(zero_stage=2), 1, 1),
    ("ZeRO-3", strategy(zero_stage=3), 1, 1),
    ("tensor parallel", strategy(tp_degree=4), 1, 1),
    ("Ulysses + ZeRO-3", strategy(ulysses_degree=4, zero_stage=3), 1, 1),
    ("pipeline, 4 microbatches", strategy(), 4, 4),
    ("recompute selective", strategy(recompute="selective"), 1, 1),
    ("recompute full", strategy(recompute="full"), 1, 1),
    ("ZeRO-3 + recompute full", strategy(zero_stage=3, recompute="full"), 1, 1),
]


def run(*arguments: object) -> str:
    done = subprocess.run([str(a) for a in (BINARY, *arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout


def plan_json(model: str, num_layers: int, nproc: int, fields: dict, pp_degree: int, microbatches: int) -> dict:
    outer = {key: value for key, value in fields.items() if key != "recompute"}
    stages = [num_layers * (i + 1) // pp_degree - num_layers * i // pp_degree for i in range(pp_degree)]
    return {
        "format": "galvatron-plan",
        "version": 1,
        "model": model,
        "world_size": nproc,
        "global_batch": GLOBAL_BATCH,
        "num_microbatches": microbatches,
        "precision": PRECISION,
        "pipeline": {"degree": pp_degree, "schedule": "1f1b", "layers_per_stage": stages},
        "layers": [{"count": 1, **outer}, {"count": num_layers - 2, **fields}, {"count": 1, **outer}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nproc", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--model", default="gpt2-quickstart")
    parser.add_argument("--num-blocks", type=int, default=6, help="blocks of the model")
    parser.add_argument("--profiles", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        profiles = options.profiles or work
        hardware, model = profiles / "hardware.json", profiles / "model.json"
        if not hardware.exists():
            run("profile-hardware", "--nproc", options.nproc, "--output", hardware)
        if not model.exists():
            run(
                "profile-model",
                "--model",
                options.model,
                "--seq-length",
                SEQ_LENGTH,
                "--precision",
                PRECISION,
                "--nproc",
                options.nproc,
                "--output",
                model,
            )
        tokens = f"{GLOBAL_BATCH} x {SEQ_LENGTH} tokens"
        print(f"{options.model}, {options.nproc} ranks, {tokens}, {PRECISION}; fullest rank")
        print(f"{'plan':<26}{'measured':>12}{'predicted':>12}{'ratio':>8}{'of DP':>8}")
        baseline = None
        for name, fields, pp_degree, microbatches in PLANS:
            plan, run_dir = work / "plan.json", work / name.replace(" ", "-")
            plan.write_text(
                json.dumps(
                    plan_json(options.model, options.num_blocks + 2, options.nproc, fields, pp_degree, microbatches)
                )
            )
            run(
                "simulate",
                "--model",
                options.model,
                "--plan",
                plan,
                "--hardware",
                hardware,
                "--profile",
                model,
                "--output",
                plan,
            )
            run(
                "train",
                "--model",
                options.model,
                "--plan",
                plan,
                "--data",
                "synthetic",
                "--nproc",
                options.nproc,
                "--steps",
                options.steps,
                "--seq-length",
                SEQ_LENGTH,
                "--run-dir",
                run_dir,
            )
            ranks = json.loads((run_dir / "summary.json").read_text())["ranks"]
            measured = max(rank["peak_memory_bytes"] for rank in ranks)
            predicted = max(rank["predicted_memory_bytes"] for rank in ranks)
            baseline = baseline or measured
            print(
                f"{name:<26}{measured / 2**20:>8.1f} MiB{predicted / 2**20:>8.1f} MiB"
                f"{predicted / measured:>8.2f}{measured / baseline:>8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""A GPT on text, under the fastest plan for the ranks that there are.

In full, on a machine of 8 GPUs, with your own text:

    galvatron-data books/ --output corpus/books --train-bpe 32000
    torchrun --nproc-per-node 8 examples/gpt_text.py corpus/books --memory 60GiB

In small form, in seconds, on two ranks of any computer:

    galvatron-data stdlib --output corpus/small --train-bpe 400 --max-bytes 300KB
    torchrun --nproc-per-node 2 examples/gpt_text.py corpus/small --small
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import galvatron


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="PREFIX of a token file pair, as galvatron-data writes it")
    parser.add_argument("--model", default="gpt2", help="a preset (`galvatron models`), a config.json or a folder")
    parser.add_argument("--memory", default="16GiB", help="what the plan may use of each device")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--run-dir", type=Path, default=Path("run-gpt"))
    parser.add_argument("--small", action="store_true", help="a tiny model, a few steps, a plan by hand")
    options = parser.parse_args()
    is_first = os.environ.get("RANK", "0") == "0"

    if options.small:
        model, steps, seq_length, global_batch = "gpt2-tiny", 20, 64, 8
        # Nothing is measured: layers are split over the ranks as well as they can be.
        ranks = int(os.environ.get("WORLD_SIZE", "1"))
        plan: object = galvatron.Plan.uniform(model, world_size=ranks, global_batch=global_batch, zero_stage=2)
    else:
        model, steps, seq_length, global_batch = options.model, options.steps, 1024, 512
        plan = "auto"  # measures this machine and this model once, and searches

    summary = galvatron.train(
        model, data=options.data, plan=plan, memory=None if options.small else options.memory, steps=steps,
        seq_length=seq_length, global_batch=global_batch, lr=6e-4, min_lr=6e-5, warmup_steps=steps // 20,
        weight_decay=0.1, run_dir=options.run_dir, save=options.run_dir / "checkpoints", save_interval=steps // 2,
        resume="auto", export=options.run_dir / "weights",
    )  # fmt: skip
    found = galvatron.evaluate(
        init_from=options.run_dir / "weights", data=options.data, part="valid", seq_length=seq_length,
        global_batch=global_batch, batches=4,
    )  # fmt: skip
    if is_first:
        print(summary)
        print(f"perplexity on text that was held out: {found.perplexity:.1f}")


if __name__ == "__main__":
    main()

"""BERT learns words that are hidden from it, under a plan that is written by hand: its blocks differ.

In full, on a machine of 8 GPUs, with your own text and tokenizer:

    galvatron-data books/ --output corpus/books --tokenizer bert-base-uncased/
    torchrun --nproc-per-node 8 examples/bert_masked.py corpus/books

In small form, in seconds, on two ranks of any computer:

    galvatron-data stdlib --output corpus/small --train-bpe 400 --max-bytes 300KB
    torchrun --nproc-per-node 2 examples/bert_masked.py corpus/small --small
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import galvatron


def mixed_plan(model: str, ranks: int, global_batch: int) -> galvatron.Plan:
    """Half of the blocks have their matrices split over up to four ranks; the others keep a part of the parameters on
    each rank and compute activations again. Any such mix gives the same losses."""
    plan = galvatron.Plan.uniform(model, world_size=ranks, global_batch=global_batch, tp_degree=min(ranks, 4))
    blocks = plan.layers[1:-1]
    for block in blocks[len(blocks) // 2 :]:
        block.tp_degree = 1
        block.zero_stage = 3
        block.recompute = "full"
    plan.check(model, ranks)
    return plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="PREFIX of a token file pair, as galvatron-data writes it")
    parser.add_argument("--model", default="bert-base")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--run-dir", type=Path, default=Path("run-bert"))
    parser.add_argument("--small", action="store_true", help="a tiny model and a few steps")
    options = parser.parse_args()
    ranks = int(os.environ.get("WORLD_SIZE", "1"))

    model, steps, seq_length, global_batch = options.model, options.steps, 512, 256
    tokens: dict[str, str] = {}  # the tokenizer says which token hides others
    if options.small:
        model, steps, seq_length, global_batch = "bert-tiny", 20, 64, 8
        tokens = {"mask_token": "508"}  # the small tokenizer has none: an id of the model's that no text uses

    plan = mixed_plan(model, ranks, global_batch)
    summary = galvatron.train(
        model, data=options.data, plan=plan, steps=steps, seq_length=seq_length, whole_words=True, lr=1e-3,
        warmup_steps=steps // 20, run_dir=options.run_dir, export=options.run_dir / "weights", **tokens,
    )  # fmt: skip
    if os.environ.get("RANK", "0") == "0":
        print(plan.draw())
        print(summary)


if __name__ == "__main__":
    main()

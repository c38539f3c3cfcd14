"""T5 learns spans that were cut out of text, on a pipeline: its encoder and decoder in stages.

In full, on a machine of 8 GPUs, with your own text and T5's tokenizer:

    galvatron-data books/ --output corpus/books --tokenizer t5-base/
    torchrun --nproc-per-node 8 examples/t5_spans.py corpus/books --stages 2

In small form, in seconds, on two ranks of any computer:

    galvatron-data stdlib --output corpus/small --train-bpe 400 --max-bytes 300KB
    torchrun --nproc-per-node 2 examples/t5_spans.py corpus/small --small --stages 2
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import galvatron


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="PREFIX of a token file pair, as galvatron-data writes it")
    parser.add_argument("--model", default="t5-base")
    parser.add_argument("--stages", type=int, default=1, help="of the pipeline; the other ranks are data parallelism")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--run-dir", type=Path, default=Path("run-t5"))
    parser.add_argument("--small", action="store_true", help="a tiny model and a few steps")
    options = parser.parse_args()

    model, steps, seq_length, global_batch = options.model, options.steps, 512, 128
    if options.small:
        model, steps, seq_length, global_batch = "t5-tiny", 20, 32, 8

    # Spans are cut and marked while training reads: the token file holds plain text.
    summary = galvatron.train(
        model, data=options.data, pp_degree=options.stages, num_microbatches=4, zero_stage=1, steps=steps,
        seq_length=seq_length, global_batch=global_batch, lr=5e-3, lr_schedule="constant", warmup_steps=steps // 20,
        eval_interval=steps // 2, eval_batches=2, run_dir=options.run_dir, export=options.run_dir / "weights",
        on_step=say if os.environ.get("RANK", "0") == "0" else None,
    )  # fmt: skip
    if os.environ.get("RANK", "0") == "0":
        print(summary)


def say(step: galvatron.StepRecord) -> None:
    if step.step % 10 == 0:
        valid = "" if step.valid_loss is None else f", {step.valid_loss:.3f} on text that was held out"
        print(f"step {step.step}: loss {step.loss:.3f}{valid}", flush=True)


if __name__ == "__main__":
    main()

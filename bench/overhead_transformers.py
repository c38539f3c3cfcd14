#!/usr/bin/env python3
"""Tokens/s of `galvatron train` beside a plain PyTorch loop over the same model in transformers.

One rank, the same configuration, batch, steps, precision and number of threads. The two run in turn,
several times; the first steps of each run are not counted. Prints a table.
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

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIG = {
    "model_type": "gpt2",
    "vocab_size": 4096,
    "n_positions": 256,
    "n_embd": 256,
    "n_layer": 6,
    "n_head": 8,
    "activation_function": "gelu_new",
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "tie_word_embeddings": True,
}
WARM_UP = 3


def plain_tokens_per_second(args: argparse.Namespace) -> float:
    """The loop as its users write it: model, loss, backward, clip, fused AdamW."""
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    config = transformers.GPT2Config(**{k: v for k, v in CONFIG.items() if k != "model_type"})
    model = transformers.GPT2LMHeadModel(config).train()
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    seconds = []
    for _ in range(args.steps):
        tokens = torch.randint(CONFIG["vocab_size"], (args.batch, args.seq_length))
        start = time.perf_counter()
        loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
        seconds.append(time.perf_counter() - start)
    return args.batch * args.seq_length / statistics.median(seconds[WARM_UP:])


def our_tokens_per_second(args: argparse.Namespace, folder: pathlib.Path) -> float:
    config = folder / "config.json"
    metrics = folder / "metrics.jsonl"
    config.write_text(json.dumps(CONFIG))
    metrics.unlink(missing_ok=True)  # of the round before
    command = [args.binary, "train", "--model", str(config), "--data", "synthetic", "--precision", "fp32"]
    command += ["--device", "cpu", "--steps", str(args.steps), "--global-batch", str(args.batch)]
    command += ["--seq-length", str(args.seq_length), "--metrics", str(metrics)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"galvatron train failed: {done.stderr.strip()}")
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    return statistics.median(r["tokens_per_second"] for r in records[WARM_UP:])


def plain_in_a_process(args: argparse.Namespace) -> float:
    command = [sys.executable, __file__, "--only-plain", "--threads", str(args.threads)]
    command += ["--steps", str(args.steps), "--batch", str(args.batch), "--seq-length", str(args.seq_length)]
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default=str(ROOT / "build/release/bin/galvatron"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq-length", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-plain", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only_plain:
        print(plain_tokens_per_second(args))
        return
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            ours.append(our_tokens_per_second(args, pathlib.Path(folder)))
            plain.append(plain_in_a_process(args))
    print(f"one rank, {args.threads} threads, fp32, {args.batch} x {args.seq_length} tokens a step, tokens/s:")
    print(f"  {'round':<8}{'galvatron':>12}{'transformers':>14}{'ratio':>8}")
    for i, (a, b) in enumerate(zip(ours, plain, strict=True)):
        print(f"  {i + 1:<8}{a:>12.0f}{b:>14.0f}{a / b:>8.2f}")
    a, b = statistics.median(ours), statistics.median(plain)
    print(f"  {'median':<8}{a:>12.0f}{b:>14.0f}{a / b:>8.2f}")


if __name__ == "__main__":
    main()

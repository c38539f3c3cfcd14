#!/usr/bin/env python3
"""Training loops as their users write them in PyTorch, without anything of ours: what turns.py measures us beside.

One process of one rank: WORLD_SIZE, RANK, LOCAL_RANK, MASTER_ADDR and MASTER_PORT where there are several. Appends a
line of JSON to --lines after every step. GPT-2 with tied embeddings, fused attention, clipped gradients and fused AdamW
on fp32 weights; bf16 is autocast, or FSDP2's own mixed precision.
"""

import argparse
import contextlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, config: dict) -> None:
        super().__init__()
        width, inner = config["n_embd"], config.get("n_inner") or 4 * config["n_embd"]
        self.heads = config["n_head"]
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(self.attention_norm(x)).chunk(3, 2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        context = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(context.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.mlp_norm(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, config: dict) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config["vocab_size"], config["n_embd"])
        self.positions = nn.Embedding(config["n_positions"], config["n_embd"])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["n_layer"]))
        self.norm = nn.LayerNorm(config["n_embd"])
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)

    def forward(self, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def shard(model: Gpt, precision: str) -> Gpt:
    """FSDP2: every block and the whole, parameters gathered again in the backward."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if precision == "bf16" else None, reduce_dtype=torch.float32
    )
    for block in model.blocks:
        fully_shard(block, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    return model


def prepare(args: argparse.Namespace, model: Gpt, device: torch.device) -> Callable[..., torch.Tensor]:
    if args.loop == "compile":
        return torch.compile(model)
    if args.loop == "ddp":
        index = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=index, gradient_as_bucket_view=True)
    return shard(model, args.precision) if args.loop == "fsdp2" else model


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[int]:
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ranks
    finally:
        if ranks > 1:
            dist.destroy_process_group()


def pick_device(name: str) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def train(args: argparse.Namespace) -> None:
    device = pick_device(args.device)
    torch.manual_seed(1)
    config = json.loads(args.config.read_text())
    with process_group(device) as ranks:
        model = Gpt(config).to(device)
        step_model = prepare(args, model, device)
        groups = [
            {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), fused=True)
        casts = args.precision == "bf16" and args.loop != "fsdp2"
        shape = (args.global_batch // ranks, args.seq_length + 1)
        for _ in range(args.steps):
            start = time.perf_counter()
            text = torch.randint(config["vocab_size"], shape, device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=casts):
                loss = step_model(text[:, :-1], text[:, 1:])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            value = loss.item()
            record = {"loss": value, "seconds": time.perf_counter() - start}
            if device.type == "cuda":
                record["memory_bytes"] = torch.cuda.max_memory_allocated()
            if int(os.environ.get("RANK", "0")) == 0:
                with args.lines.open("a") as out:
                    out.write(json.dumps(record) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["plain", "compile", "ddp", "fsdp2"], required=True)
    parser.add_argument("--config", type=pathlib.Path, required=True)
    parser.add_argument("--lines", type=pathlib.Path, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--precision", choices=["fp32", "bf16"], required=True)
    parser.add_argument("--global-batch", type=int, required=True)
    parser.add_argument("--seq-length", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()

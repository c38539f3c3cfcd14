#!/usr/bin/env python3
"""Answer times of `galvatron visualize` for models of many layers on many ranks: every kind of change on the page.

    bench/server.py [BINARY] [--rounds 20]

A median and the slowest of the rounds, in ms, from the first byte of the request to the last of the answer; and from
starting the process to the whole first page.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "server"))
from visualizer_testing import BINARY, Visualizer, question  # noqa: E402

# 126 blocks, embedding and head: 128 layers.
LAYERS, RANKS = 128, 4096
ASKED = question("llama3.1-405b", "4096xH100", seq_length=8192)
SMALL = question("llama2-7b", "8xA100")


def plan_for(question: dict[str, Any], layers: int, ranks: int, batch: int) -> dict[str, Any]:
    """By hand, no two neighbouring layers alike."""
    pp_degree = 16 if ranks > 8 else 2
    strategy = [{"count": 1, "tp_degree": 4, "zero_stage": 1 + i % 2, "recompute": "full"} for i in range(layers)]
    for end in (strategy[0], strategy[-1]):  # embedding and head keep next to nothing
        del end["recompute"]
    even = [layers // pp_degree] * pp_degree
    even[-1] += layers - sum(even)
    return {
        "format": "galvatron-plan",
        "version": 1,
        "model": question["model"],
        "world_size": ranks,
        "global_batch": batch,
        "num_microbatches": 32,
        "precision": "bf16",
        "pipeline": {"degree": pp_degree, "schedule": "1f1b", "layers_per_stage": even},
        "layers": strategy,
    }


def questions(asked: dict[str, Any], layers: int, ranks: int, batch: int) -> dict[str, tuple[str, dict[str, Any]]]:
    plan = plan_for(asked, layers, ranks, batch)
    other = json.loads(json.dumps(plan))
    for layer in other["layers"]:
        layer.pop("recompute", None)
    body = {"question": asked, "plan": {"name": "plan", "plan": plan}}
    both = {"one": body["plan"], "other": {"name": "other", "plan": other}}
    return {
        "plan": ("/api/plan", body),
        "timeline": ("/api/timeline", body),
        "memory": ("/api/memory", {**body, "pp_rank": 0}),
        "compare": ("/api/compare", {"question": asked, **both}),
        "export": ("/api/export", body),
    }


def times(rounds: int, work: Callable[[], Any]) -> list[float]:
    out = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        out.append(1000 * (time.perf_counter() - start))
    return out


def ask(visualizer: Visualizer, path: str, body: dict[str, Any]) -> int:
    answer = visualizer.post(path, body)
    assert answer.status == 200, answer.body
    if path == "/api/plan":
        assert answer.json()["priced"], answer.json()["problem"]
    return len(answer.body)


def first_page(binary: pathlib.Path) -> None:
    with Visualizer(binary=binary) as visualizer:
        for path in ("/", "/api/start"):
            assert visualizer.get(path).status == 200


def report(name: str, measured: list[float], size: int | None = None) -> None:
    kilobytes = "" if size is None else f"{size / 1e3:9.0f} kB"
    print(f"{name:42} {statistics.median(measured):8.1f} ms {max(measured):8.1f} ms {kilobytes}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", type=pathlib.Path, default=BINARY)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    print(f"{'':42} {'median':>11} {'slowest':>11}")
    report("process start, page and /api/start", times(arguments.rounds, lambda: first_page(arguments.binary)))
    with Visualizer(binary=arguments.binary) as visualizer:
        for title, asked, layers, ranks, batch in (
            ("llama2-7b, 8 ranks", SMALL, 34, 8, 64),
            (f"llama3.1-405b, {LAYERS} layers, {RANKS} ranks", ASKED, LAYERS, RANKS, 2048),
        ):
            for name, (path, body) in questions(asked, layers, ranks, batch).items():
                size = ask(visualizer, path, body)
                report(f"{title}: {name}", times(arguments.rounds, lambda p=path, b=body: ask(visualizer, p, b)), size)


if __name__ == "__main__":
    main()

"""profile-hardware --from-nccl-tests: a profile of what somebody measured, without ranks and without torch."""

from __future__ import annotations

import json
from pathlib import Path

HEADER = """# nccl-tests version 2.17.6 nccl-headers=22705 nccl-library=22705
# Collective test starting: {operation}_perf
# nThread 1 nGpus 1 minBytes 1024 maxBytes 1073741824 step: 32(factor) warmup iters: 1 iters: 20 agg iters: 1
#
# Using devices
{ranks}#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)
"""


def output(operation: str, nodes: int, latency_us: float, gigabytes_per_second: float, device: str) -> str:
    ranks = "".join(
        f"#  Rank {rank:2} Group  0 Pid {4000 + rank} on node{rank // 8} device {rank % 8:2} [0000:1b:00] {device}\n"
        for rank in range(8 * nodes)
    )
    rows = []
    count = 8 * nodes
    bus = {"all_reduce": 2 * (count - 1) / count, "sendrecv": 1}.get(operation, (count - 1) / count)
    for size in (2**10, 2**15, 2**20, 2**25, 2**30):
        us = latency_us + size / gigabytes_per_second / 1e3
        bandwidth = size / us / 1e3
        result = f"{us:9.2f} {bandwidth:7.2f} {bandwidth * bus:7.2f}"
        rows.append(f"{size:12} {size // 4:12} float sum -1 {result} 0 {result} 0")
    return HEADER.format(operation=operation, ranks=ranks) + "\n".join(rows) + "\n# Out of bounds values : 0 OK\n"


def test_a_search_plans_with_it(galvatron, tmp_path: Path):
    for nodes, latency, bandwidth in ((1, 20, 200), (2, 60, 100)):
        text = output("all_reduce", nodes, latency, bandwidth, "NVIDIA H100 80GB HBM3")
        (tmp_path / f"all_reduce_{nodes}.txt").write_text(text)
    result = galvatron(
        "profile-hardware", "--from-nccl-tests", "all_reduce_1.txt", "all_reduce_2.txt", "--output", "h.json"
    )
    assert result.returncode == 0, result.stderr
    assert "16 ranks, 8 on a node" in result.stdout
    profile = json.loads((tmp_path / "h.json").read_text())
    assert profile["device"] == "NVIDIA H100 80GB HBM3"
    curve = next(table for table in profile["collectives"] if table["group_size"] == 16)
    assert curve["points"][-1] == {"bytes": 2**30, "ms": round((60 + 2**30 / 100e3) / 1e3, 5)}
    question = ["--model", "gpt2", "--cluster", "2x8xH100", "--global-batch", 64]
    result = galvatron("search", *question, "--hardware", "h.json", "--output", "plan.json")
    assert result.returncode == 0, result.stderr


def test_what_cannot_be_is_one_sentence(galvatron, tmp_path: Path):
    good = output("all_reduce", 1, 20, 200, "NVIDIA H100 80GB HBM3")
    for name, text, words in (
        ("other.csv", "epoch,loss\n1,2\n", "has no table of nccl-tests"),
        ("unknown.txt", output("all_reduce", 1, 20, 200, "NVIDIA Graphics Device"), "say --data-sheet DEVICE"),
        ("failed.txt", good + "node0: Test NCCL failure common.cu:1005\n", "the run failed"),
        ("cut.txt", good[: good.index("float", good.index("33554432"))], "the line is cut"),
    ):
        (tmp_path / name).write_text(text)
        result = galvatron("profile-hardware", "--from-nccl-tests", name)
        assert result.returncode == 2, (name, result.stdout)
        assert words in result.stderr, result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert galvatron("profile-hardware", "--from-nccl-tests", "missing.txt").returncode == 2

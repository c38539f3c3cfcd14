"""galvatron clusters, and clusters as search takes them."""

from __future__ import annotations

import json
from pathlib import Path

QUESTION = ["search", "--model", "gpt2", "--global-batch", 16]


def step_ms(plan: Path) -> float:
    return json.loads(plan.read_text())["search"]["prediction"]["step_ms"]


def test_all_are_listed(galvatron):
    result = galvatron("clusters", COLUMNS="200")
    assert result.returncode == 0, result.stderr
    for words in ("A100-40G", "RTX5090", "Ascend910B", "64xA100-100Gb", "NODESxDEVICESxDEVICE:NETWORK"):
        assert words in result.stdout
    listed = json.loads(galvatron("clusters", "--json").stdout)
    assert len(listed["devices"]) >= 17
    assert listed["clusters"]["8xH100"]["device"]["dense_tflops"]["bf16"] == 989


def test_one_says_its_numbers_and_where_they_come_from(galvatron):
    result = galvatron("clusters", "2x8xA100-40G:25GB/s", "--device-memory", "30GiB")
    assert result.returncode == 0, result.stderr
    for words in ("2 x 8 NVIDIA A100 40GB SXM", "25.0 GB/s a node", "30.0 GiB", "data sheet", "--device-memory 30GiB"):
        assert words in " ".join(result.stdout.split())


def test_its_json_is_a_cluster_file(galvatron, tmp_path: Path):
    text = galvatron("clusters", "2x8xA100-40G:25GB/s", "--json").stdout
    (tmp_path / "mine.json").write_text(text)
    for cluster in ("mine.json", "2x8xA100-40G:25GB/s"):
        result = galvatron(*QUESTION, "--cluster", cluster, "--output", f"{len(cluster)}.json")
        assert result.returncode == 0, result.stderr
    assert step_ms(tmp_path / "9.json") == step_ms(tmp_path / "19.json")


def test_a_slower_network_costs_time(galvatron, tmp_path: Path):
    for name, network in (("fast", "100GB/s"), ("slow", "8Gb/s")):
        result = galvatron(*QUESTION, "--cluster", "2x8xA100", "--inter-node", network, "--output", f"{name}.json")
        assert result.returncode == 0, result.stderr
    assert step_ms(tmp_path / "fast.json") < step_ms(tmp_path / "slow.json")


def test_refusals_are_one_sentence(galvatron):
    for arguments, words in (
        (["clusters", "--inter-node", "25GB/s"], "--inter-node 25GB/s changes a cluster; name one"),
        (["clusters", "8xA1000"], "the nearest are A100, A6000, A10"),
        (["clusters", "dgx"], "such as 2x8xA100-40G:25GB/s"),
        ([*QUESTION, "--cluster", "2x8xA100:25gb/s"], "write bytes (25GB/s) or bits (200Gb/s) a second"),
        ([*QUESTION, "--cluster", "8xA100", "--inter-node", "25GB/s"], "8xA100 is one node of 8"),
        ([*QUESTION, "--cluster", "8xA100", "--device-memory", "much"], "is not a size"),
    ):
        result = galvatron(*arguments)
        assert result.returncode == 2, (arguments, result.stdout)
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1

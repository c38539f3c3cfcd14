"""One command from nothing: train --plan auto."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import losses

AUTO = ["train", "--model", "gpt2-tiny", "--seq-length", 32, "--precision", "fp32", "--data", "synthetic", "--steps", 2]
AUTO += ["--nproc", 2, "--plan", "auto", "--run-dir", "run", "--cache-dir", "cache"]


def test_profiles_searches_and_trains(galvatron, tmp_path: Path):
    result = galvatron(*AUTO, "--memory", "1GiB")
    assert result.returncode == 0, result.stderr
    assert len(losses(tmp_path / "run" / "metrics.jsonl")) == 2
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["world_size"] == 2
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["step_seconds"]["predicted"] > 0
    assert all(rank["predicted_memory_bytes"] > 0 for rank in summary["ranks"])
    profiles = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(profiles) == 2

    # The profiles are there now; in a kibibyte nothing fits.
    result = galvatron(*AUTO, "--memory", "1KiB")
    assert result.returncode == 3
    assert "nothing fits in 1.00 KiB" in result.stdout
    assert result.stderr.count("using cache/") == 2

    # Another number of layers is another model: profiled, searched and trained as such.
    result = galvatron(*AUTO, "--memory", "1GiB", "--num-layers", 1)
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["model"] == "gpt2-tiny(num_layers=1)"
    assert result.stderr.count("using cache/") == 1

    # The plan is searched for the optimizer that trains, and foretells only that.
    result = galvatron(*AUTO, "--memory", "1GiB", "--optimizer", "sgd")
    assert result.returncode == 0, result.stderr
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["search"]["prediction"]["optimizer"] == "sgd"
    result = galvatron(*AUTO, "--plan", "run/plan.json", "--run-dir", "other")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "other" / "summary.json").read_text())["step_seconds"].get("predicted") is None


def test_auto_starts_its_own_ranks(galvatron, tmp_path: Path):
    result = galvatron(*AUTO, RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="29511")
    assert result.returncode == 2
    assert "--plan auto starts the ranks itself" in result.stderr


def test_memory_belongs_to_auto(galvatron):
    result = galvatron("train", "--model", "gpt2-tiny", "--data", "synthetic", "--memory", "1GiB")
    assert result.returncode == 2
    assert "--memory is the budget of --plan auto" in result.stderr

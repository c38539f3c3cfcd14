"""Plans that the search finds are trained by real ranks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import losses

SMALL = ["--global-batch", 8, "--seq-length", 32, "--precision", "fp32"]


@pytest.mark.parametrize(
    ("model", "ranks", "constraints"),
    [
        ("gpt2-tiny", 2, []),
        ("gpt2-tiny", 4, ["--allow", "pp_degree=2", "--allow", "num_microbatches=4"]),
        ("gpt2-tiny", 8, ["--allow", "tp_degree=2", "--allow", "zero_stage=3"]),
        ("llama-tiny", 4, ["--allow", "ulysses_degree>=2", "--forbid", "recompute=none"]),
        ("llama-tiny", 4, ["--allow", "pp_degree=2", "--schedule", "interleaved"]),
        ("llama-tiny", 8, ["--allow", "pp_degree=4", "--schedule", "gpipe"]),
    ],
)
def test_found_plans_train(galvatron, tmp_path: Path, model, ranks, constraints):
    common = ["--model", model, *SMALL]
    found = galvatron(
        "search", *common, "--cluster", "8xA100", "--world-size", ranks, *constraints, "--output", "plan.json"
    )
    assert found.returncode == 0, found.stderr
    assert json.loads((tmp_path / "plan.json").read_text())["world_size"] == ranks
    trained = galvatron(
        *("train", *common, "--plan", "plan.json", "--data", "synthetic", "--steps", 3, "--nproc", ranks),
        *("--run-dir", "run"),
    )
    assert trained.returncode == 0, trained.stderr
    assert len(losses(tmp_path / "run" / "metrics.jsonl")) == 3

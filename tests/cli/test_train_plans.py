"""train --plan: Galvatron-2's files, and predictions of other trainings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import losses

JOB = ["train", "--model", "gpt2-tiny", "--data", "synthetic", "--device", "cpu", "--precision", "fp32", "--steps", 2]
# The keys of galvatron_config_*.json; 8 samples in 3 chunks.
THEIRS = {
    "pp_deg": 1,
    "tp_sizes_enc": "2,1",
    "tp_consecutive_flags": "1,1",
    "dp_types_enc": "0,1",
    "use_sp": "0,0",
    "checkpoint": "1,0",
    "global_bsz": 8,
    "chunks": 3,
    "pp_division": "2",
    "pipeline_type": "pipedream_flush",
    "default_dp_type": "zero2",
    "vtp": 2,
    "vsp": 1,
    "embed_sdp": 1,
}


def test_a_plan_of_galvatron2s_trains(galvatron, tmp_path: Path):
    (tmp_path / "theirs.json").write_text(json.dumps(THEIRS))
    short = [*JOB, "--seq-length", 32]
    result = galvatron(*short, "--plan", "theirs.json", "--nproc", 2, "--run-dir", "theirs")
    assert result.returncode == 0, result.stderr
    result = galvatron(*short, "--global-batch", 8, "--run-dir", "one")
    assert result.returncode == 0, result.stderr
    theirs, one = (losses(tmp_path / run / "metrics.jsonl") for run in ("theirs", "one"))
    assert theirs == pytest.approx(one, rel=1e-5)
    plan = json.loads((tmp_path / "theirs" / "plan.json").read_text())
    assert (plan["world_size"], plan["precision"], plan["num_microbatches"]) == (2, "fp32", 3)


@pytest.fixture
def predicted(galvatron, tmp_path: Path) -> Path:
    """A plan for two ranks with a prediction of 32 tokens a sample."""
    machine = ["--cluster", "8xA100", "--world-size", 2, "--precision", "fp32"]
    job = ["--model", "gpt2-tiny", "--seq-length", 32, "--global-batch", 8]
    result = galvatron("search", *job, *machine, "--output", "plan.json")
    assert result.returncode == 0, result.stderr
    return tmp_path / "plan.json"


def trained(galvatron, tmp_path: Path, *arguments: object) -> tuple[dict, str]:
    result = galvatron(*JOB, "--plan", "plan.json", "--nproc", 2, "--run-dir", "run", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / "run" / "summary.json").read_text()), result.stdout


@pytest.mark.usefixtures("predicted")
def test_the_prediction_stands_beside_its_own_run(galvatron, tmp_path: Path):
    summary, out = trained(galvatron, tmp_path, "--seq-length", 32)
    assert summary["step_seconds"]["predicted"] > 0
    assert "why_unpredicted" not in summary
    assert "no prediction" not in out


@pytest.mark.usefixtures("predicted")
def test_it_does_not_stand_beside_another_length(galvatron, tmp_path: Path):
    summary, out = trained(galvatron, tmp_path, "--seq-length", 16)
    assert summary["step_seconds"]["predicted"] is None
    assert summary["why_unpredicted"] == "the plan's is of sequence length 32, not 16"
    assert "no prediction: the plan's is of sequence length 32, not 16" in out


def test_it_does_not_stand_beside_an_edited_plan(galvatron, predicted, tmp_path: Path):
    predicted.write_text(json.dumps({**json.loads(predicted.read_text()), "num_microbatches": 2}))
    summary, _ = trained(galvatron, tmp_path, "--seq-length", 32)
    assert summary["step_seconds"]["predicted"] is None
    assert summary["why_unpredicted"] == "the plan was edited since it was predicted"

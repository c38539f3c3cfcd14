"""galvatron evaluate: what training says of the same weights and samples, under any plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import read_metrics, refusal

DATA = ["--data", "corpus", "--split", "8,1,1", "--seq-length", 32, "--precision", "fp32"]
TEST = [*DATA, "--part", "test"]


@pytest.fixture
def trained(galvatron, corpus, tmp_path: Path) -> dict:
    """The last line of metrics, of a run that left `out` and `save`."""
    places = ["--save", "save", "--export", "out", "--metrics", "m.jsonl"]
    done = galvatron("train", "--model", "gpt2-tiny", *DATA, "--steps", 12, "--lr", 3e-3, "--test", *places)
    assert done.returncode == 0, done.stderr
    return read_metrics(tmp_path / "m.jsonl")[-1]


def test_any_weights_under_any_plan(galvatron, trained):
    weights = {"folder": ["--init-from", "out"], "checkpoint": ["--resume", "save"]}
    plans = [[], ["--nproc", 2, "--tp-degree", 2], ["--nproc", 2, "--pp-degree", 2, "--global-batch", 6]]
    weights["both"] = ["--model", "gpt2-tiny", "--resume", "save"]
    for given in weights.values():
        for plan in plans:
            done = galvatron("evaluate", *given, *TEST, *plan, "--json")
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            assert found["loss"] == pytest.approx(trained["test_loss"], rel=1e-5)
            assert found["perplexity"] == pytest.approx(trained["test_perplexity"], rel=1e-4)
            assert found["accuracy"] == pytest.approx(trained["test_accuracy"], abs=1e-3)
            assert found["labels"] == 32 * found["samples"] and found["tokens_per_second"] > 0
            assert found["world_size"] == (2 if plan else 1)


def test_a_person_reads_a_table(galvatron, trained):
    done = galvatron("evaluate", "--init-from", "out", *TEST, "--batches", 2)
    assert done.returncode == 0, done.stderr
    assert "on 1 rank" in done.stdout and "2 batches: 16 samples, 512 labels" in done.stdout
    assert "perplexity" in done.stdout and "accuracy" in done.stdout and "tokens/s" in done.stdout


def test_what_cannot_be_evaluated(galvatron, corpus):
    def problem(*arguments: object) -> str:
        return refusal(galvatron("evaluate", "--data", "corpus", *arguments))

    assert "whose weights?" in problem("--model", "gpt2-tiny")
    assert "searches for what trains fastest" in problem("--init-from", "out", "--plan", "auto")
    assert "name the checkpoint" in problem("--model", "gpt2-tiny", "--resume", "auto")
    assert "exclude each other" in problem("--init-from", "out", "--plan", "plan.json", "--tp-degree", 2)
    assert "--lr" in problem("--init-from", "out", "--lr", 1)


def test_classes_are_those_of_the_weights(galvatron):
    few = ["--data", "synthetic", "--precision", "fp32"]
    leaves = ["--steps", 1, "--num-classes", 3, "--save", "save", "--export", "out"]
    done = galvatron("train", "--model", "vit-tiny", *few, *leaves)
    assert done.returncode == 0, done.stderr
    for weights in (["--init-from", "out"], ["--resume", "save"]):
        ask = ["evaluate", *weights, *few, "--batches", 1]
        assert "tell 3 classes apart" in refusal(galvatron(*ask, "--num-classes", 5))
        assert galvatron(*ask, "--num-classes", 3).returncode == 0
    other = ["--model", "vit-tiny", "--init-from", "out", "--num-classes", 5]
    assert "whose score says nothing" in refusal(galvatron("evaluate", *few, "--batches", 1, *other))


def test_help_tells_exit_codes(galvatron):
    assert "Exit codes: 0 done, 1 a rank" in galvatron("evaluate", "--help").stdout

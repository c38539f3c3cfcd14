"""galvatron train --documents: joined, masked or packed, the same under any plan."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import losses, refusal

from galvatron.data.indexed_dataset import IndexedDatasetWriter

QUICK = ["--steps", 6, "--precision", "fp64", "--lr", 3e-3]


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """300 documents of 1 to 60 tokens, each counting on from a number of its own."""
    numbers = random.Random(3)
    writer = IndexedDatasetWriter(tmp_path / "documents.bin", np.dtype(np.uint16))
    for _ in range(300):
        first = numbers.randrange(100)
        writer.add_document(np.arange(first, first + numbers.randint(1, 60)) % 100)
    writer.finish(tmp_path / "documents.idx")
    return tmp_path / "documents"


PLANS = {
    "sequences": ["--nproc", 2, "--ulysses-degree", 2, "--recompute", "selective"],
    "tensors": ["--nproc", 2, "--tp-degree", 2, "--num-microbatches", 3, "--recompute", "full"],
    "pipeline": ["--nproc", 2, "--pp-degree", 2, "--num-microbatches", 2],
}


@pytest.mark.parametrize(
    ("model", "plans"),
    [
        ("gpt2-tiny", ["sequences", "pipeline"]),
        ("llama-tiny", ["sequences"]),
        ("bert-tiny", ["tensors"]),
        ("t5-tiny", ["sequences", "tensors", "pipeline"]),
    ],
)
def test_documents_are_kept_apart_under_any_plan(galvatron, documents, tmp_path, model, plans):
    common = ["--model", model, "--data", documents, "--seq-length", 32, *QUICK, "--eval-interval", 3]
    common += ["--mask-token", 200] if model == "bert-tiny" else []
    curves = set()
    for mode in ("joined", "masked", "packed"):
        for name in ("one rank", *plans):
            metrics = f"{mode} {name}.jsonl"
            done = galvatron("train", *common, "--documents", mode, *PLANS.get(name, []), "--metrics", metrics)
            assert done.returncode == 0, done.stderr
            if name == "one rank":
                expected = losses(tmp_path / metrics)
            assert losses(tmp_path / metrics) == pytest.approx(expected, rel=1e-9), (mode, name)
        curves.add(tuple(expected))
    assert len(curves) == 3


def test_a_run_goes_on_with_the_documents_of_its_checkpoint(galvatron, documents, tmp_path):
    train = [
        "train",
        "--model",
        "gpt2-tiny",
        "--data",
        documents,
        *QUICK,
        "--seq-length",
        32,
        "--save",
        "saves",
        "--metrics",
        "m.jsonl",
    ]
    whole = galvatron(*train, "--documents", "packed", "--save-interval", 4)
    assert whole.returncode == 0, whole.stderr
    expected = losses(tmp_path / "m.jsonl")
    again = galvatron(*train, "--resume", "saves/step-000004")
    assert again.returncode == 0, again.stderr
    assert losses(tmp_path / "m.jsonl")[-2:] == expected[-2:]
    other = galvatron(*train, "--resume", "saves/step-000004", "--documents", "masked")
    assert "documents" in refusal(other)


def test_a_prediction_is_of_documents_as_long_as_these(galvatron, documents, tmp_path):
    """What train counts in the data is what search is to be told."""
    common = ["--model", "gpt2-tiny", "--seq-length", 32, "--precision", "fp32", "--global-batch", 8]

    def search_and_train(*arguments: object) -> tuple[float, str]:
        machine = ["--cluster", "8xA100", "--world-size", 2, *arguments, "--output", "plan.json"]
        found = galvatron("search", *common, *machine)
        assert found.returncode == 0, found.stderr
        trained = galvatron("train", *common, "--plan", "plan.json", "--data", documents, "--documents", "packed",
                            "--steps", 2, "--nproc", 2)  # fmt: skip
        assert trained.returncode == 0, trained.stderr
        return json.loads((tmp_path / "plan.json").read_text())["search"]["prediction"]["step_ms"], trained.stdout

    joined, output = search_and_train()
    said = re.search(r"no prediction: the plan's is of attended length 32, not (\d+)", output)
    assert said, output
    apart, output = search_and_train("--attended-length", said[1])
    assert apart < joined
    assert "no prediction" not in output


def test_where_there_are_no_documents(galvatron, documents):
    def problem(*arguments: object) -> str:
        return refusal(galvatron("train", *QUICK, *arguments))

    packed = ["--documents", "packed"]
    assert "synthetic data have none" in problem("--model", "gpt2-tiny", "--data", "synthetic", *packed)
    assert "images have none" in problem("--model", "vit-tiny", "--data", "synthetic", *packed)
    assert "did you mean 'packed'" in problem("--model", "gpt2-tiny", "--data", documents, "--documents", "packd")

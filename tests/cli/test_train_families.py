"""One short training of each other family on real text, under a plan that the search finds for four ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, SOURCE_DIR, clean_environment, losses

STEPS = 80


@pytest.fixture(scope="module")
def stdlib(tmp_path_factory) -> Path:
    """The source text of the standard library, in a vocabulary smaller than the models' 509."""
    prefix = tmp_path_factory.mktemp("corpus") / "stdlib"
    command = [sys.executable, "-m", "galvatron.data", "stdlib", "--output", prefix, "--train-bpe", "400"]
    environment = clean_environment(PYTHONPATH=str(SOURCE_DIR / "python"))
    subprocess.run([*map(str, command), "--max-bytes", "2MB"], check=True, capture_output=True, env=environment)
    return prefix


@pytest.fixture(scope="module")
def hardware(tmp_path_factory) -> Path:
    """A quick profile of this machine with four ranks."""
    path = tmp_path_factory.mktemp("hardware") / "hardware.json"
    command = [BINARY, "profile-hardware", "--nproc", "4", "--seconds", "6", "--max-bytes", "1MiB", "--output", path]
    subprocess.run([*map(str, command)], check=True, capture_output=True, env=clean_environment())
    return path


@pytest.mark.parametrize(("model", "mask"), [("bert-tiny", ["--mask-token", 508, "--whole-words"]), ("t5-tiny", [])])
def test_learns_from_real_text_under_a_searched_plan(model, mask, galvatron, stdlib, hardware, tmp_path: Path):
    def run(command: str, *arguments: object) -> None:
        result = galvatron(command, "--model", model, "--seq-length", 64, "--precision", "fp32", *arguments)
        assert result.returncode == 0, result.stderr

    run("profile-model", "--nproc", 4, "--seconds", 2, "--output", "model.json")
    for layer_type in json.loads((tmp_path / "model.json").read_text())["layer_types"]:
        assert [point["ranks"] for point in layer_type["contention"]] == [1, 2, 4], layer_type["type"]
    run("search", "--hardware", hardware, "--profile", "model.json", "--memory", "1GiB", "--global-batch", 16,
        "--max-pp", 2, "--output", "plan.json")  # fmt: skip
    run("train", "--plan", "plan.json", "--nproc", 4, "--data", stdlib, *mask, "--steps", STEPS, "--lr", 3e-3,
        "--metrics", "metrics.jsonl")  # fmt: skip
    curve = losses(tmp_path / "metrics.jsonl")
    assert len(curve) == STEPS
    assert sum(curve[-5:]) < 0.85 * sum(curve[:5])
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert (plan["world_size"], plan["model"]) == (4, model)


def test_masking_needs_a_mask_token(galvatron, stdlib):
    result = galvatron("train", "--model", "bert-tiny", "--data", stdlib, "--seq-length", 64)
    assert result.returncode == 2
    assert "name it with --mask-token" in result.stderr
    result = galvatron("train", "--model", "bert-tiny", "--data", stdlib, "--seq-length", 64, "--mask-token", "[M]")
    assert result.returncode == 2
    assert "--mask-token '[M]' is no number" in result.stderr
    result = galvatron("train", "--model", "bert-tiny", "--data", stdlib, "--seq-length", 64, "--mask-token", 509)
    assert result.returncode == 2
    assert "the mask token has id 509, outside the vocabulary of 509" in result.stderr
    result = galvatron("train", "--model", "bert-tiny", "--data", "synthetic", "--seq-length", 64, "--whole-words")
    assert result.returncode == 2
    assert "--whole-words needs to know what a word is" in result.stderr


def test_sentinels_need_room_above_the_text(galvatron, stdlib, tmp_path: Path):
    config = json.loads((SOURCE_DIR / "configs/models/t5-tiny.json").read_text())
    (tmp_path / "small.json").write_text(json.dumps({**config, "vocab_size": 402}))
    result = galvatron("train", "--model", "small.json", "--data", stdlib, "--seq-length", 64)
    assert result.returncode == 2
    assert "choose a model with vocab_size 403 or more" in result.stderr
    result = galvatron("train", "--model", "t5-tiny", "--data", stdlib, "--seq-length", 2)
    assert result.returncode == 2
    assert "too short for span corruption" in result.stderr


@pytest.mark.parametrize("model", ["bert-tiny", "t5-tiny"])
def test_synthetic_data_and_the_way_back(model, galvatron, tmp_path: Path):
    """Any plan, exported and started from again."""
    common = ["train", "--precision", "fp32", "--data", "synthetic", "--seq-length", 40, "--lr", 3e-3]
    first = galvatron(
        *common, "--model", model, "--nproc", 4, "--pp-degree", 2, "--tp-degree", 2, "--zero-stage", 1, "--steps", 12,
        "--num-microbatches", 2, "--metrics", "a.jsonl", "--export", "out",
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    second = galvatron(*common, "--init-from", tmp_path / "out", "--steps", 1, "--metrics", "b.jsonl")
    assert second.returncode == 0, second.stderr
    assert losses(tmp_path / "b.jsonl")[0] < 0.97 * losses(tmp_path / "a.jsonl")[0]

"""Image models on real images, scikit-learn's handwritten digits, under a plan that the search finds for four ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SOURCE_DIR, losses, read_metrics
from same_losses import require_same_losses
from transformers import AutoModelForImageClassification

STEPS, BATCH = 400, 32
# Of a split 4,1: the last images of the file.
NUM_TRAINING = 1438


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    prefix = tmp_path_factory.mktemp("images") / "digits"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_DIR / "python")}
    command = [sys.executable, "-m", "galvatron.data", "digits", "--output", str(prefix), "--quiet"]
    subprocess.run(command, check=True, env=environment)
    return prefix


def accuracy(model: Path, digits: Path) -> float:
    """Of transformers with our weights, on images that training never saw."""
    images = np.load(f"{digits}.images.npy")[NUM_TRAINING:]
    labels = np.load(f"{digits}.labels.npy")[NUM_TRAINING:]
    pixels = (torch.from_numpy(images) / 255 - 0.5) / 0.5
    with torch.no_grad():
        logits = AutoModelForImageClassification.from_pretrained(model).eval()(pixels).logits
    return (logits.argmax(1).numpy() == labels).mean().item()


def search_plan(galvatron, model: str) -> None:
    """Measures machine and model and writes plan.json for four ranks, in seconds."""
    steps = [
        ["profile-hardware", "--nproc", 4, "--seconds", 5, "--max-bytes", "1MiB", "--output", "hardware.json"],
        ["profile-model", "--model", model, "--nproc", 4, "--precision", "fp32", "--seconds", 4]
        + ["--output", "model.json"],
        ["search", "--model", model, "--hardware", "hardware.json", "--profile", "model.json", "--world-size", 4]
        + ["--precision", "fp32", "--global-batch", BATCH, "--memory", "1GiB", "--output", "plan.json"],
    ]
    for step in steps:
        result = galvatron(*step)
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("model", ["vit-tiny", "swin-tiny"])
def test_learns_to_read_digits(model, galvatron, digits, tmp_path: Path):
    search_plan(galvatron, model)
    result = galvatron(
        "train", "--model", model, "--data", digits, "--split", "4,1", "--plan", "plan.json", "--nproc", 4,
        "--lr", 3e-3, "--warmup-steps", 10, "--steps", STEPS, "--eval-interval", STEPS, "--metrics", "m.jsonl",
        "--export", "out",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    curve = losses(tmp_path / "m.jsonl")
    assert curve[0] > 2
    assert sum(curve[-5:]) / 5 < 0.3
    assert read_metrics(tmp_path / "m.jsonl")[-1]["valid_loss"] < 0.8
    assert accuracy(tmp_path / "out", digits) > 0.85


@pytest.mark.parametrize("model", ["vit-tiny", "swin-tiny"])
def test_a_plan_keeps_the_losses(model, galvatron, digits, tmp_path: Path):
    """Also where images are cut, mirrored and mixed at random."""
    common = ["train", "--model", model, "--data", digits, "--steps", 8, "--global-batch", 12]
    common += ["--crop-padding", 2, "--flip", "--mixup", 0.8, "--cutmix", 1, "--label-smoothing", 0.1, "--lr", 1e-3]
    for precision in ("fp32", "fp64"):
        assert galvatron(*common, "--precision", precision, "--metrics", f"{precision}.jsonl").returncode == 0
    result = galvatron(
        *common, "--precision", "fp32", "--nproc", 4, "--pp-degree", 2, "--ulysses-degree", 2, "--num-microbatches", 3,
        "--zero-stage", 3, "--metrics", "four.jsonl",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    require_same_losses(model, *(losses(tmp_path / f"{name}.jsonl") for name in ("four", "fp32", "fp64")))


def refusal(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_images_of_a_wrong_size_are_told(galvatron, digits, tmp_path: Path):
    config = json.loads((SOURCE_DIR / "configs/models/vit-tiny.json").read_text())
    (tmp_path / "large.json").write_text(json.dumps({**config, "image_size": 16}))
    message = refusal(galvatron("train", "--model", "large.json", "--data", digits))
    assert "holds images of 1 x 8 x 8 (channels x height x width), the model takes 1 x 16 x 16" in message
    (tmp_path / "few.json").write_text(json.dumps({**config, "num_labels": 9}))
    message = refusal(galvatron("train", "--model", "few.json", "--data", digits))
    assert "gives image 9 the class 9, the model has classes 0 .. 8" in message
    (tmp_path / "cut.labels.npy").write_bytes(Path(f"{digits}.labels.npy").read_bytes())
    (tmp_path / "cut.images.npy").write_bytes(Path(f"{digits}.images.npy").read_bytes()[:-1])
    message = refusal(galvatron("train", "--model", "vit-tiny", "--data", "cut"))
    assert "it is truncated" in message
    message = refusal(galvatron("train", "--model", "vit-tiny", "--data", digits, "--seq-length", 16))
    assert "--seq-length 16, but an image is 17 tokens in model 'vit-tiny'" in message
    message = refusal(galvatron("train", "--model", "vit-tiny", "--data", digits, "--image-std", "0"))
    assert "--image-std 0 must be above 0" in message


def test_an_export_needs_no_list_of_data(galvatron, digits, tmp_path: Path):
    """What says how to prepare pictures is left out where the list that names the data is gone."""
    (tmp_path / "list").write_text(f"1 {digits}\n")
    done = galvatron("train", "--model", "vit-tiny", "--data", "@list", "--steps", 1, "--save", "save")
    assert done.returncode == 0, done.stderr
    for name in ("with", "without"):
        done = galvatron("export", "save", "--output", name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name / "preprocessor_config.json").exists() == (name == "with")
        (tmp_path / "list").unlink(missing_ok=True)


def test_degrees_that_do_not_divide_a_stage_are_told(galvatron, digits):
    """Two heads in Swin's first stage, four in the second."""
    common = ["train", "--model", "swin-tiny", "--data", digits, "--nproc", 4]
    message = refusal(galvatron(*common, "--tp-degree", 4))
    assert "layer 1 (block.0): tp_degree 4 x ulysses_degree 1 = 4 does not divide the 2 attention heads" in message

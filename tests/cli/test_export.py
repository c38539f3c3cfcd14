"""galvatron export: any checkpoint as a Hugging Face folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import refusal

RUN = ["--precision", "fp32", "--lr", 3e-3, "--lr-schedule", "constant", "--seq-length", 32]
MODELS = ["gpt2-tiny", "llama-tiny", "bert-tiny", "t5-tiny", "vit-tiny", "swin-tiny"]


@pytest.fixture
def done(galvatron):
    """`galvatron ARGUMENTS`, which must succeed."""

    def run(*arguments: object):
        result = galvatron(*arguments)
        assert result.returncode == 0, result.stderr
        return result

    return run


@pytest.fixture
def saved(done, tmp_path: Path) -> Path:
    """Checkpoints of steps 2 and 4, and what training exported after the last."""
    places = ["--save", "save", "--save-interval", 2, "--export", "trained"]
    plan = ["--nproc", 4, "--pp-degree", 2, "--zero-stage", 3]
    done("train", "--model", "gpt2-tiny", "--data", "synthetic", *RUN, *plan, "--steps", 4, *places)
    return tmp_path / "save"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_latest_is_what_training_exported(saved, done, tmp_path: Path):
    result = done("export", "save", "--output", "out")
    assert "gpt2-tiny after step 4" in result.stdout and "from save/step-000004" in result.stdout
    assert contents(tmp_path / "out") == contents(tmp_path / "trained")


def test_any_step_is_what_training_so_far_would_have_exported(saved, done, tmp_path: Path):
    done("export", "save/step-000002", "--output", "out")
    plan = ["--nproc", 4, "--pp-degree", 2, "--zero-stage", 3, "--steps", 2]
    done("train", "--model", "gpt2-tiny", "--data", "synthetic", *RUN, *plan, "--export", "short")
    assert contents(tmp_path / "out") == contents(tmp_path / "short")


@pytest.mark.parametrize("model", MODELS)
def test_transformers_loads_every_family(done, tmp_path: Path, model: str):
    transformers = pytest.importorskip("transformers", reason="judges exports where it is installed")
    length = [] if model in ("vit-tiny", "swin-tiny") else RUN[-2:]
    run = ["train", "--model", model, "--data", "synthetic", *RUN[:-2], *length, "--steps", 2, "--save", "save"]
    done(*run, "--nproc", 2, "--tp-degree", 2, "--export", "trained")
    done("export", "save", "--output", "out", "--precision", "bf16")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    architecture = getattr(transformers, config["architectures"][0])
    ours, info = architecture.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info.values()), info
    theirs = architecture.from_pretrained(tmp_path / "trained")
    for (name, value), expected in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (value == expected.to(value.dtype)).all(), name


def test_a_damaged_checkpoint_is_named_and_nothing_is_written(saved, galvatron, tmp_path: Path):
    (state,) = (saved / "step-000004").glob("state-00002-*")
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    said = refusal(galvatron("export", "save/step-000004", "--output", "out"))
    assert "step-000004 is damaged: state-00002-of-00004.safetensors was changed" in said
    assert not list(tmp_path.glob("out*"))
    result = galvatron("export", "save", "--output", "out")
    assert result.returncode == 0 and "step-000004 is damaged" in result.stderr
    assert "from save/step-000002" in result.stdout


def test_bad_input(saved, galvatron, tmp_path: Path):
    assert "there is no checkpoint in nowhere" in refusal(galvatron("export", "nowhere", "--output", "out"))
    said = refusal(galvatron("export", "save", "--output", "out", "--model", "gpt2"))
    assert "says itself that its model is 'gpt2-tiny'; leave --model away" in said
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("no export")
    assert "it holds thesis.tex" in refusal(galvatron("export", "save", "--output", "full"))
    assert "there is no tokenizer" in refusal(galvatron("export", "save", "--output", "out", "--tokenizer", "none"))

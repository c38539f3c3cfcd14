"""Real Trainer.fit on four CPU ranks: losses, validation, predictions and weights are those of a plain run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from launching import launch, read_result
from package_testing import needs_module
from plain import LR, make_data, make_folder, run_plain
from safetensors.torch import load_file

pytestmark = needs_module

RANKS, STEPS, BATCH, SAMPLES = 4, 3, 8, 24
FP32 = 1e-5  # relative

# The arguments of the README of lightning-galvatron, on a model that trains in milliseconds.
OLD = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 4, "seq_length": 16}
OLD |= {"global_train_batch_size": BATCH, "mixed_precision": "fp32"}


def mixed_plan(layers: int, groups: list[dict[str, Any]], **pipeline: Any) -> dict[str, Any]:
    """Every layer another way of spreading."""
    assert sum(group["count"] for group in groups) == layers
    return {
        "format": "galvatron-plan", "version": 1, "model": "", "world_size": RANKS, "global_batch": BATCH,
        "num_microbatches": 2, "precision": "fp32", "pipeline": {"degree": 1, "schedule": "1f1b", **pipeline},
        "layers": groups,
    }  # fmt: skip


GALVATRON2 = {
    "pp_deg": 2, "tp_sizes_enc": "1,2,2,1", "tp_consecutive_flags": "1,1,1,1", "dp_types_enc": "1,0,1,0",
    "use_sp": "0,0,1,0", "checkpoint": "0,1,0,1", "global_bsz": BATCH, "chunks": 2, "pp_division": "2,2",
    "pipeline_type": "pipedream_flush", "default_dp_type": "zero2", "vtp": 2, "vsp": 0, "embed_sdp": 0,
}  # fmt: skip

# name -> (family, strategy, samples that a rank reads of a batch, more of the Trainer)
CASES: dict[str, tuple[str, dict[str, Any], int, dict[str, Any]]] = {
    "gpt-readme": ("gpt2", {"model_type": "gpt", **OLD, "pp_deg": 2, "global_tp_deg": 2, "fsdp": 1}, 8, {}),
    "llama-readme": (
        "llama",
        {"model_type": "llama", **OLD, "pp_deg": 2, "pipeline_type": "pipedream_flush", "chunks": 4, "fsdp": 1,
         "global_checkpoint": 1},
        4, {"gradient_clip_val": 0.05},
    ),
    "gpt-old-ddp": ("gpt2", {"model_type": "gpt", **OLD, "default_dp_type": "ddp", "global_tp_deg": 2,
                             "global_tp_consec": 0}, 4, {}),
    "llama-galvatron2": ("llama", {"hp_config": "galvatron2.json", "precision": "fp32"}, 8, {}),
    "gpt-1f1b": ("gpt2", {"pp_degree": 4, "num_microbatches": 4, "layers_per_stage": [2, 1, 1, 2]}, 8,
                 {"gradient_clip_val": 0.05}),
    "gpt-gpipe": ("gpt2", {"pp_degree": 2, "schedule": "gpipe", "num_microbatches": 3, "tp_degree": 2}, 8, {}),
    "llama-interleaved": ("llama", {"pp_degree": 2, "schedule": "interleaved", "num_microbatches": 4,
                                    "layers_per_stage": [2, 1, 1, 2]}, 4, {}),
    "gpt-zero0": ("gpt2", {"zero_stage": 0}, 2, {"gradient_clip_val": 0.05}),
    "gpt-zero1": ("gpt2", {"zero_stage": 1, "num_microbatches": 2}, 2, {"gradient_clip_val": 0.02,
                                                                        "gradient_clip_algorithm": "value"}),
    "llama-zero2": ("llama", {"zero_stage": 2, "recompute": "selective"}, 2, {"gradient_clip_val": 0.05}),
    "llama-zero3": ("llama", {"zero_stage": 3, "recompute": "full", "tp_degree": 2}, 4, {"gradient_clip_val": 0.05}),
    "bert-mixed": ("bert", {"plan": mixed_plan(4, [
        {"count": 1, "tp_degree": 2, "zero_stage": 1}, {"count": 1, "ulysses_degree": 4, "zero_stage": 3},
        {"count": 1, "tp_degree": 2, "recompute": "full"}, {"count": 1, "tp_degree": 2, "zero_stage": 1}])}, 4, {}),
    "t5-mixed": ("t5", {"plan": mixed_plan(7, [
        {"count": 1, "tp_degree": 2}, {"count": 1, "zero_stage": 3}, {"count": 1, "ulysses_degree": 2},
        {"count": 1, "tp_degree": 2}, {"count": 1, "zero_stage": 2, "recompute": "full"},
        {"count": 1, "tp_degree": 4}, {"count": 1, "tp_degree": 2}])}, 4, {}),
    "vit-mixed": ("vit", {"plan": mixed_plan(4, [
        {"count": 1, "zero_stage": 3}, {"count": 1, "tp_degree": 2}, {"count": 1, "ulysses_degree": 4},
        {"count": 1, "tp_degree": 2}])}, 2, {}),
    "swin-mixed": ("swin", {"plan": mixed_plan(6, [
        {"count": 1, "zero_stage": 1}, {"count": 1, "tp_degree": 4}, {"count": 1, "zero_stage": 3, "recompute": "full"},
        {"count": 1}, {"count": 1, "tp_degree": 2}, {"count": 1}])}, 2, {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """By family: the folder of the first weights, and the samples."""
    root = tmp_path_factory.mktemp("inputs")
    families = {family for family, *_ in CASES.values()}
    return {
        family: (make_folder(family, root / family), make_data(family, root / f"{family}.pt", SAMPLES))
        for family in families
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory, inputs) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "galvatron2.json").write_text(json.dumps(GALVATRON2))
    cases = []
    for name, (family, strategy, batch_size, trainer) in CASES.items():
        strategy = {**strategy}
        if "hp_config" in strategy:
            strategy["hp_config"] = str(folder / strategy["hp_config"])
        model, data = inputs[family]
        cases.append({
            "name": name, "kind": "fit", "model": str(model), "data": str(data), "batch_size": batch_size,
            "module": {"lr": LR, "weight_decay": 0.0}, "strategy": strategy,
            "trainer": {"max_steps": STEPS, **trainer}, "export": str(folder / f"{name}-weights"),
        })  # fmt: skip
    launch(cases, RANKS, folder)
    return folder


@pytest.fixture(scope="module")
def plain(inputs):
    made: dict[str, dict[str, Any]] = {}

    def get(family: str, trainer: dict[str, Any]) -> dict[str, Any]:
        key = json.dumps([family, trainer])
        if key not in made:
            folder, data = inputs[family]
            made[key] = run_plain(folder, family, data, BATCH, {"max_steps": STEPS, **trainer})
        return made[key]

    return get


def in_order(folder: Path, name: str) -> torch.Tensor:
    """Predictions of all parts, in the order of the samples: a distributed sampler deals them out in turn."""
    parts = {}
    for rank in range(RANKS):
        result = read_result(folder, name, rank)
        mine = parts.setdefault(result["part"], result["predictions"])
        assert torch.equal(mine, result["predictions"])  # ranks of one part have the same
    assert len(parts) == result["parts"]
    return torch.stack([parts[part] for part in range(len(parts))], dim=1).flatten(0, 1)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_trains_validates_and_predicts_as_one_process(name, results, plain, tmp_path):
    family, _, _, trainer = CASES[name]
    truth = plain(family, trainer)
    for rank in range(RANKS):
        found = read_result(results, name, rank)
        assert found["losses"] == pytest.approx(truth["losses"], rel=FP32)
        assert found["validation"] == pytest.approx(truth["validation"], rel=FP32)
    torch.testing.assert_close(in_order(results, name), truth["predictions"], rtol=1e-4, atol=1e-4)
    exported = load_file(results / f"{name}-weights" / "model.safetensors")
    truth["module"].model.save_pretrained(tmp_path)
    theirs = load_file(tmp_path / "model.safetensors")
    assert set(exported) == set(theirs)
    for key, value in exported.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-3, atol=1e-4)

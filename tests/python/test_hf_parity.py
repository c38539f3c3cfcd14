"""Our models against Hugging Face's: same checkpoint, same tokens, same numbers; and the way back.

`hf_probe` (tests/models) runs ours, from the build folder that GALVATRON_BINARY_DIR names, else the release build's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import hf_judge
import hf_models
import pytest
import torch
from hf_models import CONFIGS, Reference
from safetensors.torch import load_file, save_file
from single_precision import judge

import galvatron

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(os.environ.get("GALVATRON_BINARY_DIR", ROOT / "build/release")) / "bin/hf_probe"

Probe = Callable[..., dict[str, torch.Tensor]]

pytestmark = pytest.mark.skipif(
    "GALVATRON_BINARY_DIR" not in os.environ and not PROBE.exists(), reason="hf_probe is not built"
)


def plan(pp_degree: int, world_size: int, *layers: dict[str, int | str]) -> dict[str, object]:
    num_layers = sum(int(layer["count"]) for layer in layers)
    return {
        "format": "galvatron-plan",
        "version": 1,
        "model": "hf",
        "world_size": world_size,
        "global_batch": 4,
        "num_microbatches": 2,
        "precision": "fp32",
        "pipeline": {
            "degree": pp_degree,
            "schedule": "1f1b",
            "layers_per_stage": [num_layers] if pp_degree == 1 else [num_layers // 3, num_layers - num_layers // 3],
        },
        "layers": list(layers),
    }


_TIED = {"count": 1, "tp_degree": 2, "zero_stage": 1}
_ULYSSES = {"count": 1, "ulysses_degree": 2, "zero_stage": 3, "recompute": "full"}
_SELECTIVE = {"count": 1, "zero_stage": 2, "recompute": "selective"}
_BOTH = {"count": 1, "tp_degree": 2, "ulysses_degree": 2, "recompute": "selective"}


def plans(num_layers: int, *mixed: dict[str, int | str]) -> dict[str, dict[str, object]]:
    """Uniform plans for so many layers, and one that is not."""
    return {
        "tp2-zero3-pp2": plan(2, 4, {"count": num_layers, "tp_degree": 2, "zero_stage": 3}),
        "tp2-dp2-zero2-pp2": plan(2, 8, {"count": num_layers, "tp_degree": 2, "zero_stage": 2}),
        "zero1-dp3": plan(1, 3, {"count": num_layers, "zero_stage": 1}),
        "mixed": plan(1, 4, *mixed),
    }


# Embedding, two blocks, head; of T5 embedding and two blocks twice.
PLANS = plans(4, _TIED, _ULYSSES, _SELECTIVE, _TIED)
# Embedding, two blocks, a merge, a block, head; the pipeline is cut inside the first stage of blocks.
SWIN_PLANS = plans(6, _TIED, _BOTH, _SELECTIVE, _ULYSSES, _BOTH, _TIED)
T5_PLANS = plans(7, _TIED, _BOTH, _ULYSSES, _TIED, _BOTH, _ULYSSES, _TIED)


def run_probe(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(PROBE), *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def probe(tmp_path) -> Probe:
    """Runs the probe on a reference's tokens; options by keyword."""

    def run(reference: Reference, model: Path | None = None, **options: object) -> dict[str, torch.Tensor]:
        save_file(reference.inputs, tmp_path / "tokens.safetensors")
        arguments: list[object] = ["--model", model or reference.folder]
        arguments += ["--tokens", tmp_path / "tokens.safetensors", "--output", tmp_path / "out.safetensors"]
        for key, value in options.items():
            arguments += ["--" + key.replace("_", "-"), value]
        done = run_probe(*arguments)
        assert done.returncode == 0, done.stderr
        return load_file(tmp_path / "out.safetensors")

    return run


def write_plan(name: str, folder: Path, model: str = "") -> Path:
    path = folder / "plan.json"
    family = {"t5": T5_PLANS, "mt5": T5_PLANS, "swin": SWIN_PLANS}.get(model.partition("-")[0], PLANS)
    path.write_text(json.dumps(family[name]))
    return path


def gradients_of(ours: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix("grad."): value for key, value in ours.items() if key.startswith("grad.")}


def assert_same_tensors(folder: Path, original: Path) -> None:
    ours, theirs = (
        {k: v for f in d.glob("*.safetensors") for k, v in load_file(f).items()} for d in (folder, original)
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype, name
        assert torch.equal(ours[name], tensor), name


@pytest.mark.parametrize(
    "name", hf_judge.isa_cases([name for name in CONFIGS if name not in hf_models.IN_DOUBLE_ALONE])
)
def test_numbers_are_those_of_transformers(name, references, probe):
    reference = references(name)
    ours = probe(reference, steps=hf_models.NUM_STEPS, weight_decay=hf_models.WEIGHT_DECAY)
    hf_judge.require_logits(ours["logits"], reference, "one rank")
    hf_judge.require_loss(ours["loss"].item(), reference, "one rank")
    hf_judge.require_gradients(gradients_of(ours), reference, "one rank")
    hf_judge.require_trajectory(ours["losses"].tolist(), reference, "one rank, trajectory")


@pytest.mark.parametrize("name", hf_judge.isa_cases(CONFIGS))
def test_double_precision_agrees_to_rounding(name, references, probe):
    """Where transformers' own single-precision parts are lifted, nothing is left that differs."""
    reference = references(name, double=True)
    ours = probe(reference, precision="fp64", steps=hf_models.NUM_STEPS)
    hf_judge.require_logits(ours["logits"], reference, "double")
    hf_judge.require_loss(ours["loss"].item(), reference, "double")
    hf_judge.require_gradients(gradients_of(ours), reference, "double")
    hf_judge.require_trajectory(ours["losses"].tolist(), reference, "double")


@pytest.mark.parametrize("name", hf_judge.isa_cases(["gpt2", "llama", "qwen2", "bert", "t5", "vit", "swin"]))
def test_one_part_in_1e5_of_one_gradient_is_caught(name, references, probe):
    """The test of the test: each gradient in turn is wrong by so little."""
    reference = references(name)
    ours, scales = gradients_of(probe(reference)), hf_judge.scales_of_gradients(reference)
    caught = []
    for key, truth in reference.truth.gradients.items():
        if truth.abs().max().item() < scales[key]:
            continue  # a zero but for rounding
        single = hf_judge.single_gradients(key, reference)
        assert judge(ours[key], single, truth).holds, key
        caught.append(not judge(ours[key] * (1 + 1e-5), single, truth).holds)
    assert sum(caught) >= 0.9 * len(caught) > 10, "some of T5's round nearly as much"


PLANNED = ["gpt2-odd-vocabulary", "llama", "llama-tied", "qwen2", "bert", "t5", "t5-v1.1", "vit", "swin"]
# Plan fuzzing has them under every plan.
PLANNED_ONCE = [
    "mistral-window", "phi3", "gpt-neox", "olmo2", "gemma", "gemma2", "gemma3", "roberta", "distilbert", "deit",
    "mt5-untied",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "plan_name"),
    [
        *hf_judge.isa_cases([*PLANNED, *PLANNED_ONCE], "mixed"),
        *((name, plan) for name in PLANNED for plan in PLANS if plan != "mixed"),
    ],
)
def test_numbers_and_weights_survive_a_plan(name, plan_name, references, probe, tmp_path):
    reference = references(name)
    export = tmp_path / "export"
    ours = probe(reference, plan=write_plan(plan_name, tmp_path, name), export=export)
    hf_judge.require_loss(ours["loss"].item(), reference, "plans")
    hf_judge.require_gradients(gradients_of(ours), reference, "plans")
    assert_same_tensors(export, reference.folder)
    trained = probe(reference, plan=tmp_path / "plan.json", steps=hf_models.NUM_STEPS)
    hf_judge.require_trajectory(trained["losses"].tolist(), reference, "plans, trajectory")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_way_back_is_exact(name, references, probe, tmp_path, caplog):
    reference = references(name)
    probe(reference, export=tmp_path / "export")
    assert_same_tensors(tmp_path / "export", reference.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = hf_models.load_strictly(tmp_path / "export", caplog)
    assert type(model.config) is type(CONFIGS[name])
    hf_judge.require_logits(model(**reference.batch()).logits, reference, "exports")


@pytest.mark.parametrize("name", ["llama-tied", "bert", "t5", "vit", "swin"])
def test_trained_weights_load_in_transformers(name, references, probe, tmp_path, caplog):
    reference = references(name)
    trained = probe(reference, steps=5, export=tmp_path / "export")
    model = hf_models.load_strictly(tmp_path / "export", caplog)
    with torch.no_grad():
        loss = hf_models.loss_of(model, reference.batch(5)).item()
    hf_judge.require_trajectory([*trained["losses"].tolist(), loss], reference, "exports", steps=6)
    assert loss < trained["losses"][3].item(), "the same batch two steps before"


@pytest.mark.parametrize("dtype, name", [(torch.bfloat16, "BF16"), (torch.float16, "F16"), (torch.float64, "F64")])
def test_other_types_go_through_exactly(dtype, name, references, probe, tmp_path, caplog):
    reference = references("llama")
    hf_models.random_model("llama").to(dtype).save_pretrained(tmp_path / "hf")
    precision = "fp64" if dtype == torch.float64 else "fp32"
    probe(reference, tmp_path / "hf", precision=precision, export=tmp_path / "export", export_dtype=name)
    assert_same_tensors(tmp_path / "export", tmp_path / "hf")
    assert hf_models.load_strictly(tmp_path / "export", caplog).dtype == dtype


def test_shards_are_read_and_written(references, probe, tmp_path, caplog):
    reference = references("gpt2-untied")
    hf_models.random_model("gpt2-untied").save_pretrained(tmp_path / "hf", max_shard_size="60KB")
    assert len(list((tmp_path / "hf").glob("model-*.safetensors"))) > 2
    probe(reference, tmp_path / "hf", export=tmp_path / "export", max_shard=50_000)
    assert len(list((tmp_path / "export").glob("model-*.safetensors"))) > 2
    assert_same_tensors(tmp_path / "export", tmp_path / "hf")
    hf_models.load_strictly(tmp_path / "export", caplog)


def test_names_of_the_bare_model_and_old_buffers_are_read(references, probe, tmp_path):
    """As the gpt2 checkpoint on the hub: no "transformer." in front, masks among the weights."""
    reference = references("gpt2")
    tensors = load_file(reference.folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    bare["h.0.attn.bias"] = torch.ones(1, 1, 32, 32)
    bare["h.0.attn.masked_bias"] = torch.tensor(-1e4)
    (tmp_path / "hf").mkdir()
    shutil.copy(reference.folder / "config.json", tmp_path / "hf")
    save_file(bare, tmp_path / "hf/model.safetensors")
    assert torch.equal(probe(reference, tmp_path / "hf")["logits"], probe(reference)["logits"])


def test_early_bert_checkpoints_are_read(references, probe, tmp_path):
    """As bert-base-uncased on the hub: gamma and beta, copies of the tied parts, heads of other tasks."""
    reference = references("bert")
    tensors = load_file(reference.folder / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    old["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    old["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].clone()
    old["cls.seq_relationship.weight"], old["cls.seq_relationship.bias"] = torch.ones(2, 48), torch.ones(2)
    old["bert.pooler.dense.weight"], old["bert.pooler.dense.bias"] = torch.ones(48, 48), torch.ones(48)
    (tmp_path / "hf").mkdir()
    shutil.copy(reference.folder / "config.json", tmp_path / "hf")
    save_file(old, tmp_path / "hf/model.safetensors")
    assert torch.equal(probe(reference, tmp_path / "hf")["logits"], probe(reference)["logits"])


def test_a_tied_copy_must_be_a_copy(references, probe, tmp_path):
    reference = references("gpt2")
    shutil.copytree(reference.folder, tmp_path / "hf")
    tensors = load_file(reference.folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, tmp_path / "hf/model.safetensors")
    assert torch.equal(probe(reference, tmp_path / "hf")["logits"], probe(reference)["logits"])
    tensors["lm_head.weight"][3] += 1
    save_file(tensors, tmp_path / "hf/model.safetensors")
    assert "1 unlike its copy: lm_head.weight" in refusal(tmp_path / "hf", reference, tmp_path)


def refusal(model: Path, reference: Reference, tmp_path: Path, *arguments: object) -> str:
    save_file(reference.inputs, tmp_path / "tokens.safetensors")
    places = ["--model", model, "--tokens", tmp_path / "tokens.safetensors", "--output", tmp_path / "out"]
    done = run_probe(*places, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()
    return done.stderr


@pytest.mark.parametrize("plan_name", [None, "tp2-zero3-pp2"])
def test_a_checkpoint_that_does_not_fit_is_told_at_once(plan_name, references, tmp_path):
    reference = references("llama")
    shutil.copytree(reference.folder, tmp_path / "hf")
    tensors = load_file(reference.folder / "model.safetensors")
    del tensors["model.norm.weight"]
    tensors["model.extra.weight"] = torch.ones(3)
    tensors["model.layers.0.mlp.up_proj.weight"] = torch.ones(80, 40)
    tensors["model.layers.1.input_layernorm.weight"] = torch.ones(48, dtype=torch.int64)
    save_file(tensors, tmp_path / "hf/model.safetensors")
    plans = ["--plan", write_plan(plan_name, tmp_path)] if plan_name else []
    message = refusal(tmp_path / "hf", reference, tmp_path, *plans, "--export", tmp_path / "export")
    for part in (
        "1 missing: model.norm.weight",
        "1 unexpected: model.extra.weight",
        "1 of a wrong shape: model.layers.0.mlp.up_proj.weight (is [80, 40], must be [80, 48])",
        "1 of a wrong type: model.layers.1.input_layernorm.weight (is I64, must be F64, F32, BF16 or F16)",
    ):
        assert part in message, message
    assert not (tmp_path / "export").exists()


def test_an_index_may_name_what_nobody_needs(references, probe, tmp_path):
    """Old rotary buffers and tied copies that no shard holds: transformers loads such folders, too."""
    reference = references("llama")
    hf_models.random_model("llama").save_pretrained(tmp_path / "hf", max_shard_size="60KB")
    index = tmp_path / "hf/model.safetensors.index.json"
    weights = json.loads(index.read_text())
    first = min(weights["weight_map"].values())
    weights["weight_map"]["model.layers.0.self_attn.rotary_emb.inv_freq"] = first
    index.write_text(json.dumps(weights))
    assert torch.equal(probe(reference, tmp_path / "hf")["logits"], probe(reference)["logits"])
    tensors = load_file(tmp_path / "hf" / first)
    missing = sorted(tensors)[-1]
    save_file({name: value for name, value in tensors.items() if name != missing}, tmp_path / "hf" / first)
    message = refusal(tmp_path / "hf", reference, tmp_path)
    assert f"1 missing: {missing} (the index says that it is in {first}, which does not hold it)" in message


@pytest.mark.parametrize("family", ["vit", "bert", "llama"])
def test_a_backbone_gets_a_new_head(family, references, tmp_path):
    reference = references(family)
    tensors = load_file(reference.folder / "model.safetensors")
    heads = ("classifier.", "lm_head.", "cls.predictions.")
    backbone = {name: value for name, value in tensors.items() if not name.startswith(heads)}
    assert len(backbone) < len(tensors)
    (tmp_path / "hf").mkdir()
    shutil.copy(reference.folder / "config.json", tmp_path / "hf")
    save_file(backbone, tmp_path / "hf/model.safetensors")
    with pytest.warns(UserWarning, match="no head of this task: .* begin with random values"):
        model = galvatron.load(tmp_path / "hf")
    state = model.state_dict()
    assert all(torch.equal(state[name].double(), value.double()) for name, value in backbone.items() if name in state)
    head = next(name for name in tensors if name.startswith(heads))
    assert torch.isfinite(state[head]).all()


def as_saved(reference, folder, rename, extra=()):
    """The reference's weights under other names, with more tensors beside them."""
    folder.mkdir()
    shutil.copy(reference.folder / "config.json", folder)
    tensors = load_file(reference.folder / "model.safetensors")
    renamed = {rename(name): value for name, value in tensors.items()}
    save_file(renamed | {name: torch.ones(3) for name in extra}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: "module." + name,
        lambda name: "_orig_mod." + name,
        lambda name: "module._orig_mod." + name,
        lambda name: "base_model.model." + name,
        lambda name: "language_model." + name,
        lambda name: "model." + name,
        lambda name: name.replace("layers.0.", "layers.0._checkpoint_wrapped_module."),
    ],
)
def test_what_held_a_model_is_taken_off_its_names(rename, references, probe, tmp_path):
    reference = references("llama")
    folder = as_saved(reference, tmp_path / "hf", rename)
    assert torch.equal(probe(reference, folder)["logits"], probe(reference)["logits"])


def test_other_parts_and_heads_are_left_out_and_said(references, tmp_path):
    reference = references("llama")
    plain = galvatron.load(reference.folder).state_dict()
    headed = as_saved(reference, tmp_path / "score", lambda name: name, ["score.weight", "v_head.summary.bias"])
    with pytest.warns(
        UserWarning, match="has 2 tensors that this model does not: score.weight, v_head.summary left out"
    ):
        found = galvatron.load(headed).state_dict()
    assert all(torch.equal(found[name], value) for name, value in plain.items())
    seeing = as_saved(
        reference,
        tmp_path / "seeing",
        lambda name: name.replace("model.", "model.language_model.", 1),
        ["model.vision_tower.layers.0.weight"],
    )
    with pytest.warns(UserWarning, match="1 tensors that this model does not: model.vision_tower left out"):
        found = galvatron.load(seeing).state_dict()
    assert all(torch.equal(found[name], value) for name, value in plain.items())


def test_shards_without_an_index(references, probe, tmp_path):
    reference = references("llama")
    hf_models.random_model("llama").save_pretrained(tmp_path / "hf", max_shard_size="60KB")
    (tmp_path / "hf/model.safetensors.index.json").unlink()
    assert torch.equal(probe(reference, tmp_path / "hf")["logits"], probe(reference)["logits"])
    sorted((tmp_path / "hf").glob("*.safetensors"))[1].unlink()
    assert "get the others, and model.safetensors.index.json" in refusal(tmp_path / "hf", reference, tmp_path)


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        ("adapter_config.json", b"{}", "it is an adapter (LoRA): merge it"),
        ("tf_model.h5", b"", "from_tf=True"),
        ("model-Q4_K_M.gguf", b"", "model-Q4_K_M.gguf has to be converted"),
        ("model.fp16.safetensors", b"", "is model.fp16.safetensors meant?"),
        ("checkpoint.json", b"{}", "it is a checkpoint of a run"),
    ],
)
def test_what_lies_there_instead_of_weights_is_told(name, content, sentence, references, tmp_path):
    (tmp_path / "hf").mkdir()
    shutil.copy(references("llama").folder / "config.json", tmp_path / "hf")
    (tmp_path / "hf" / name).write_bytes(content)
    with pytest.raises(galvatron.ConfigError, match=re.escape(sentence)):
        galvatron.load(tmp_path / "hf")


def test_a_truncated_checkpoint_is_told(references, tmp_path):
    reference = references("llama")
    shutil.copytree(reference.folder, tmp_path / "hf")
    weights = tmp_path / "hf/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    assert "it is truncated" in refusal(tmp_path / "hf", reference, tmp_path)


def test_an_export_replaces_an_export_and_nothing_else(references, probe, tmp_path):
    reference = references("llama")
    export = tmp_path / "export"
    probe(reference, export=export, max_shard=50_000)
    probe(reference, export=export)
    assert_same_tensors(export, reference.folder)
    (export / "notes.txt").write_text("mine")
    message = refusal(reference.folder, reference, tmp_path, "--export", export)
    assert "it holds notes.txt" in message
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("export")) == ["export"]
    assert (export / "notes.txt").read_text() == "mine"

"""The Python package: its models against transformers', its plans and searches against the command line's, training."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace

import hf_judge
import hf_models
import numpy as np
import pytest
import torch
from package_testing import QUICK, ROOT, TINY, TINY_VOCABULARY, galvatron_command, needs_module
from safetensors.torch import load_file
from single_precision import in_every_order

import galvatron

pytestmark = needs_module

SINGLE, DOUBLE = torch.float32, torch.float64
PACKAGE = "Python package"


# --- models ---


def call(model: torch.nn.Module, reference: hf_models.Reference, step: int = 0) -> dict[str, torch.Tensor]:
    """With labels, which next-token models take from their inputs."""
    batch = reference.batch(step)
    return model(**({"labels": batch["input_ids"]} if "labels" not in batch else {}), **batch)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*hf_judge.isa_cases(hf_models.CONFIGS, SINGLE), *hf_judge.isa_cases(hf_models.CONFIGS, DOUBLE)],
    ids=lambda value: str(value).removeprefix("torch."),
)
def test_numbers_are_those_of_transformers(name, dtype, references):
    reference = references(name, dtype == DOUBLE)
    model = galvatron.load(reference.folder, dtype)
    out = call(model, reference)
    hf_judge.require_logits(out["logits"], reference, PACKAGE)
    hf_judge.require_loss(out["loss"].item(), reference, PACKAGE)
    out["loss"].backward()
    hf_judge.require_gradients({key: value.grad for key, value in model.named_parameters()}, reference, PACKAGE)


@pytest.mark.parametrize("name", hf_judge.isa_cases(["gpt2", "llama", "qwen2", "bert", "t5", "vit", "swin"]))
def test_a_trajectory_by_torchs_optimizer_is_that_of_transformers(name, references):
    reference = references(name)
    model = galvatron.load(reference.folder)

    class AsTransformers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, pixel_values=None, **inputs):
            return SimpleNamespace(**model(pixel_values=pixel_values, **inputs))

    losses = hf_models.adamw_losses(AsTransformers(), reference.inputs)
    hf_judge.require_trajectory(losses, reference, f"{PACKAGE}, trajectory")


@pytest.mark.parametrize("name", ["gpt2", "llama", "llama-tied", "bert", "t5", "vit", "swin"])
def test_weights_go_there_and_back(name, references, tmp_path, caplog):
    reference = references(name)
    model = galvatron.load(reference.folder)
    if name in ("gpt2", "llama", "llama-tied"):  # transformers writes names of others that its models do not have
        theirs = hf_models.AutoModelForCausalLM.from_config(copy.deepcopy(hf_models.CONFIGS[name]))
        theirs.load_state_dict(model.state_dict(), strict=True)
    model.save(tmp_path / "saved")
    original, saved = (load_file(folder / "model.safetensors") for folder in (reference.folder, tmp_path / "saved"))
    assert saved.keys() == original.keys()
    assert all(torch.equal(saved[key], original[key]) for key in original)
    hf_models.load_strictly(tmp_path / "saved", caplog)
    again = galvatron.load(tmp_path / "saved")
    assert torch.equal(call(again, reference)["logits"], call(model, reference)["logits"])


def test_a_model_is_a_torch_module(references):
    reference = references("llama")
    model = galvatron.load(reference.folder)
    tokens = reference.batch()["input_ids"]
    twin = copy.deepcopy(model).double()  # parts of one matrix no longer lie side by side
    assert next(twin.parameters()).dtype == torch.float64
    hf_judge.require_logits(twin(input_ids=tokens)["logits"], references("llama", True), "a copy in double")
    hf_judge.require_logits(model(input_ids=tokens)["logits"], reference, PACKAGE)
    assert next(model.parameters()).dtype == torch.float32, "the original stays as it was"

    loss = model(input_ids=tokens, labels=tokens)["loss"]
    loss.backward(retain_graph=True)
    once = {key: value.grad.clone() for key, value in model.named_parameters()}
    loss.backward()
    for key, value in model.named_parameters():
        assert torch.equal(value.grad, 2 * once[key]), key


def test_a_write_between_forward_and_backward_is_noticed(references):
    model = galvatron.load(references("llama").folder)
    tokens = references("llama").batch()["input_ids"]
    loss = model(input_ids=tokens, labels=tokens)["loss"]
    with torch.no_grad():
        model.get_parameter("model.layers.0.self_attn.k_proj.weight").add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_dropout_draws_anew_in_training_and_not_at_all_in_evaluation():
    config = {**json.loads((ROOT / f"configs/models/{TINY}.json").read_text()), "resid_pdrop": 0.5}
    model = galvatron.load(config)
    tokens = torch.arange(16).view(2, 8)
    assert torch.equal(model(input_ids=tokens)["logits"], model(input_ids=tokens)["logits"])
    model.train()
    assert not torch.equal(model(input_ids=tokens)["logits"], model(input_ids=tokens)["logits"])


def test_random_weights_are_those_that_training_starts_from(tmp_path):
    tokens = np.arange(4 * 16) % 97
    galvatron.train(TINY, data=[{"input_ids": row} for row in tokens.reshape(4, 16)], shuffle=False,
                    **{**QUICK, "steps": 1, "lr": 0.0}, weight_decay=0.0, export=tmp_path / "out")  # fmt: skip
    trained, loaded = galvatron.load(tmp_path / "out"), galvatron.load(TINY)
    for (name, ours), (_, theirs) in zip(trained.named_parameters(), loaded.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_labels_that_do_not_count_and_masks_that_mask_nothing(references):
    reference = references("gpt2")
    tokens = reference.batch()["input_ids"]
    model = galvatron.load(reference.folder)
    theirs = hf_models.random_model("gpt2")
    labels = tokens.masked_fill(tokens % 3 == 0, -100)
    ours = model(input_ids=tokens, labels=labels, attention_mask=torch.ones_like(tokens))["loss"]
    in_single = in_every_order(lambda: theirs(input_ids=tokens, labels=labels).loss.item())
    in_double = hf_models.lift_to_double(theirs)(input_ids=tokens).logits
    truth = torch.nn.functional.cross_entropy(in_double[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    hf_judge.of(reference, PACKAGE).require("loss of two thirds", ours.item(), in_single, truth.item())


# --- one sentence each ---


def wrong_calls(folder: Path):
    tokens = torch.zeros(2, 8, dtype=torch.long)
    model, vision = galvatron.load(TINY), galvatron.load("vit-tiny")
    images = torch.zeros(2, *vision.spec.image_shape)
    yield lambda: galvatron.load("gpt3-tiny"), "'gpt3-tiny' is no preset and no file or folder, did you mean 'gpt2-"
    yield lambda: galvatron.load({"model_type": "mamba"}), "its layers are recurrent, not attention; supported are"
    yield lambda: galvatron.load(TINY, torch.int8), "dtype is float32, float64, bfloat16 or float16, not Char"
    yield lambda: galvatron.load(folder), "holds no safetensors"
    yield lambda: model(labels=tokens), "input_ids is missing"
    yield lambda: model(input_ids=tokens[0]), "input_ids must be [samples, tokens], not of 1 dimensions"
    yield lambda: model(input_ids=tokens + TINY_VOCABULARY), "holds token 509; the vocabulary of 'gpt2-tiny' has 509"
    yield lambda: model(input_ids=tokens.repeat(1, 100)), "has 800 tokens a sample; 'gpt2-tiny' takes 1 to 128"
    yield lambda: model(input_ids=tokens, labels=tokens - 1), "labels holds token -1; the vocabulary"
    yield lambda: model(input_ids=tokens, labels=tokens[:, 1:]), "labels are [2, 7], input_ids [2, 8]"
    yield lambda: vision(pixel_values=torch.zeros(2, 3, 5, 5)), "pixel_values is [2, 3, 5, 5], must be [samples, "
    yield lambda: vision(pixel_values=images, labels=tokens[:, 0] + 1000), "labels holds class 1000"
    yield (
        lambda: galvatron.train(TINY, data=[tokens[0] + TINY_VOCABULARY], **{**QUICK, "seq_length": 8}),
        "holds token 509",
    )
    yield lambda: model(pixel_values=tokens), "has no input 'pixel_values'; it takes input_ids, labels"
    yield lambda: model(input_ids=tokens, attention_mask=tokens - 1), "attention_mask holds number -1; 1 is text"
    holes = torch.tensor([[1, 0, 1, 1, 1, 1, 1, 1]])
    yield lambda: model(input_ids=tokens[:1], attention_mask=holes), "tokens 0 to 0 and 2 to 7 of sample 0 belong"
    yield lambda: model(input_ids=tokens, attention_mask=holes[:, :4]), "there is one for each token"
    yield lambda: model(input_ids=tokens, position_ids=tokens + 100000), "position_ids holds position"
    yield lambda: galvatron.train(TINY, data=[], **QUICK), "the dataset is empty"
    yield lambda: galvatron.train(TINY, data=3, **QUICK), "int is no data"
    yield lambda: galvatron.train(TINY, data=iter([]), **QUICK), "yields nothing in epoch 0"
    yield lambda: galvatron.train(TINY, data=[{"text": "x"}], **QUICK), "samples have no 'input_ids'"
    yield lambda: galvatron.train(TINY, data=[tokens[0]], **QUICK), "sample 0 has 8 tokens, the others 16"
    yield (
        lambda: galvatron.train(TINY, data=[tokens[0], tokens[0].repeat(2)], steps=1, shuffle=False),
        "more than the seq_length of 8",
    )
    yield lambda: galvatron.train(TINY, data=[tokens[0]], documents="packed", steps=1), "samples say it themselves"
    yield lambda: galvatron.train(TINY, stepz=3), "'stepz' is unknown, did you mean 'steps'?"
    yield lambda: galvatron.train(TINY, data=[tokens[0]], eval_interval=1, steps=1), "needs valid_data"
    yield lambda: galvatron.train(TINY, plan="none.json"), "none.json"
    yield lambda: galvatron.train(TINY, plan="none.json", tp_degree=2), "tp_degree and plan exclude each other"
    yield lambda: galvatron.train(TINY, tp_degree=2), "tp_degree"
    yield lambda: galvatron.search(TINY), "hardware is missing: give a measured profile, or a cluster to compute with"
    yield lambda: galvatron.search(TINY, cluster="8xH1000"), "'H1000' is not known; the nearest are H100"
    yield lambda: galvatron.search(TINY, cluster="8xH100", allow=["tp=2"]), "tp"
    yield lambda: galvatron.Plan.from_dict({"format": "x"}), "is no plan of ours"
    yield lambda: galvatron.Plan.uniform(TINY, tp_size=2), "'tp_size'"
    yield lambda: galvatron.HardwareProfile.read(folder / "config.json"), "config.json"
    yield lambda: galvatron.train(TINY, optimizer=torch.optim.AdamW), "optimizer needs one of adamw, sgd, lion, muon, "
    yield lambda: galvatron.train(TINY, lr=float("nan")), "lr needs float, not"
    yield (
        lambda: galvatron.train(TINY, data=[1, 1], **QUICK),
        "input_ids of a sample is one number, 1; a sample is a row",
    )
    yield lambda: galvatron.train(TINY, data=["some", "text"], **QUICK), "input_ids of a sample is str, which no tensor"
    yield lambda: galvatron.train(TINY, on_step=3), "on_step needs a function, not 3"
    yield lambda: galvatron.train(TINY, plan={"format": "x"}), "is no plan of ours"
    yield lambda: galvatron.train(TINY, plan=3), "a plan is read from a file, not from 3"
    yield lambda: galvatron.load(3), "3 is no preset name, file, folder, configuration or Model"
    yield lambda: galvatron.load(TINY, num_layer=3), "'num_layer' is unknown, did you mean 'num_layers'?"
    yield lambda: galvatron.load(TINY, num_heads=3), "num_heads"
    yield lambda: galvatron.search(TINY, hardware=3), "hardware needs a file or a HardwareProfile, not 3"
    yield lambda: galvatron.search(TINY, cluster="8xH100", on_progress=3), "on_progress needs a function, not 3"
    yield lambda: galvatron.search(TINY, cluster="8xH100", memory_margin="all"), "memory_margin"
    yield lambda: galvatron.search(TINY, cluster="8xH100", hidden=64), "'hidden' is unknown"
    yield lambda: galvatron.search(TINY, cluster="1xH100", intra_node="2GB/s"), ": intra_node joins nothing"
    yield lambda: galvatron.sweep([], cluster="8xH100"), "model"
    yield lambda: galvatron.sweep(TINY, cluster="8xH100", memory=["x"]), "memory"


def test_what_is_wrong_is_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text((ROOT / f"configs/models/{TINY}.json").read_text())
    count = 0
    for call, sentence in wrong_calls(tmp_path):
        with pytest.raises(galvatron.ConfigError, match=re.escape(sentence)) as caught:
            call()
        assert isinstance(caught.value, ValueError)
        assert "\n" not in str(caught.value)
        assert "--" not in str(caught.value)
        count += 1
    assert count == 53


def test_a_checkpoint_that_does_not_fit(references):
    reference = references("llama")
    broken = reference.folder.parent / "broken"
    broken.mkdir()
    for name in ("config.json", "model.safetensors"):
        (broken / name).write_bytes((reference.folder / name).read_bytes())
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(galvatron.ConfigError, match="it is truncated"):
        galvatron.load(broken)


# --- plans ---


def test_a_plan_is_read_edited_checked_and_written(tmp_path):
    plan = galvatron.Plan.uniform(TINY, world_size=4, global_batch=8, precision="fp32", tp_degree=2)
    plan.check(TINY, world_size=4, seq_length=64)
    for block in plan.layers[1:-1]:
        block.zero_stage = 3
        block.recompute = "full"
    plan.write(tmp_path / "plan.json")
    again = galvatron.Plan.read(tmp_path / "plan.json")
    assert again == plan
    assert galvatron.Plan.from_dict(plan.to_dict()) == plan
    assert json.loads(plan.to_text()) == json.loads((tmp_path / "plan.json").read_text())
    assert (again.layers[1].tp_degree, again.layers[1].zero_stage, again.dp_degree(1)) == (2, 3, 2)
    assert str(plan) == "embedding tp2 | 2 x tp2 zero3 full | head tp2, 1 microbatch"

    again.layers[1].tp_degree = 3
    assert again.problem(TINY) is not None
    with pytest.raises(galvatron.ConfigError, match="tp_degree"):
        again.check(TINY)
    with pytest.raises(AttributeError):
        again.layers[1].tp_size = 2


# --- search ---


def test_a_search_answers_as_the_command_line_does(tmp_path):
    wanted = {"cluster": "8xH100", "memory": "10GiB", "global_batch": "32:64:32", "seq_length": 512}
    options = [word for key, value in wanted.items() for word in (f"--{key.replace('_', '-')}", value)]
    done = galvatron_command(
        "search", "--model", "gpt2-1.5b", *options, "--allow", "tp_degree<=2", "--output", tmp_path / "plan.json"
    )
    assert done.returncode == 0, done.stderr
    result = galvatron.search("gpt2-1.5b", **wanted, allow=["tp_degree<=2"])
    theirs = galvatron.Plan.read(tmp_path / "plan.json")
    theirs.search.pop("inputs")
    assert result.plan == theirs
    assert result.prediction.step_ms == result.plan.search["prediction"]["step_ms"]
    assert 0 < result.prediction.peak_memory_bytes <= 10 << 30
    assert len(result.runners_up) == 3
    assert result.runners_up[0].prediction.step_ms > 0
    assert result.baselines["best"] in [one["name"] for one in result.baselines["plans"]]
    for words in ("by hand", "what binds", "runner-ups", "certificate", "what this space leaves out"):
        assert words in result.explain()
    result.plan.check("gpt2-1.5b", world_size=8, seq_length=512)


def test_a_search_that_finds_nothing_says_how_much_it_takes():
    wanted = {"cluster": "8xH100", "memory": 2 << 30, "global_batch": 64, "seq_length": 512}
    with pytest.raises(galvatron.NothingFits, match=r"nothing fits in 2\.00 GiB: the leanest plan needs") as caught:
        galvatron.search("gpt2-6.7b", **wanted)
    assert caught.value.memory_bytes == 2 << 30 < caught.value.needed_bytes
    options = ["--cluster", "8xH100", "--memory", "2GiB", "--global-batch", 64, "--seq-length", 512]
    done = galvatron_command("search", "--model", "gpt2-6.7b", *options)
    assert str(caught.value) in done.stdout.splitlines()  # below the question


def example_profiles() -> tuple[dict, dict]:
    """Of a machine of two ranks and of gpt2-tiny."""
    provenance = {"host": "", "date": "", "versions": {}, "seed": 0, "note": "made up"}
    points = [{"bytes": 1 << 10, "ms": 0.1}, {"bytes": 1 << 20, "ms": 1.0}]
    hardware = {
        "format": "galvatron-hardware-profile", "version": 1, "provenance": provenance, "device": "cpu",
        "world_size": 2, "ranks_per_node": 2, "device_memory_bytes": 1 << 30, "memory_reserve_bytes": 1 << 20,
        "overlap_slowdown": 1.5, "compute_contention": [], "optimizer_ns_per_element": 1.0,
        "collectives": [
            {"operation": operation, "group_size": 2, "stride": 1, "points": points}
            for operation in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "p2p")
        ],
    }  # fmt: skip
    cost = {
        "selective_recompute_ms": 0.1, "activation_bytes": 1 << 16, "activation_selective_bytes": 1 << 15,
        "forward_workspace_bytes": 1 << 12, "backward_workspace_bytes": 1 << 12,
    }  # fmt: skip
    spec = galvatron.load(TINY).spec
    profile = {
        "format": "galvatron-model-profile", "version": 1, "provenance": provenance, "model": TINY,
        "seq_length": 64, "precision": "fp32", "device": "cpu",
        "layer_types": [
            {"type": type_, "parameter_bytes": parameter_bytes, "measurements": [
                {"tp_degree": tp, "samples": count, "forward_ms": count / tp, "backward_ms": 2 * count / tp, **cost}
                for tp in (1, 2) for count in (1, 4)
            ]}
            for type_, parameter_bytes in parameter_bytes_of_types(spec.config)
        ],
    }  # fmt: skip
    return hardware, profile


def parameter_bytes_of_types(config: str) -> list[tuple[str, int]]:
    sizes = json.loads(config)
    hidden, vocabulary, positions = sizes["n_embd"], sizes["vocab_size"], sizes["n_positions"]
    block = 12 * hidden * hidden + 13 * hidden
    numbers = {"embedding": (vocabulary + positions) * hidden, "block": block, "head": (vocabulary + 2) * hidden}
    return [(type_, 4 * count) for type_, count in numbers.items()]


def test_profiles_are_read_edited_and_used(tmp_path):
    hardware, profile = (
        kind(content)
        for kind, content in zip((galvatron.HardwareProfile, galvatron.ModelProfile), example_profiles(), strict=True)
    )
    hardware.write(tmp_path / "hardware.json")
    profile.write(tmp_path / "model.json")
    assert galvatron.HardwareProfile.read(tmp_path / "hardware.json")["overlap_slowdown"] == 1.5
    files = {"hardware": tmp_path / "hardware.json", "profile": tmp_path / "model.json"}
    found = galvatron.search(TINY, **files, precision="fp32", global_batch=8)
    again = galvatron.search(TINY, hardware=hardware, profile=profile, precision="fp32", global_batch=8)
    assert found.plan == again.plan
    predicted = galvatron.simulate(TINY, found.plan, **files)
    assert predicted.step_ms == pytest.approx(found.prediction.step_ms, rel=1e-12)
    assert predicted.timeline["traceEvents"]
    lean = galvatron.simulate(TINY, found.plan, **files, optimizer="sgd")
    assert lean.details["optimizer"] == "sgd"
    assert lean.peak_memory_bytes < predicted.peak_memory_bytes
    assert galvatron.search(TINY, **files, precision="fp32", optimizer="sgd").prediction.step_ms < predicted.step_ms
    wide = galvatron.simulate(TINY, found.plan, cluster="8xH100", seq_length=16)
    assert wide.tokens_per_second > 0
    assert "MFU" in wide.table
    with pytest.raises(galvatron.ConfigError, match="did you mean 'seq_length'"):
        galvatron.simulate(TINY, found.plan, cluster="8xH100", seq_lenght=16)
    hardware["overlap_slowdown"] = "much"
    with pytest.raises(galvatron.ConfigError, match="overlap_slowdown"):
        hardware.write(tmp_path / "hardware.json")

"""galvatron models, and numbers of a model that the command line changes."""

from __future__ import annotations

import json

import pytest


def output(done) -> str:
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def refusal(done) -> str:
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


def test_lists_the_presets(galvatron):
    lines = output(galvatron("models")).splitlines()
    row = next(line for line in lines if line.split()[0] == "llama2-13b")
    assert row.split() == ["llama2-13b", "llama", "13.0", "B", "40", "5120", "40", "40", "13824", "32000", "4096"]
    presets = [preset["name"] for preset in json.loads(output(galvatron("models", "--json")))]
    assert presets == [line.split()[0] for line in lines[2:]]
    assert [name for name in presets if name.startswith("gpt3-")] == [
        f"gpt3-{n}b" for n in ("1.3", "2.7", "6.7", "13", "175")
    ]


def test_shows_one_model_with_other_numbers(galvatron):
    wide = ("--num-layers", 48, "--hidden-size", 6144, "--num-heads", 48)
    model = json.loads(output(galvatron("models", "llama2-7b", *wide, "--json")))
    assert model["name"] == "llama2-7b(num_layers=48,hidden_size=6144,num_heads=48)"
    assert (model["head_size"], model["intermediate_size"], model["num_params"]) == (128, 16512, 22_250_330_112)
    assert "22250330112 (22.3 B)" in output(galvatron("models", "llama2-7b", *wide))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["lama2-7b"], "did you mean 'llama2-7b', 'llama-7b', 'llama2-70b'?"),
     (["Qwen/Qwen2.5-7B"], "'Qwen/Qwen2.5-7B' is not a folder here; the preset qwen2.5-7b has its sizes"),
     (["--num-layers", 3], "--num-layers changes a model; name one"),
     (["gpt2", "--num-layers", 0], "--num-layers needs a whole number from 1 to 10000, not '0'"),
     (["gpt2", "--ffn-hidden-size", 8], "has no option --ffn-hidden-size; that is --intermediate-size here")],
)  # fmt: skip
def test_says_what_is_wrong(galvatron, arguments, sentence):
    assert sentence in refusal(galvatron("models", *arguments))


SEARCH = ("search", "--model", "gpt2", "--cluster", "8xA100", "--global-batch", 16)


def test_search_plans_for_the_changed_model(galvatron, tmp_path):
    output(galvatron(*SEARCH, "--num-layers", 5, "--output", "plan.json"))
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["model"] == "gpt2(num_layers=5)"
    assert sum(plan["pipeline"]["layers_per_stage"]) == 7


def test_galvatron2_takes_two_of_them(galvatron):
    arguments = ("search", "--galvatron2-profiles", "nowhere", "--world-size", 8, "--num-layers", 32)
    rest = ("--hidden-size", 4096, "--seq-length", 2048, "--memory", "36GiB", "--global-batch", 64)
    assert "--hidden-size is missing" in refusal(galvatron(*arguments))
    message = refusal(galvatron(*arguments, *rest, "--num-heads", 32))
    assert "--num-heads belongs to our own cost model" in message


LLAMA = {"model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.mark.parametrize(
    "files, sentence",
    [
        ({"snapshots/abc/config.json": LLAMA}, "it is a hub's cache: give the folder below its snapshots/"),
        ({"checkpoint.json": {}}, "it is a checkpoint of a run: go on with --resume"),
        ({"adapter_config.json": {}}, "it is an adapter (LoRA): merge it"),
        ({"params.json": {}}, "weights as their makers train them"),
        ({"model_index.json": {}}, "it is a pipeline of several models"),
        ({"config.json": {"dim": 8, "n_layers": 2}}, "of LLaMA's makers (params.json), not of transformers"),
        ({"config.json": {"architecture": "vit", "pretrained_cfg": {}}}, "a config of timm, not of transformers"),
        ({"config.json": {"_class_name": "UNet"}}, "a config of diffusers, not of transformers"),
    ],
)
def test_folders_of_other_kinds_are_told(files, sentence, galvatron, tmp_path):
    for name, content in files.items():
        (tmp_path / "m" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / name).write_text(json.dumps(content))
    assert sentence in refusal(galvatron("models", tmp_path / "m"))


def test_a_config_without_a_type_is_of_its_architecture(galvatron, tmp_path):
    old = {key: value for key, value in LLAMA.items() if key != "model_type"}
    (tmp_path / "config.json").write_text(json.dumps(old | {"architectures": ["LlamaForCausalLM"]}))
    assert json.loads(output(galvatron("models", tmp_path, "--json")))["family"] == "llama"
    (tmp_path / "config.json").write_text(json.dumps(old | {"architectures": ["XForY"]}))
    assert "'model_type' is missing" in refusal(galvatron("models", tmp_path))


def test_a_name_in_the_hubs_cache_is_found(galvatron, tmp_path, monkeypatch):
    snapshot = tmp_path / "hub/models--org--tiny/snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(LLAMA))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert f"the hub's cache has it: give {snapshot}" in refusal(galvatron("models", "org/tiny"))

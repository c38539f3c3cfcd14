"""Coming from Hugging Face: folders in and out, and the recipes of docs/from_huggingface.md against the real things."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import datasets
import pytest
import torch
import transformers
from package_testing import LAUNCH_VARIABLES, ROOT, needs_module
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast, Trainer, TrainingArguments

import galvatron

pytestmark = needs_module

VOCABULARY = 61
STEPS, BATCH, LENGTH = 6, 4, 12
RECIPES = (ROOT / "docs/from_huggingface.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small LLaMA with its tokenizer, as transformers saves both."""
    path = tmp_path_factory.mktemp("hf") / "llama"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def dataset() -> datasets.Dataset:
    rows = [[(start + 3 * place) % VOCABULARY for place in range(LENGTH)] for start in range(0, 80, 2)]
    return datasets.Dataset.from_dict({"input_ids": rows, "labels": rows})


def recipe(name: str) -> str:
    """The block of docs/from_huggingface.md whose first line is `# name`."""
    found = re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", RECIPES, re.DOTALL)
    assert found is not None, name
    return found[1]


def run_recipe(name: str, **known: object) -> dict[str, object]:
    namespace = dict(known)
    exec(compile(recipe(name), f"docs/from_huggingface.md: {name}", "exec"), namespace)
    return namespace


# --- folders ---


def test_a_model_goes_to_transformers_and_back_with_its_tokenizer(folder, tmp_path):
    model = galvatron.from_pretrained(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    tokens = torch.arange(2 * LENGTH).view(2, LENGTH)
    assert not model.training
    with torch.no_grad():
        assert torch.allclose(model(input_ids=tokens).logits, theirs(tokens).logits, rtol=1e-5, atol=1e-5)
        next(model.parameters()).mul_(2)
    model.save_pretrained(tmp_path / "mine")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "mine").state_dict()
    assert all(torch.equal(again[name], value) for name, value in model.state_dict().items())
    assert AutoTokenizer.from_pretrained(tmp_path / "mine")("w3 w5")["input_ids"] == [3, 5]
    twice = galvatron.from_pretrained(tmp_path / "mine", torch.float64)
    assert torch.equal(next(twice.parameters()), next(model.parameters()).double())


def test_the_recipe_for_folders(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_recipe("folders", folder=folder)
    assert AutoTokenizer.from_pretrained("mine")("w7")["input_ids"] == [7]
    assert len(re.findall(r"```python\n# ", RECIPES)) == RECIPES.count("```python\n") == 7, "each block is run here"


TEMPLATE = """{% for message in messages %}{% if message.role == "assistant" %}{% generation %}{{ message.content }}\
{% endgeneration %}{% else %}{{ message.content }}{% endif %} {% endfor %}"""


def test_the_recipe_for_chats_learns_what_the_assistant_says(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "chat"
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(mine)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(mine)
    chats = []
    for first in range(4):
        ask, say = (" ".join(f"w{(first + k) % VOCABULARY}" for k in range(n + first)) for n in (2, 3))
        chats.append([{"role": "user", "content": ask}, {"role": "assistant", "content": say}] * (1 + first % 2))
    known = run_recipe("chats", folder=mine, chats=chats)
    samples = [known["sample"](messages) for messages in chats]
    assert [len(one["input_ids"]) for one in samples] == [5, 14, 9, 22]
    assert samples[1]["labels"] == [-100] * 3 + [1, 2, 3, 4] + [-100] * 3 + [1, 2, 3, 4]
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    sums = count = 0.0
    for one in samples:
        learned = sum(label >= 0 for label in one["labels"][1:])
        sums += theirs(**{key: torch.tensor([value]) for key, value in one.items()}).loss.item() * learned
        count += learned
    assert known["summary"].losses[0] == pytest.approx(sums / count, rel=1e-5)
    assert known["summary"].losses[-1] < known["summary"].losses[0]
    assert AutoTokenizer.from_pretrained("assistant").chat_template == TEMPLATE


def test_a_tokenizer_may_be_named_or_given(folder, tmp_path):
    model = galvatron.load("llama-tiny")
    model.save_pretrained(tmp_path / "none")
    assert not (tmp_path / "none/tokenizer.json").exists()
    for name, tokenizer in {"folder": folder, "object": AutoTokenizer.from_pretrained(folder)}.items():
        model.save_pretrained(tmp_path / name, tokenizer)
        assert AutoTokenizer.from_pretrained(tmp_path / name)("w7")["input_ids"] == [7], name


def test_save_is_save_pretrained_and_load_knows_folders(folder, tmp_path):
    model = galvatron.load(folder)
    model.save(tmp_path / "saved")
    for name, value in galvatron.from_pretrained(tmp_path / "saved").state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert (tmp_path / "saved/tokenizer.json").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("gpt2-tiny", "a preset has no weights; load('gpt2-tiny') makes random ones"),
        ("meta-llama/Llama-2-7b-hf", "huggingface_hub.snapshot_download('meta-llama/Llama-2-7b-hf') gives it"),
        (ROOT / "configs/models/gpt2-tiny.json", "it is a file; load() makes a model with random weights"),
        (3, "from_pretrained needs a folder with config.json and safetensors, not 3"),
    ],
)
def test_what_is_no_folder_of_weights_is_refused(given, sentence):
    with pytest.raises(galvatron.ConfigError, match=re.escape(sentence)):
        galvatron.from_pretrained(given)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (transformers.FalconConfig(), "'falcon' is not supported: queries, keys and values lie in groups"),
        (transformers.MixtralConfig(), "its layers have experts; the nearest family that works is mistral"),
        (transformers.CohereConfig(), "the nearest family that works is llama"),
        (transformers.OPTConfig(), "the nearest family that works is gpt2"),
        (transformers.ElectraConfig(), "the nearest family that works is bert"),
        (transformers.BartConfig(), "the nearest family that works is t5"),
        (transformers.BeitConfig(), "the nearest family that works is vit"),
        (transformers.MambaConfig(), "its layers are recurrent, not attention; supported are"),
        (transformers.HeliumConfig(), "the nearest family that works is llama"),  # nobody has told us of it
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_another_architecture_is_refused_with_the_nearest(config, sentence, tmp_path):
    config.save_pretrained(tmp_path)
    for call in (
        lambda: galvatron.load(config),
        lambda: galvatron.load(tmp_path / "config.json"),
        lambda: galvatron.search(tmp_path / "config.json", cluster="8xH100"),
    ):
        with pytest.raises(galvatron.ConfigError, match=re.escape(sentence)) as caught:
            call()
        assert "docs/own_models.md" in str(caught.value)


# --- recipes ---


def trainer_losses(model: torch.nn.Module, arguments: dict[str, object], dataset: object, out: Path) -> list[float]:
    losses: list[float] = []

    class Listening(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            losses.append(float((found[0] if return_outputs else found).detach()))
            return found

    fixed = {"use_cpu": True, "report_to": [], "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no"}
    Listening(model, TrainingArguments(out, **arguments, **fixed), train_dataset=dataset).train()
    return losses


ARGUMENTS = {
    "per_device_train_batch_size": BATCH, "max_steps": STEPS, "learning_rate": 1e-2, "weight_decay": 0.1,
    "train_sampling_strategy": "sequential",
}  # fmt: skip


def require_curve(ours: list[float], theirs: list[float]) -> None:
    assert len(ours) == len(theirs) == STEPS
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert theirs[-1] < theirs[0] * 0.99, "the trajectory moves"


def test_the_recipe_for_a_trainer_gives_its_losses(folder, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = trainer_losses(AutoModelForCausalLM.from_pretrained(folder), ARGUMENTS, dataset, tmp_path / "trainer")
    run_recipe("Trainer, before", folder=folder, dataset=dataset)
    made = run_recipe("Trainer", folder=folder, dataset=dataset)
    require_curve(made["summary"].losses, theirs)
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "trained")
    assert not torch.equal(trained.lm_head.weight, AutoModelForCausalLM.from_pretrained(folder).lm_head.weight)
    assert AutoTokenizer.from_pretrained(tmp_path / "trained")("w3")["input_ids"] == [3]


def test_a_trainer_trains_our_model(folder, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = trainer_losses(AutoModelForCausalLM.from_pretrained(folder), ARGUMENTS, dataset, tmp_path / "theirs")
    table = dataset.add_column("title", ["left alone"] * len(dataset))
    ours = trainer_losses(galvatron.from_pretrained(folder), ARGUMENTS, table, tmp_path / "ours")
    require_curve(ours, theirs)


def test_the_recipe_for_accelerate_gives_its_losses(folder, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = {"folder": folder, "dataset": dataset.with_format("torch")}
    before = run_recipe("accelerate, before", **known)
    loop = run_recipe("accelerate, one line", **known)
    after = run_recipe("accelerate, after", **known)
    assert loop["losses"] == pytest.approx(before["losses"], rel=1e-5)
    require_curve(after["summary"].losses, before["losses"])


def test_accelerate_launch_starts_our_ranks(folder, dataset, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(dataset["input_ids"][:]))
    script = tmp_path / "train.py"
    script.write_text(
        "import json, os, sys, galvatron\n"
        "rows = [{'input_ids': row} for row in json.load(open(sys.argv[2]))]\n"
        "out = galvatron.train(init_from=sys.argv[1], data=rows, shuffle=False, steps=3, global_batch=4, lr=1e-2,\n"
        "                      precision='fp64', zero_stage=3, device='cpu')\n"
        "json.dump(out, open(f'{sys.argv[3]}{os.environ[\"RANK\"]}', 'w'))\n"
    )
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCH_VARIABLES}
    environment["PYTHONPATH"] = str(ROOT / "python")
    options = ["--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", *options, "--main_process_port=0"]
    done = subprocess.run(
        [*launch, script, folder, rows, tmp_path / "out"],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"out{rank}").read_text()) for rank in range(2))
    alone = galvatron.train(init_from=folder, data=[{"input_ids": row} for row in dataset["input_ids"]], shuffle=False,
                            steps=3, global_batch=4, lr=1e-2, precision="fp64")  # fmt: skip
    assert first["losses"] == second["losses"] == pytest.approx(alone.losses, rel=1e-9)
    assert first["world_size"] == 2


def test_evaluating_is_what_a_trainer_evaluates(folder, dataset, tmp_path):
    arguments = TrainingArguments(tmp_path / "eval", per_device_eval_batch_size=BATCH, use_cpu=True, report_to=[],
                                  disable_tqdm=True)  # fmt: skip
    some = dataset.select(range(10))
    trainer = Trainer(AutoModelForCausalLM.from_pretrained(folder), arguments, eval_dataset=some)
    found = galvatron.evaluate(galvatron.from_pretrained(folder), data=some, global_batch=BATCH, precision="fp32")
    assert found.loss == pytest.approx(trainer.evaluate()["eval_loss"], rel=1e-5)
    assert (found.samples, found.batches, found.labels) == (10, 3, 10 * (LENGTH - 1))

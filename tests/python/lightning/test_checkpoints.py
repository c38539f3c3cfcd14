"""A user's module in a whole fit, and what it leaves: checkpoints that any plan goes on from, and full ones that a
plain Trainer reads and writes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from launching import launch, read_result
from lightning.pytorch import Trainer
from package_testing import galvatron_command, needs_module
from plain import PlainModule, make_data, make_folder, plain_loader, run_plain
from run_cases import DECAY, LR, QUIET
from transformers import AutoModelForCausalLM

pytestmark = needs_module

FP32 = 1e-5
BATCH, SAMPLES, EPOCHS = 4, 8, 4
PIPELINE = {"pp_degree": 2, "num_microbatches": 2}
SHARDED = {"zero_stage": 3}
TENSOR = {"tp_degree": 2, "recompute": "full"}
FAMILIES = ("gpt2", "llama")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def inputs(root) -> dict[str, tuple[Path, Path]]:
    return {
        family: (make_folder(family, root / family), make_data(family, root / f"{family}.pt", SAMPLES))
        for family in FAMILIES
    }


@pytest.fixture(scope="module")
def truth(inputs):
    """The plain run, without interruption."""
    return {
        "gpt2": run_plain(*order(inputs, "gpt2"), BATCH, {"max_epochs": EPOCHS}, decay=DECAY, halves=True),
        "llama": run_plain(*order(inputs, "llama"), BATCH, {"max_epochs": EPOCHS}, decay=DECAY, halves=True, sgd=True),
    }


def order(inputs, family: str) -> tuple[Path, str, Path]:
    folder, data = inputs[family]
    return folder, family, data


def case(inputs, name: str, kind: str, family: str, strategy: dict, batch_size: int, **more) -> dict:
    folder, data = inputs[family]
    return {
        "name": name, "kind": kind, "model": str(folder), "data": str(data), "strategy": strategy,
        "batch_size": batch_size, "sgd": family == "llama", **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def ranks(root, inputs) -> Path:
    """Everything that two ranks do, one after the other."""
    folder, full = root / "ranks", {"checkpoint": "full"}
    gpt, llama = str(root / "gpt2-run"), str(root / "llama-run")
    cases = [
        case(inputs, "gpt", "users_module", "gpt2", PIPELINE, 4, folder=gpt, epochs=EPOCHS),
        case(inputs, "gpt-other-plan", "resume", "gpt2", SHARDED, 2, folder=gpt + "-2", epochs=EPOCHS,
             **{"from": gpt + "/epoch=1.ckpt"}),
        case(inputs, "gpt-last", "resume", "gpt2", TENSOR, 4, folder=gpt, epochs=EPOCHS + 1, **{"from": "last"}),
        case(inputs, "gpt-validate", "evaluate_checkpoint", "gpt2", TENSOR, 4,
             **{"from": gpt + f"/epoch={EPOCHS - 2}.ckpt"}),
        case(inputs, "llama", "users_module", "llama", {**SHARDED, **full}, 2, folder=llama, epochs=EPOCHS, factor=0.5),
        case(inputs, "llama-full", "resume", "llama", {**PIPELINE, **full}, 4, folder=llama + "-2", epochs=2,
             save=str(root / "full.ckpt"), **{"from": None}),
        case(inputs, "uneven", "predict_uneven", "gpt2", SHARDED, 1, data=str(make_data("gpt2", root / "odd.pt", 5))),
        case(inputs, "own-data", "refuse", "gpt2", PIPELINE, 4, each_its_own=True),
        case(inputs, "torch", "refuse", "gpt2", PIPELINE, 4, **{"from": str(root / "torch.ckpt")}),
        case(inputs, "foreign", "refuse", "gpt2", PIPELINE, 4, **{"from": str(root / "foreign.ckpt")}),
        case(inputs, "fsdp", "refuse", "gpt2", PIPELINE, 4, **{"from": str(root / "fsdp.ckpt")}),
        case(inputs, "missing", "refuse", "gpt2", PIPELINE, 4, **{"from": str(root / "nowhere.ckpt")}),
    ]  # fmt: skip
    state = {"state_dict": {"net.weight": torch.zeros(2)}, "global_step": 1}
    torch.save(state, root / "torch.ckpt")
    torch.save(state | {"pytorch-lightning_version": "2.6.6"}, root / "foreign.ckpt")
    (root / "fsdp.ckpt").mkdir()
    (root / "fsdp.ckpt" / ".metadata").touch()
    launch(cases, 2, folder)
    return folder


def test_a_users_module_trains_as_in_any_trainer(ranks, truth, root):
    found, plain = read_result(ranks, "gpt"), truth["gpt2"]
    assert read_result(ranks, "gpt", 1)["losses"] == found["losses"]
    steps = 2 * (EPOCHS - 1)  # the loss never rises, so waiting for that ends early
    assert found["epochs"] == EPOCHS - 1
    assert found["losses"] == pytest.approx(plain["losses"][:steps], rel=FP32)
    assert found["norms"] == pytest.approx(plain["norms"][:steps], rel=1e-4)
    assert found["rates"] == [LR, LR, LR / 2, LR / 2, LR / 4, LR / 4]
    assert found["hooks"].count("on_train_epoch_start") == EPOCHS - 1
    assert found["hooks"].count("on_after_backward") == steps
    assert 0 <= found["metrics"]["hits"] <= SAMPLES * 15
    assert found["metrics"]["train_loss_epoch"] == pytest.approx(sum(plain["losses"][4:steps]) / 2, rel=FP32)
    assert found["best_loss"] == pytest.approx(found["metrics"]["val_loss"], rel=1e-6)
    assert Path(found["best"]).name == f"epoch={EPOCHS - 2}.ckpt"
    with open(root / "gpt2-run-logs/run/version_0/metrics.csv") as file:
        logged = [float(row["train_loss_step"]) for row in csv.DictReader(file) if row.get("train_loss_step")]
    assert logged == pytest.approx(plain["losses"][:steps], rel=FP32)


def test_the_returned_loss_scales_the_gradients(ranks, truth):
    found, plain = read_result(ranks, "llama"), truth["llama"]
    assert found["losses"][0] == pytest.approx(0.5 * plain["losses"][0], rel=FP32)
    assert found["norms"][0] == pytest.approx(0.5 * plain["norms"][0], rel=1e-4)


def test_a_sharded_checkpoint_goes_on_under_another_plan(ranks, truth, root):
    assert sorted(path.name for path in (root / "gpt2-run/epoch=1.ckpt").iterdir()) == [
        "latest",
        "meta.pt",
        "step-000004",
    ]
    found = read_result(ranks, "gpt-other-plan")
    assert found["hooks"][0] == "on_load_checkpoint"
    assert found["rates"] == [LR / 4] * 2 + [LR / 8] * 2
    assert found["losses"] == pytest.approx(truth["gpt2"]["losses"][4:], rel=FP32)


def test_last_goes_on_from_the_last(ranks, truth):
    found = read_result(ranks, "gpt-last")
    assert found["losses"][:2] == pytest.approx(truth["gpt2"]["losses"][6:], rel=FP32)
    assert found["step"] == 2 * (EPOCHS + 1)


def test_validate_reads_weights_alone(ranks):
    found, before = read_result(ranks, "gpt-validate"), read_result(ranks, "gpt")
    assert found["validation"] == pytest.approx(before["best_loss"], rel=FP32)


def test_a_full_checkpoint_is_a_plain_one_and_comes_back_to_the_bit(ranks, inputs, root):
    folder, data = inputs["llama"]
    ours = torch.load(root / "full.ckpt", weights_only=False)
    plain = PlainModule(folder, "llama", decay=DECAY, sgd=True, halves=True)
    assert set(ours["state_dict"]) == set(plain.state_dict())  # the keys are those of before
    trainer = Trainer(**{**QUIET, "devices": 1}, max_epochs=2)
    trainer.fit(plain, plain_loader(data, BATCH), ckpt_path=root / "full.ckpt")  # nothing is left to do
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, ours["state_dict"][name], rtol=0, atol=0)
    theirs = trainer.optimizers[0].state_dict()
    for number, entry in ours["optimizer_states"][0]["state"].items():
        torch.testing.assert_close(theirs["state"][number]["momentum_buffer"], entry["momentum_buffer"], rtol=0, atol=0)
        assert entry["momentum_buffer"].shape == list(plain.parameters())[number].shape
    trainer.save_checkpoint(root / "plain.ckpt")

    back = root / "back"
    more = {"epochs": 2, "folder": str(root / "llama-3"), "save": str(root / "back.ckpt")}
    launch(
        [
            case(inputs, "back", "resume", "llama", {**TENSOR, "checkpoint": "full"}, 4,
                 **{**more, "from": str(root / "plain.ckpt")}),
            case(inputs, "on", "resume", "llama", {**SHARDED, "checkpoint": "full"}, 2,
                 **{**more, "epochs": EPOCHS, "save": str(root / "on.ckpt"), "from": str(root / "plain.ckpt")}),
        ],
        2, back,
    )  # fmt: skip
    again = torch.load(root / "back.ckpt", weights_only=False)
    for name, value in ours["state_dict"].items():
        torch.testing.assert_close(again["state_dict"][name], value, rtol=0, atol=0)
    for number, entry in ours["optimizer_states"][0]["state"].items():
        other = again["optimizer_states"][0]["state"][number]
        torch.testing.assert_close(other["momentum_buffer"], entry["momentum_buffer"], rtol=0, atol=0)
    on = run_plain(folder, "llama", data, BATCH, {"max_epochs": EPOCHS}, decay=DECAY, halves=True, sgd=True)
    assert read_result(back, "on")["losses"] == pytest.approx(on["losses"][4:], rel=FP32)


def test_predictions_of_ranks_with_unlike_shares(ranks, inputs, root):
    """Five samples for two ranks: three batches and two."""
    assert read_result(ranks, "uneven")["sizes"] == [1, 1, 1]
    assert read_result(ranks, "uneven", 1)["sizes"] == [1, 1]
    folder, _ = inputs["gpt2"]
    plain = PlainModule(folder, "gpt2")
    trainer = Trainer(**{**QUIET, "devices": 1})
    theirs = torch.cat(trainer.predict(plain, plain_loader(root / "odd.pt", 5)))
    for rank in range(2):
        mine = read_result(ranks, "uneven", rank)["predictions"]
        torch.testing.assert_close(mine, theirs[rank::2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("own-data", "ranks 0 and 1 must read the same samples"),
        ("torch", "torch.ckpt is no checkpoint of Lightning's: it has no pytorch-lightning_version"),
        ("foreign", "foreign.ckpt lacks 52 of the model's 52 tensors"),
        ("fsdp", "sharded checkpoint of Lightning's FSDP"),
        ("missing", "there is no checkpoint"),
    ],
)
def test_every_rank_says_what_is_wrong(ranks, name, sentence):
    said = {read_result(ranks, name, rank)["said"] for rank in range(2)}
    assert len(said) == 1
    assert sentence in said.pop()


def test_galvatron_reads_the_sharded_part(root, ranks):
    """What a Trainer saves is a checkpoint of `galvatron`, too."""
    done = galvatron_command("export", root / "gpt2-run/epoch=1.ckpt", "--output", root / "exported")
    assert done.returncode == 0, done.stderr
    assert AutoModelForCausalLM.from_pretrained(root / "exported").config.n_embd == 32

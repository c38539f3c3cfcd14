"""What the strategy can be given, and what it refuses: without ranks, or on one."""

from __future__ import annotations

import math

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import StrategyRegistry
from package_testing import needs_module
from plain import CONFIGS, make_data
from run_cases import QUIET, loader
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

import galvatron
from galvatron.lightning import GalvatronModule, GalvatronStrategy
from galvatron.lightning.arguments import make_plan, read_options
from galvatron.lightning.optimizers import translate

pytestmark = needs_module


def plan_of(ranks: int, **options) -> galvatron.Plan:
    settings = read_options(options)
    spec = settings.model or galvatron.load("gpt2-tiny").spec
    return make_plan(settings, spec, ranks, settings.precision or "fp32")


def test_the_readme_of_lightning_galvatron_means_what_it_meant():
    plan = plan_of(4, model_type="gpt", model_size="gpt-1.5b", pp_deg=2, global_tp_deg=2, fsdp=1)
    assert plan.model == "gpt2-1.5b"
    assert (plan.world_size, plan.global_batch, plan.precision) == (4, 32, "bf16")
    assert (plan.pipeline.degree, plan.pipeline.schedule) == (2, "gpipe")
    assert plan.num_microbatches == 4  # a quarter of the 16 samples of each data-parallel rank without a pipeline
    assert {(layer.tp_degree, layer.zero_stage, layer.recompute) for layer in plan.layers} == {(2, 3, "none")}


def test_each_old_argument_has_its_place():
    plan = plan_of(
        8, model_type="llama", hidden_size=64, num_hidden_layers=3, num_attention_heads=4, seq_length=32,
        global_train_batch_size=16, pp_deg=2, global_tp_deg=2, global_tp_consec=0, chunks=8, fsdp=0,
        global_checkpoint=1, mixed_precision="fp16", pipeline_type="pipedream_flush", default_dp_type="ddp",
        use_flash_attn=True,
    )  # fmt: skip
    assert len(plan.layers) == 3 + 2
    assert (plan.global_batch, plan.num_microbatches, plan.precision) == (16, 8, "fp16")
    assert plan.pipeline.schedule == "1f1b"
    block = plan.layers[1]
    assert (block.tp_degree, block.tp_consecutive, block.zero_stage, block.recompute) == (2, False, 0, "full")
    settings = read_options({"model_type": "gpt"})  # its defaults
    assert (settings.seq_length, settings.global_batch, settings.uniform["zero_stage"]) == (128, 32, 2)
    assert settings.model.num_layers == 28 + 2


def test_our_names_are_those_of_everywhere():
    plan = plan_of(4, tp_degree=2, zero_stage=3, recompute="selective", pp_degree=2, num_microbatches=4, global_batch=8)
    assert (plan.layers[1].tp_degree, plan.layers[1].zero_stage, plan.num_microbatches) == (2, 3, 4)
    found = plan_of(8, plan="auto", memory="20GiB", cluster="8xA100-40G", global_batch=16, seq_length=32)
    assert found.world_size == 8 and found.search is not None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tp_degre": 2}, "did you mean 'tp_degree'"),
        ({"tp_degree": 2, "global_tp_deg": 4}, "tp_degree=2 and global_tp_deg=4 say the same thing"),
        ({"plan": "plan.json", "pp_degree": 2}, "a plan says all that pp_degree would say"),
        ({"memory": "16GiB"}, 'memory is for plan="auto"'),
        ({"model_type": "chatglm"}, "model_type 'chatglm' is not one of gpt, llama, bert, t5, vit, swin"),
        ({"model_type": "gpt", "model_size": "gpt-1.6b"}, "'gpt-1.6b' is no preset; near are"),
        ({"pipeline_type": "1f1b"}, "pipeline_type is one of gpipe, pipedream_flush"),
        ({"default_dp_type": "zero1"}, "default_dp_type is one of ddp, zero2, zero3"),
        ({"fsdp": 2}, "fsdp is 0 or 1"),
        ({"checkpoint": "both"}, 'checkpoint is "sharded" or "full"'),
    ],
)
def test_options_that_cannot_be(options, sentence):
    with pytest.raises(galvatron.ConfigError, match=sentence):
        GalvatronStrategy(**options)


def test_strategy_has_a_name_and_an_old_package():
    import lightning_galvatron

    assert lightning_galvatron.GalvatronStrategy is GalvatronStrategy
    assert "galvatron" in StrategyRegistry
    trainer = Trainer(strategy="galvatron", devices=1, **QUIET)
    assert isinstance(trainer.strategy, GalvatronStrategy)


def fit(strategy: dict | None = None, module=None, tmp_path=None, batch_size: int = 4, **trainer) -> Trainer:
    runner = Trainer(
        strategy=GalvatronStrategy(**(strategy or {})), devices=1, max_steps=1, **{**QUIET, **trainer}
    )  # fmt: skip
    data = make_data("gpt2", tmp_path / "data.pt", 8)
    runner.fit(module or GalvatronModule(CONFIGS["gpt2"]), loader({"data": data, "batch_size": batch_size}))
    return runner


class Foreign(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(2, 2)

    def training_step(self, batch, batch_idx):
        return self.model(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Manual(GalvatronModule):
    def __init__(self, model) -> None:
        super().__init__(model)
        self.automatic_optimization = False


class WithoutModel(GalvatronModule):
    def configure_model(self) -> None:
        pass


class Twice(GalvatronModule):
    def training_step(self, batch, batch_idx):
        return self(batch).loss + self(batch).loss


class OtherLoss(GalvatronModule):
    def training_step(self, batch, batch_idx):
        self(batch)
        return torch.zeros((), requires_grad=True)


class Extra(GalvatronModule):
    def __init__(self, model) -> None:
        super().__init__(model)
        self.head = nn.Linear(2, 2)


class Chosen(GalvatronModule):
    choose = staticmethod(lambda module: torch.optim.Adagrad(module.parameters()))

    def configure_optimizers(self):
        return type(self).choose(self)


def with_optimizer(choose) -> GalvatronModule:
    return type("Chosen", (Chosen,), {"choose": staticmethod(choose)})(CONFIGS["gpt2"])


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Foreign, "Foreign is no GalvatronModule.*GalvatronModule.from_hf"),
        (lambda: Manual(CONFIGS["gpt2"]), "manual optimization is not supported"),
        (lambda: WithoutModel(CONFIGS["gpt2"]), "must call super...configure_model"),
        (lambda: Twice(CONFIGS["gpt2"]), "called self.batch. twice"),
        (lambda: OtherLoss(CONFIGS["gpt2"]), "does not depend on self.batch..loss"),
        (lambda: Extra(CONFIGS["gpt2"]), "head.weight of Extra is no parameter of the model"),
        (lambda: GalvatronModule(), "GalvatronModule needs a model"),
        (lambda: with_optimizer(lambda m: torch.optim.Adagrad(m.parameters())), "Adagrad is not one of.*AdamW.*SGD"),
        (lambda: with_optimizer(lambda m: torch.optim.Adam(m.parameters(), weight_decay=0.1)), "use torch.optim.AdamW"),
        (lambda: with_optimizer(lambda m: torch.optim.AdamW(m.parameters(), amsgrad=True)), "amsgrad=True"),
        (lambda: with_optimizer(lambda m: torch.optim.SGD(m.parameters(), lr=0.1, nesterov=True, momentum=0.9)),
         "nesterov=True"),
        (lambda: with_optimizer(lambda m: torch.optim.SGD(list(m.parameters())[:3], lr=0.1)), "not, such as"),
        (lambda: with_optimizer(lambda m: torch.optim.SGD(
            [{"params": list(m.parameters())[:3], "lr": 0.2}, {"params": list(m.parameters())[3:]}], lr=0.1)),
         "have the learning rates 0.2 and 0.1"),
    ],
)  # fmt: skip
def test_modules_that_cannot_be_trained(module, sentence, tmp_path):
    with pytest.raises(galvatron.ConfigError, match=sentence):
        fit(module=module(), tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("strategy", "trainer", "sentence"),
    [
        ({}, {"accumulate_grad_batches": 4}, "accumulate_grad_batches=4.*num_microbatches=4"),
        ({}, {"precision": "bf16-true"}, "precision='bf16-true' is not one of.*mixed"),
        ({}, {"precision": "16-true"}, "which Lightning calls mixed"),
        ({"precision": "fp32"}, {"precision": "bf16-mixed"}, "fp32, the Trainer's precision='bf16-mixed' bf16"),
        ({"global_batch": 8}, {}, "4 samples on each of 1 data-parallel ranks are 4.*batch_size=8"),
        ({"model_type": "llama"}, {}, "model_type='llama', but the module's model"),
        ({"model_type": "gpt", "hidden_size": 64}, {}, "hidden_size 64 is not the module's"),
        ({"tp_degree": 2}, {}, "tp_degree"),
    ],
)
def test_trainers_that_contradict(strategy, trainer, sentence, tmp_path):
    with pytest.raises(galvatron.ConfigError, match=sentence):
        fit(strategy, tmp_path=tmp_path, **trainer)


def test_devices_must_be_those_of_the_plan(tmp_path):
    plan = galvatron.Plan.uniform("gpt2-tiny", world_size=4, global_batch=8, precision="fp32")
    plan.write(tmp_path / "plan.json")
    for given in (plan, tmp_path / "plan.json", plan.to_dict()):
        with pytest.raises(galvatron.ConfigError, match=r"plan is for 4 ranks, but devices=2 on num_nodes=1 are 2"):
            Trainer(strategy=GalvatronStrategy(plan=given), devices=2, **QUIET)


def test_callbacks_that_need_whole_weights_are_refused(tmp_path):
    from lightning.pytorch.callbacks import StochasticWeightAveraging

    with pytest.raises(galvatron.ConfigError, match="StochasticWeightAveraging reads or writes"):
        fit(tmp_path=tmp_path, callbacks=[StochasticWeightAveraging(swa_lrs=0.1)])


def test_groups_may_differ_in_the_decay_of_vectors():
    weight, bias = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))
    parameters, decays = {"weight": weight, "bias": bias}, {"weight": True, "bias": False}
    one = translate(torch.optim.AdamW([weight, bias], lr=0.1, weight_decay=0.3), parameters, decays)
    assert (one.decay.matrices, one.decay.vectors) == (0.3, 0.3)
    two = translate(
        torch.optim.SGD([{"params": [weight], "weight_decay": 0.2}, {"params": [bias], "weight_decay": 0.0}], lr=0.1),
        parameters, decays,
    )  # fmt: skip
    assert (two.decay.matrices, two.decay.vectors, two.name) == (0.2, 0.0, "sgd")


def test_a_module_trains_under_any_other_strategy_too(tmp_path):
    data = make_data("gpt2", tmp_path / "data.pt", 8)
    tokens = torch.load(data)["input_ids"]
    labels = tokens.clone()
    labels[:3, 2:] = -100  # batches differ in the labels that count, and in their samples
    rows = [{"input_ids": one, "labels": wanted} for one, wanted in zip(tokens, labels, strict=True)]
    losses, accuracies = [], []
    for strategy in ({"strategy": GalvatronStrategy()}, {}):
        module = GalvatronModule(CONFIGS["gpt2"], lr=1e-2, weight_decay=0.2)
        trainer = Trainer(max_steps=3, devices=1, use_distributed_sampler=False, **strategy, **QUIET)
        trainer.fit(module, loader({"data": data, "batch_size": 4}))
        found = trainer.validate(module, DataLoader(rows, batch_size=3), verbose=False)[0]
        logits = torch.cat(trainer.predict(module, loader({"data": data, "batch_size": 4})))
        counts = labels[:, 1:] != -100
        foretold = (logits[:, :-1].argmax(-1) == labels[:, 1:])[counts].float().mean().item()
        mean = cross_entropy(logits[:, :-1].flatten(0, 1).double(), labels[:, 1:].flatten()).item()
        assert found["val_accuracy"] == pytest.approx(foretold, rel=1e-5)
        assert found["val_loss"] == pytest.approx(mean, rel=1e-5)
        assert found["val_perplexity"] == pytest.approx(math.exp(mean), rel=1e-5)
        losses.append(found["val_loss"])
        accuracies.append(found["val_accuracy"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert accuracies[0] == pytest.approx(accuracies[1], rel=1e-5)

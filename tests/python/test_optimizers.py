"""Optimizers, parameter groups and schedules against torch's own, in double precision over 20 steps."""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from package_testing import QUICK, galvatron_command, needs_module

import galvatron
from galvatron.data.indexed_dataset import IndexedDatasetWriter

pytestmark = needs_module

MODEL = "llama-tiny"  # q, k, v, gate and up are tensors of their own in its checkpoints
STEPS, RATE, DECAY = 20, 1e-2, 0.2
SETTING = {
    **QUICK, "steps": STEPS, "precision": "fp64", "lr_schedule": "constant", "max_grad_norm": 0.5, "shuffle": False,
    "weight_decay": DECAY,
}  # fmt: skip


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of arXiv:2302.06675."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                p -= group["lr"] * (torch.sign(c) + group["weight_decay"] * p)
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


def groups_of(named: Iterable[tuple[str, torch.nn.Parameter]]) -> list[dict[str, Any]]:
    parts: dict[bool, list[torch.nn.Parameter]] = {True: [], False: []}
    for _, parameter in named:
        parts[parameter.ndim > 1].append(parameter)
    return [{"params": parts[True], "weight_decay": DECAY}, {"params": parts[False], "weight_decay": 0.0}]


def is_matrix(name: str, parameter: torch.nn.Parameter) -> bool:
    return parameter.ndim == 2 and ".layers." in name


def lion(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    return [Lion(groups_of(model.named_parameters()), RATE, (0.9, 0.99), 0)]


def muon(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    named = list(model.named_parameters())
    matrices = [p for name, p in named if is_matrix(name, p)]
    others = [(name, p) for name, p in named if not is_matrix(name, p)]
    return [
        torch.optim.Muon(matrices, lr=RATE, weight_decay=DECAY, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(groups_of(others), lr=RATE, betas=(0.9, 0.95)),
    ]


def adafactor(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.Adafactor(groups_of(model.named_parameters()), lr=RATE)]


GROUPS = [
    "model.embed_tokens.weight:frozen",
    "*.layers.1.*proj.weight:lr=0.1x,weight_decay=0.5",
    "*k_proj.weight:frozen",
    "*norm.weight:lr=3x,weight_decay=0.05",
]


def grouped_adamw(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    groups, rest = [], []
    for name, parameter in model.named_parameters():
        setting = next((s for p, s in (g.split(":") for g in GROUPS) if fnmatch.fnmatchcase(name, p)), None)
        if setting is None:
            rest.append((name, parameter))
        elif setting == "frozen":
            parameter.requires_grad_(False)
        else:
            rate, decay = (float(part.split("=")[1].rstrip("x")) for part in setting.split(","))
            groups.append({"params": [parameter], "lr": rate * RATE, "weight_decay": decay})
    return [torch.optim.AdamW(groups + groups_of(rest), lr=RATE, betas=(0.9, 0.95))]


CASES = [
    ("lion", [], lion),
    ("muon", [], muon),
    ("adafactor", [], adafactor),
    ("adamw", GROUPS, grouped_adamw),
]


def rows() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 509, (12, 16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    galvatron.load(MODEL).save_pretrained(tmp_path / "first")
    return tmp_path / "first"


def curve_of(
    folder: Path, make: Callable[[torch.nn.Module], list[torch.optim.Optimizer]], batches: list[torch.Tensor]
) -> list[float]:
    model = galvatron.load(folder, dtype=torch.float64)
    model.train()
    optimizers = make(model)
    losses = []
    for batch in batches:
        for parameter in model.parameters():
            parameter.grad = None
        loss = model(input_ids=batch, labels=batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 0.5)
        with torch.no_grad():
            for optimizer in optimizers:
                optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("name", "groups", "make"), CASES, ids=["lion", "muon", "adafactor", "groups"])
def test_twenty_steps_are_those_of_the_reference(name, groups, make, folder, monkeypatch):
    tokens = torch.from_numpy(rows())
    ours = galvatron.train(
        init_from=folder, data=list(tokens), **SETTING, optimizer=name, param_group=groups
    )["losses"]  # fmt: skip
    # torch's Muon, but for its cast to bfloat16.
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    batches = [tokens[[(4 * step + i) % len(tokens) for i in range(4)]] for step in range(STEPS)]
    theirs = curve_of(folder, make, batches)
    assert theirs[-1] < theirs[0] - 0.1, "the trajectory moves"
    worst = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
    assert worst < 1e-9, f"{name}: off by {worst:.2e}"


MIXED_PLANS = [
    ["--nproc", "4", "--tp-degree", "2", "--zero-stage", "2", "--num-microbatches", "2"],
    ["--nproc", "4", "--pp-degree", "2", "--ulysses-degree", "2", "--zero-stage", "3", "--num-microbatches", "2"],
]


@pytest.mark.parametrize("plan", MIXED_PLANS, ids=["tp2-zero2", "pp2-ulysses2-zero3"])
@pytest.mark.parametrize(("name", "groups"), [case[:2] for case in CASES], ids=["lion", "muon", "adafactor", "groups"])
def test_so_they_are_under_a_mixed_plan(name, groups, plan, folder, tmp_path):
    writer = IndexedDatasetWriter(tmp_path / "corpus.bin", np.dtype(np.uint16))
    writer.add_document(np.random.default_rng(0).integers(0, 509, 1400))
    writer.finish(tmp_path / "corpus.idx")
    setting = {**SETTING, "optimizer": name, "split": "1,0,0"}
    one = galvatron.train(init_from=folder, data=tmp_path / "corpus", **setting, param_group=groups)["losses"]
    words = [word for key, value in setting.items() for word in (f"--{key.replace('_', '-')}", str(value).lower())]
    words += [word for group in groups for word in ("--param-group", group)]
    metrics = tmp_path / "metrics.jsonl"
    places = ["--data", tmp_path / "corpus", "--init-from", folder, "--metrics", metrics]
    ran = galvatron_command("train", *places, *words, *plan)
    assert ran.returncode == 0, ran.stderr
    several = [json.loads(line)["loss"] for line in metrics.read_text().splitlines()]
    assert len(several) == STEPS
    worst = max(abs(a - b) / b for a, b in zip(several, one, strict=True))
    assert worst < 1e-9, f"{name}: off by {worst:.2e}"


@pytest.mark.parametrize("tail", ["linear", "cosine", "1-sqrt"])
def test_the_rates_of_wsd_are_those_of_transformers(tail):
    transformers = pytest.importorskip("transformers")
    heard: list[Any] = []
    galvatron.train(
        "gpt2-tiny", **{**QUICK, "steps": 20, "lr": 1e-2}, lr_schedule="wsd", decay_steps=8, decay_shape=tail,
        warmup_steps=4, on_step=heard.append,
    )  # fmt: skip
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2)
    schedule = transformers.get_wsd_schedule(optimizer, 4, 8, num_training_steps=20, decay_type=tail)
    theirs = []
    for _ in range(20):
        theirs.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert [line.lr for line in heard[4:]] == pytest.approx(theirs[4:], rel=1e-12), "theirs warms up from 0"


def test_inverse_sqrt_is_that_of_transformers():
    transformers = pytest.importorskip("transformers")
    heard: list[Any] = []
    galvatron.train(
        "gpt2-tiny", **{**QUICK, "steps": 12, "lr": 1e-2}, lr_schedule="inverse_sqrt", warmup_steps=3,
        on_step=heard.append,
    )  # fmt: skip
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-2)
    schedule = transformers.get_inverse_sqrt_schedule(optimizer, 3)
    theirs = []
    for _ in range(12):
        theirs.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert [line.lr for line in heard[3:]] == pytest.approx(theirs[3:], rel=1e-12)
    assert heard[-1].lr == pytest.approx(1e-2 * math.sqrt(3 / 11))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"param_group": ["*.kproj.*:frozen"]}, "matches no parameter of model 'gpt2-tiny'"),
        ({"param_group": ["*:lr=0.1"]}, "lr is a share of the schedule's, as 0.1x"),
        ({"end_weight_decay": 0.3}, "needs a way there"),
        ({"decay_shape": "cosine", "lr_schedule": "linear"}, "is of lr_schedule wsd"),
        ({"batch_rampup": [3, 2, 8]}, "do not lead from 3 to the global batch of 4"),
        ({"batch_rampup": [1, 1]}, "needs three numbers"),
        ({"optimizer": "lion", "adam_eps": 1e-6}, "is an option of adamw, muon, not of lion"),
    ],
)
def test_what_does_not_fit_is_one_sentence(options, sentence):
    with pytest.raises(galvatron.ConfigError, match=sentence.replace("(", r"\(")) as caught:
        galvatron.train("gpt2-tiny", **QUICK, **options)
    assert "\n" not in str(caught.value)

"""Padding and packed texts as transformers has them, in every family of text, in double precision.

What a token of padding becomes has no meaning, so logits are compared at the others; losses and gradients are whole.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import hf_models
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_hf_parity import gradients_of, run_probe, write_plan

import galvatron
from galvatron._inputs import InputReader
from galvatron._specs import spec_of

TOLERANCE = 1e-10
TEXT = ["gpt2", "llama", "mistral-window", "qwen3", "phi3-partial-rotary", "gpt-neox", "olmo2", "gemma2", "gemma3"]
MASKED = ["bert", "roberta", "distilbert"]
SEQ2SEQ = ["t5", "mt5-untied"]
BATCH, LENGTH = hf_models.BATCH, hf_models.SEQ_LENGTH
FRONT, BEHIND = [3, 0, 7, 1], [0, 5, 2, 0]  # tokens of padding of each sample
TEXTS = [[23], [9, 14], [4, 1, 10, 8], [22, 1]]  # tokens of each text of a packed sample
SHARES = [[1], [2, 3], [1, 1, 2, 1], [4, 1]]  # of the targets, where a sample has them


class Case:
    """One batch of a model, with what transformers says of it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.model = hf_models.lift_to_double(copy.deepcopy(hf_models.random_model(name)))
        self.model.save_pretrained(folder)
        self.names = hf_models.stored_names(self.model, folder)
        self.batch = {key: value[0] for key, value in hf_models.random_inputs(self.model.config).items()}

    def padded(self, front: list[int], behind: list[int]) -> Case:
        mask = torch.ones(BATCH, LENGTH, dtype=torch.long)
        for sample in range(BATCH):
            mask[sample, : front[sample]] = 0
            mask[sample, LENGTH - behind[sample] :] = 0
        self.batch["attention_mask"] = mask
        self.text = mask == 1
        if self.name in SEQ2SEQ:
            self.text = torch.ones_like(self.batch["labels"], dtype=torch.bool)
            return self
        labels = self.batch.get("labels", self.batch["input_ids"]).masked_fill(mask == 0, -100)
        if self.name not in MASKED:
            for sample in range(BATCH):  # nothing but padding foretells the first token
                labels[sample, front[sample]] = -100
        self.batch["labels"] = labels
        if self.name == "roberta":  # whose positions count the tokens that are no padding
            self.batch["input_ids"] = self.batch["input_ids"].masked_fill(mask == 0, self.model.config.pad_token_id)
        return self

    def expected(self) -> tuple[torch.Tensor, float, dict[str, torch.Tensor]]:
        logits = self.model(**{key: value for key, value in self.batch.items() if key != "labels"}).logits
        loss = self.loss_of(logits)
        self.model.zero_grad()
        loss.backward()
        gradients = {self.names[key]: p.grad for key, p in self.model.named_parameters() if p.grad is not None}
        return logits.detach()[self.text], loss.item(), gradients

    def loss_of(self, logits: torch.Tensor) -> torch.Tensor:
        labels = self.batch["labels"]
        if self.name in TEXT:
            logits, labels = logits[:, :-1], labels[:, 1:]
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def require_same(ours: dict[str, torch.Tensor | None], theirs: dict[str, torch.Tensor]) -> None:
    largest = max(value.abs().max().item() for value in theirs.values())
    for name, truth in theirs.items():
        scale = max(truth.abs().max().item(), 0.01 * largest)
        assert (ours[name] - truth).abs().max().item() <= TOLERANCE * scale, name


def require_alike(case: Case, tmp_path: Path) -> None:
    """One rank through the Python module, and four under a mixed plan."""
    logits, loss, gradients = case.expected()
    model = galvatron.from_pretrained(case.folder, torch.float64)
    out = model(**case.batch)
    assert out.loss.item() == pytest.approx(loss, rel=TOLERANCE)
    assert (out.logits[case.text] - logits).abs().max().item() <= TOLERANCE * logits.abs().max().item()
    out.loss.backward()
    require_same({name: parameter.grad for name, parameter in model.by_name().items()}, gradients)

    plan = json.loads(write_plan("mixed", tmp_path, case.name).read_text())
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "precision": "fp64"}))
    kinds = InputReader(spec_of(case.folder)).read(case.batch)
    names = {"tokens": "input_ids", "target_tokens": "decoder_input_ids"}
    save_file({names.get(k, k): v[None].contiguous() for k, v in kinds.items()}, tmp_path / "in.safetensors")
    files = ["--tokens", tmp_path / "in.safetensors", "--output", tmp_path / "out.safetensors"]
    done = run_probe("--model", case.folder, *files, "--plan", tmp_path / "plan.json")
    assert done.returncode == 0, done.stderr
    ours = load_file(tmp_path / "out.safetensors")
    assert ours["loss"].item() == pytest.approx(loss, rel=TOLERANCE)
    require_same(gradients_of(ours), gradients)


@pytest.mark.parametrize("name", [*TEXT, *MASKED, *SEQ2SEQ])
def test_padding_on_the_right(name, tmp_path):
    require_alike(Case(name, tmp_path / "hf").padded([0] * BATCH, BEHIND), tmp_path)


@pytest.mark.parametrize("name", [*TEXT, "bert", "roberta", "t5"])
def test_padding_on_both_sides(name, tmp_path):
    require_alike(Case(name, tmp_path / "hf").padded(FRONT, BEHIND), tmp_path)


def test_token_types_of_pairs_of_texts(tmp_path):
    case = Case("bert", tmp_path / "hf").padded([0] * BATCH, BEHIND)
    case.batch["token_type_ids"] = (torch.arange(LENGTH) >= torch.arange(5, 5 + BATCH)[:, None]).long()
    require_alike(case, tmp_path)


def test_targets_are_padded_too(tmp_path):
    case = Case("t5", tmp_path / "hf").padded([0] * BATCH, BEHIND)
    mask = torch.ones_like(case.batch["labels"])
    mask[1, -2:] = mask[3, -1:] = 0
    case.batch["decoder_attention_mask"] = mask
    case.batch["labels"] = case.batch["labels"].masked_fill(mask == 0, -100)
    case.text = mask == 1
    require_alike(case, tmp_path)


@pytest.mark.parametrize("name", TEXT)
def test_packed_texts_are_those_one_by_one(name, tmp_path):
    """Told apart by positions that start anew, as transformers' collator gives them, and by numbers in the mask."""
    case = Case(name, tmp_path / "hf")
    tokens = case.batch["input_ids"]
    positions = torch.stack([torch.cat([torch.arange(n) for n in texts]) for texts in TEXTS])
    case.batch["position_ids"], case.batch["labels"] = positions, tokens.masked_fill(positions == 0, -100)
    case.text = torch.ones_like(tokens, dtype=torch.bool)
    model = galvatron.from_pretrained(case.folder, torch.float64)
    packed = model(**case.batch)
    sums, count, logits = 0.0, 0, []
    for sample, texts in zip(tokens, TEXTS, strict=True):
        for text in sample.split(texts):
            logits.append(case.model(input_ids=text[None]).logits[0])
            if len(text) > 1:
                sums += torch.nn.functional.cross_entropy(logits[-1][:-1], text[1:], reduction="sum")
                count += len(text) - 1
    (sums / count).backward()
    assert packed.loss.item() == pytest.approx((sums / count).item(), rel=TOLERANCE)
    theirs = torch.cat(logits).detach()
    assert (packed.logits.flatten(0, 1) - theirs).abs().max() <= TOLERANCE * theirs.abs().max()
    packed.loss.backward()
    gradients = {case.names[key]: p.grad for key, p in case.model.named_parameters() if p.grad is not None}
    require_same({name: parameter.grad for name, parameter in model.by_name().items()}, gradients)

    numbers = torch.stack([torch.repeat_interleave(torch.arange(1, len(t) + 1), torch.tensor(t)) for t in TEXTS])
    again = model(input_ids=tokens, labels=tokens, position_ids=positions, attention_mask=numbers)
    assert torch.equal(again.logits, packed.logits)
    assert torch.equal(again.loss, packed.loss)


def numbered(sizes: list[list[int]], length: int) -> torch.Tensor:
    """The number of each token's text, from 1; padding behind them is 0."""
    rows = torch.zeros(len(sizes), length, dtype=torch.long)
    for row, texts in zip(rows, sizes, strict=True):
        row[: sum(texts)] = torch.repeat_interleave(torch.arange(1, len(texts) + 1), torch.tensor(texts))
    return rows


@pytest.mark.parametrize("name", SEQ2SEQ)
def test_packed_pairs_are_those_one_by_one(name, tmp_path):
    """Both sequences of a sample hold several texts, told apart by numbers in their masks."""
    case = Case(name, tmp_path / "hf")
    tokens, targets, labels = (case.batch[key] for key in ("input_ids", "decoder_input_ids", "labels"))
    masks = [numbered(TEXTS, LENGTH), numbered(SHARES, targets.shape[1])]
    labels = labels.masked_fill(masks[1] == 0, -100)
    model = galvatron.from_pretrained(case.folder, torch.float64)
    batch = {"input_ids": tokens, "decoder_input_ids": targets, "labels": labels}
    packed = model(**batch, attention_mask=masks[0], decoder_attention_mask=masks[1])
    sums, theirs, ours = 0.0, [], []
    for sample, texts in enumerate(TEXTS):
        for number in range(1, len(texts) + 1):
            read, said = (mask[sample] == number for mask in masks)
            alone = case.model(input_ids=tokens[sample, read][None], decoder_input_ids=targets[sample, said][None])
            theirs.append(alone.logits[0])
            ours.append(packed.logits[sample, said])
            sums += torch.nn.functional.cross_entropy(theirs[-1], labels[sample, said], reduction="sum")
    loss = sums / (labels != -100).sum()
    loss.backward()
    assert packed.loss.item() == pytest.approx(loss.item(), rel=TOLERANCE)
    largest = torch.cat(theirs).abs().max()
    assert (torch.cat(ours) - torch.cat(theirs)).abs().max() <= TOLERANCE * largest
    packed.loss.backward()
    gradients = {case.names[key]: p.grad for key, p in case.model.named_parameters() if p.grad is not None}
    require_same({name: parameter.grad for name, parameter in model.by_name().items()}, gradients)

"""What a batch says is to be learned: in other types, by other names, under masks, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from package_testing import QUICK, TINY, TINY_VOCABULARY, needs_module
from torch import Tensor

import galvatron

pytestmark = needs_module

LENGTH = 16
TEXTS = [torch.from_numpy(np.random.default_rng(i).integers(0, TINY_VOCABULARY, LENGTH)) for i in range(4)]
IMAGE_MODEL = "vit-tiny"
CLASSES = 10  # of vit-tiny


def texts(**more: Any) -> list[dict[str, Any]]:
    return [{"input_ids": text, **more} for text in TEXTS]


def images(labels: list[Any]) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    shape = galvatron.load(IMAGE_MODEL).spec.image_shape
    return [{"pixel_values": torch.randn(shape, generator=generator), "labels": label} for label in labels]


def losses(data: Any, model: str = TINY) -> list[float]:
    options = {key: value for key, value in QUICK.items() if key != "seq_length"}
    return galvatron.train(model, data=data, shuffle=False, **{**options, "global_batch": 4, "steps": 2}).losses


def refusal(data: Any, model: str = TINY) -> str:
    with pytest.raises(galvatron.ConfigError) as caught:
        losses(data, model)
    return str(caught.value)


SECOND_HALF = (torch.arange(LENGTH) >= LENGTH // 2).long()


@pytest.mark.parametrize("name", ["completion_mask", "assistant_masks"])
def test_masks_of_chats_say_what_is_learned(name: str):
    wanted = losses([{"input_ids": t, "labels": t.masked_fill(SECOND_HALF == 0, -100)} for t in TEXTS])
    assert losses(texts(**{name: SECOND_HALF})) == wanted
    assert losses(texts(**{name: SECOND_HALF.tolist()})) == wanted
    both = losses(texts(completion_mask=SECOND_HALF, assistant_masks=torch.ones(LENGTH, dtype=torch.bool)))
    assert both == wanted
    assert f"{name} is [3]" in refusal(texts(**{name: SECOND_HALF[:3]}))


def test_labels_that_are_none_are_not_there():
    assert losses(texts(labels=None)) == losses(texts())
    assert "has no 'labels'" in refusal(texts(labels=None), "bert-tiny")


def test_label_ids_are_labels():
    masked = [text.masked_fill(SECOND_HALF == 0, -100) for text in TEXTS]
    data = [{"input_ids": text, "label_ids": label} for text, label in zip(TEXTS, masked, strict=True)]
    assert losses(data) == losses([{"input_ids": d["input_ids"], "labels": d["label_ids"]} for d in data])


@pytest.mark.parametrize("name", ["targets", "target_ids", "loss_mask", "masked_lm_labels"])
def test_labels_of_another_name_are_not_passed_over(name: str):
    said = refusal(texts(**{name: TEXTS[0]}))
    assert f"has '{name}' and no 'labels'" in said and "rename it" in said
    assert losses([{**sample, "labels": sample["input_ids"]} for sample in texts(**{name: TEXTS[0]})]) == losses(
        texts()
    )
    assert losses(texts(**{name: "a column of words"})) == losses(texts())


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.full((LENGTH,), -1), "token -1; the vocabulary of 'gpt2-tiny' has 509 (-100 is not learned)"),
        (torch.full((LENGTH,), 1.5), "labels holds 1.5, which is no whole number"),
        (torch.ones(LENGTH, dtype=torch.bool), "labels are True or False"),
        (torch.ones(LENGTH // 2, dtype=torch.long), "8 labels and 16 input_ids; there is one for each token"),
        ([], "0 labels and 16 input_ids"),
        (1, "labels of sample 0 is one number, 1; a text has one for each token"),
        ("yes", "labels of a sample is str"),
    ],
)
def test_labels_of_text_that_cannot_be(labels: Any, words: str):
    assert words in refusal(texts(labels=labels))


def test_numbers_of_tokens_may_be_of_any_type():
    wanted = losses(texts())
    for kind in (torch.int32, torch.float32, torch.float64):
        assert losses([{"input_ids": text.to(kind), "labels": text.to(kind)} for text in TEXTS]) == wanted
    assert "input_ids holds 0.5" in refusal([{"input_ids": torch.full((LENGTH,), 0.5)}] * 4)


NUMBERS = [0, 1, 1, 0]


@pytest.mark.parametrize(
    "labels",
    [
        [torch.tensor([n]) for n in NUMBERS],
        [torch.tensor(n, dtype=torch.int32) for n in NUMBERS],
        [np.uint8(n) for n in NUMBERS],
        [float(n) for n in NUMBERS],
        [bool(n) for n in NUMBERS],
        [torch.nn.functional.one_hot(torch.tensor(n), CLASSES) for n in NUMBERS],
        [torch.nn.functional.one_hot(torch.tensor(n), CLASSES).float() for n in NUMBERS],
    ],
    ids=["column", "int32", "uint8", "float", "bool", "one-hot", "one-hot of float"],
)
def test_classes_may_be_of_any_type(labels: list[Any]):
    assert losses(images(labels), IMAGE_MODEL) == losses(images(NUMBERS), IMAGE_MODEL)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (1.5, "labels holds 1.5, which is no whole number"),
        (torch.full((CLASSES,), 1 / CLASSES), "an image has one class"),
        (torch.tensor([1.0, 0.0, 1.0]), "labels is [4, 3]: an image has one class"),
        (CLASSES, f"labels holds class {CLASSES}; 'vit-tiny' has {CLASSES}"),
        (-1, "(-100 is not learned)"),
    ],
)
def test_classes_that_cannot_be(label: Any, words: str):
    assert words in refusal(images([label] * 4), IMAGE_MODEL)


def test_pixels_that_cannot_be():
    def changed(change: Any) -> list[dict[str, Tensor]]:
        return [{**sample, "pixel_values": change(sample["pixel_values"])} for sample in images(NUMBERS)]

    assert "torch.uint8: scale it" in refusal(changed(lambda x: x.to(torch.uint8)), IMAGE_MODEL)
    assert "not finite" in refusal(changed(lambda x: x * float("nan")), IMAGE_MODEL)


def test_a_folder_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    galvatron.load(TINY, seed=7).save_pretrained(tmp_path / "mine")
    model, other = galvatron.load("~/mine"), galvatron.load(tmp_path / "mine")
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)

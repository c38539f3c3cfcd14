"""A model's inputs by Hugging Face's names, and what they are to the runtime.

Kinds of input, as the C++ side calls them: "tokens", "target_tokens" and "labels" are int64 [B, tokens], "images" is
floating point [B, channels, height, width], "classes" is int64 [B].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch

from galvatron._options import to_json
from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from galvatron._core import ModelSpec

IGNORED_LABEL = -100

# What callers pass beside the inputs, and the one value that changes nothing.
_CONSTANT_INPUTS = {"attention_mask": 1, "decoder_attention_mask": 1, "token_type_ids": 0}


def spec_of(model: Any) -> ModelSpec:
    """A preset name, config.json, folder, configuration dict, transformers config or Model as a ModelSpec."""
    from galvatron._binding import core

    own = getattr(model, "spec", None)
    if isinstance(own, core.ModelSpec):  # a Model
        return own
    if isinstance(model, core.ModelSpec):
        return model
    config = model.to_dict() if hasattr(model, "to_dict") else model
    if isinstance(config, Mapping):
        name = str(config.get("_name_or_path") or config.get("model_type", "model"))
        return core.model_from_config(to_json(config), name)
    if not isinstance(model, (str, PathLike)):
        raise ConfigError(f"[model] {model!r} is no preset name, file, folder, configuration or Model")
    return core.load_model(str(model))


class InputReader:
    """Makes a batch by kind of one by name, for one model, and checks it."""

    def __init__(self, spec: ModelSpec) -> None:
        self.task = spec.task
        self._spec = spec
        self._config: dict[str, Any] = json.loads(spec.config)

    @property
    def names(self) -> list[str]:
        """The names that a batch may have, the one that must be there first."""
        if self.task == IMAGE_CLASSES:
            return ["pixel_values", "labels"]
        if self.task == SEQUENCE_TO_SEQUENCE:
            return ["input_ids", "labels", "decoder_input_ids"]
        return ["input_ids", "labels"]

    @property
    def pad_token(self) -> int:
        return int(self._config.get("pad_token_id") or 0)

    def read(self, batch: Mapping[str, torch.Tensor | None]) -> dict[str, torch.Tensor]:
        """By kind; labels lie where they are predicted. ConfigError for what the model cannot take."""
        given = {name: value for name, value in batch.items() if value is not None}
        for name in given:
            if name not in self.names and name not in _CONSTANT_INPUTS:
                known = ", ".join(self.names)
                raise ConfigError(f"[model] '{self._spec.name}' has no input '{name}'; it takes {known}")
        _check_constant(given)
        if self.task == IMAGE_CLASSES:
            self._check_images(given)
            return _renamed(given, {"pixel_values": "images", "labels": "classes"})
        out = {name: value.long() for name, value in given.items() if name in self.names}
        for name, value in out.items():
            self._check_tokens(name, value)
        self._check_label_shape(out)
        if self.task == SEQUENCE_TO_SEQUENCE and "decoder_input_ids" not in out and "labels" in out:
            out["decoder_input_ids"] = self.shifted_right(out["labels"])
        if self.task == NEXT_TOKEN and "labels" in out:
            out["labels"] = _shifted_left(out["labels"])
        return _renamed(out, {"input_ids": "tokens", "decoder_input_ids": "target_tokens", "labels": "labels"})

    def _check_tokens(self, name: str, value: torch.Tensor) -> None:
        spec = self._spec
        if value.ndim != 2:
            raise ConfigError(f"[model] {name} must be [samples, tokens], not of {value.ndim} dimensions")
        if value.shape[1] < 1 or value.shape[1] > spec.max_positions:
            raise ConfigError(
                f"[model] {name} has {value.shape[1]} tokens a sample; '{spec.name}' takes 1 to {spec.max_positions}"
            )
        _check_range(name, value, spec.vocab_size, "token", f"the vocabulary of '{spec.name}' has {spec.vocab_size}")

    def _check_images(self, given: Mapping[str, torch.Tensor]) -> None:
        spec = self._spec
        images, classes = given.get("pixel_values"), given.get("labels")
        if images is not None and list(images.shape[1:]) != spec.image_shape:
            shape = ", ".join(map(str, spec.image_shape))
            raise ConfigError(f"[model] pixel_values is {list(images.shape)}, must be [samples, {shape}]")
        if classes is not None:
            _check_range("labels", classes, spec.num_classes, "class", f"'{spec.name}' has {spec.num_classes}")

    def _check_label_shape(self, given: Mapping[str, torch.Tensor]) -> None:
        labels, tokens = given.get("labels"), given.get("input_ids")
        if labels is None or tokens is None or self.task == SEQUENCE_TO_SEQUENCE or labels.shape == tokens.shape:
            return
        raise ConfigError(
            f"[model] labels are {list(labels.shape)}, input_ids {list(tokens.shape)}; there is one for each token"
        )

    def shifted_right(self, labels: torch.Tensor) -> torch.Tensor:
        """What the decoder reads where it is to say `labels` (T5's rule)."""
        start = self._config.get("decoder_start_token_id")
        out = torch.empty_like(labels)
        out[:, 1:] = labels[:, :-1]
        out[:, 0] = self.pad_token if start is None else int(start)
        return out.masked_fill(out == IGNORED_LABEL, self.pad_token)


# ModelSpec.task.
NEXT_TOKEN, SEQUENCE_TO_SEQUENCE, IMAGE_CLASSES = "next-token", "sequence-to-sequence", "image-classes"


def named_batch(batch: Any, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """What a DataLoader yields, by input names: a mapping as it is, a tuple in the order of `names`, or one tensor."""
    if isinstance(batch, Mapping) or hasattr(batch, "keys"):
        aliases = {"label": "labels", "image": "pixel_values"}
        renamed = {aliases.get(str(key), str(key)): batch[key] for key in batch.keys()}  # noqa: SIM118
        return {key: _tensor(key, value) for key, value in renamed.items() if key in names or key in _CONSTANT_INPUTS}
    if isinstance(batch, (torch.Tensor, str)) or not isinstance(batch, Sequence):
        return {names[0]: _tensor(names[0], batch)}
    if batch and isinstance(batch[0], int):  # the token ids of one sample
        return {names[0]: _tensor(names[0], batch)}
    return {name: _tensor(name, value) for name, value in zip(names, batch, strict=False)}


def _tensor(name: str, value: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(
            f"[data] {name} of a sample is {type(value).__name__}, which no tensor can be made of"
        ) from None


def _renamed(batch: Mapping[str, torch.Tensor], names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    return {kind: batch[name] for name, kind in names.items() if name in batch}


def _shifted_left(labels: torch.Tensor) -> torch.Tensor:
    out = torch.full_like(labels, IGNORED_LABEL)
    out[:, :-1] = labels[:, 1:]
    return out


def _check_range(name: str, value: torch.Tensor, end: int, what: str, there_are: str) -> None:
    wrong = (value < 0) | (value >= end)
    if name == "labels":
        wrong &= value != IGNORED_LABEL
    if bool(wrong.any()):
        raise ConfigError(f"[model] {name} holds {what} {int(value[wrong][0])}; {there_are}")


def _check_constant(batch: Mapping[str, torch.Tensor]) -> None:
    for name, neutral in _CONSTANT_INPUTS.items():
        value = batch.get(name)
        if value is not None and bool((value != neutral).any()):
            raise ConfigError(
                f"[model] {name} is not {neutral} everywhere: padding and second segments are not masked; cut samples "
                "to one length, and give labels of -100 where nothing is to be learned"
            )

"""A model's inputs by Hugging Face's names, and what they are to the runtime.

Kinds of input, as the C++ side calls them: "tokens", "target_tokens" and "labels" are int64 [B, tokens], "images" is
floating point [B, channels, height, width], "classes" is int64 [B]. And what need not be there: "documents" and
"target_documents", int64 [B, tokens], the number of each token's text in its sample, from 1, where 0 is padding;
"positions", int64 [B, tokens], its place there; "token_types", int64 [B, tokens], its segment, from 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from galvatron._planner import ModelSpec

IGNORED_LABEL = -100

# Of datasets of chats (TRL, tokenizers): 1 where a token is to be learned.
LABEL_MASKS = ("completion_mask", "assistant_masks")

# What others call labels, or give in their place, of which nothing says how they lie beside the inputs.
_FOREIGN_LABELS = (
    "target", "targets", "target_ids", "lm_labels", "masked_lm_labels", "loss_mask", "fine_label", "coarse_label", "y",
)  # fmt: skip

# What callers pass to models without them, too, and the one value that changes nothing.
_CONSTANT_INPUTS = {"token_type_ids": 0}


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
            return ["input_ids", "labels", "decoder_input_ids", "attention_mask", "decoder_attention_mask"]
        positions = ["position_ids"] if self._takes_positions else []
        types = ["token_type_ids"] if self._spec.num_token_types > 1 else []
        masks = LABEL_MASKS if self.task == NEXT_TOKEN else ()
        return ["input_ids", "labels", "attention_mask", *positions, *types, *masks]

    @property
    def _takes_positions(self) -> bool:
        return not self._spec.positions_skip_padding

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
        _check_constant({name: value for name, value in given.items() if name not in self.names})
        given = {name: value for name, value in given.items() if name in self.names}
        if self.task == IMAGE_CLASSES:
            return _renamed(self._images(given), {"pixel_values": "images", "labels": "classes"})
        out = {name: _whole(name, value) for name, value in given.items()}
        positions, tokens = out.get("position_ids"), out.get("input_ids")
        if positions is not None and tokens is not None and len(positions) == 1:
            out["position_ids"] = positions.expand(len(tokens), -1)
        for name, value in out.items():
            self._check_tokens(name, value)
        self._check_shapes(out)
        if self.task == SEQUENCE_TO_SEQUENCE and "decoder_input_ids" not in out and "labels" in out:
            out["decoder_input_ids"] = self.shifted_right(out["labels"])
        self._add_documents(out)
        if self.task == NEXT_TOKEN and "labels" in out:
            out["labels"] = _shifted_left(out["labels"], out.get("attention_mask"))
        return _renamed(out, KINDS)

    def _add_documents(self, batch: dict[str, torch.Tensor]) -> None:
        """Masks that hide something, of both sequences or of neither."""
        if self.task == NEXT_TOKEN and "position_ids" in batch and "attention_mask" not in batch:
            batch["attention_mask"] = documents_of(batch["position_ids"])
        masks = {"attention_mask": "input_ids"}
        if self.task == SEQUENCE_TO_SEQUENCE:
            masks["decoder_attention_mask"] = "decoder_input_ids"
        if all(bool((batch[mask] == 1).all()) for mask in masks if mask in batch):
            for mask in masks:
                batch.pop(mask, None)
            return
        for mask, tokens in masks.items():
            if tokens in batch:
                batch.setdefault(mask, torch.ones_like(batch[tokens]))

    def _check_tokens(self, name: str, value: torch.Tensor) -> None:
        spec = self._spec
        if value.ndim != 2:
            raise ConfigError(f"[model] {name} must be [samples, tokens], not of {value.ndim} dimensions")
        if value.shape[1] < 1 or value.shape[1] > spec.max_positions:
            raise ConfigError(
                f"[model] {name} has {value.shape[1]} tokens a sample; '{spec.name}' takes 1 to {spec.max_positions}"
            )
        if name == "position_ids":
            _check_range(name, value, spec.max_positions, "position", f"'{spec.name}' has {spec.max_positions}")
        elif name == "token_type_ids":
            there_are = f"'{spec.name}' has {spec.num_token_types} token types"
            _check_range(name, value, spec.num_token_types, "type", there_are)
        elif name in MASKS:
            _check_range(
                name, value, value.shape[1] + 1, "number", "1 is text, 0 padding, 2 and more are further texts"
            )
        else:
            there_are = f"the vocabulary of '{spec.name}' has {spec.vocab_size}"
            _check_range(name, value, spec.vocab_size, "token", there_are)

    def _images(self, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Checked, with numbers of classes as labels."""
        spec = self._spec
        images, classes = given.get("pixel_values"), given.get("labels")
        if images is not None:
            self._check_pixels(images)
        if classes is None:
            return dict(given)
        classes = self._class_numbers(classes)
        _check_range("labels", classes, spec.num_classes, "class", f"'{spec.name}' has {spec.num_classes}")
        return {**given, "labels": classes}

    def _check_pixels(self, images: torch.Tensor) -> None:
        if list(images.shape[1:]) != self._spec.image_shape:
            shape = ", ".join(map(str, self._spec.image_shape))
            raise ConfigError(f"[model] pixel_values is {list(images.shape)}, must be [samples, {shape}]")
        if not images.is_floating_point():
            raise ConfigError(
                f"[model] pixel_values is {images.dtype}: scale it as the model's image processor does (divided by "
                "255, less the mean, by the standard deviation)"
            )
        if not bool(torch.isfinite(images).all()):
            raise ConfigError("[model] pixel_values holds values that are not finite (nan or inf)")

    def _class_numbers(self, labels: torch.Tensor) -> torch.Tensor:
        """int64 [samples] of what says the same: a column of them, one-hot rows, other types."""
        classes = self._spec.num_classes
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim == 2 and labels.shape[1] == classes and _is_one_hot(labels):
            labels = labels.argmax(dim=1)
        if labels.ndim != 1:
            raise ConfigError(
                f"[model] labels is {list(labels.shape)}: an image has one class, a number from 0 to {classes - 1}; "
                "several of them, or a part of each, is not supported"
            )
        return labels.long() if labels.dtype == torch.bool else _whole("labels", labels)

    def _check_shapes(self, given: Mapping[str, torch.Tensor]) -> None:
        """One label and one number of each mask for each token."""
        of_targets = self.task == SEQUENCE_TO_SEQUENCE
        targets = "labels" if "labels" in given else "decoder_input_ids"
        pairs = dict.fromkeys(("attention_mask", "position_ids", "token_type_ids"), "input_ids")
        pairs["decoder_attention_mask"] = targets
        pairs["decoder_input_ids" if of_targets else "labels"] = "labels" if of_targets else "input_ids"
        for name, tokens in pairs.items():
            if name in given and tokens in given and given[name].shape != given[tokens].shape:
                raise ConfigError(
                    f"[model] {name} are {list(given[name].shape)}, {tokens} {list(given[tokens].shape)}; there is one "
                    "for each token"
                )

    def shifted_right(self, labels: torch.Tensor) -> torch.Tensor:
        """What the decoder reads where it is to say `labels` (T5's rule)."""
        start = self._config.get("decoder_start_token_id")
        out = torch.empty_like(labels)
        out[:, 1:] = labels[:, :-1]
        out[:, 0] = self.pad_token if start is None else int(start)
        return out.masked_fill(out == IGNORED_LABEL, self.pad_token)


def documents_of(positions: torch.Tensor) -> torch.Tensor:
    """Numbers of texts, from 1: one begins where positions [..., tokens] do not go on (as transformers has it)."""
    begins = torch.ones_like(positions)
    begins[..., 1:] = (positions[..., 1:] != positions[..., :-1] + 1).long()
    return begins.cumsum(-1)


MASKS = ("attention_mask", "decoder_attention_mask")
# What the inputs of text are called on the C++ side.
KINDS = {
    "input_ids": "tokens",
    "decoder_input_ids": "target_tokens",
    "labels": "labels",
    "attention_mask": "documents",
    "decoder_attention_mask": "target_documents",
    "position_ids": "positions",
    "token_type_ids": "token_types",
}

# ModelSpec.task.
NEXT_TOKEN, SEQUENCE_TO_SEQUENCE, IMAGE_CLASSES = "next-token", "sequence-to-sequence", "image-classes"


def named_batch(batch: Any, names: Sequence[str], *, learns: bool = False) -> dict[str, torch.Tensor]:
    """What a DataLoader yields, by input names: a mapping as it is, a tuple in the order of `names`, or one tensor.

    `learns`: ConfigError where what is to be learned has another name."""
    if isinstance(batch, Mapping) or hasattr(batch, "keys"):
        aliases = {"label": "labels", "label_ids": "labels", "image": "pixel_values"}
        renamed = {aliases.get(str(key), str(key)): batch[key] for key in batch.keys()}  # noqa: SIM118
        given = {key: value for key, value in renamed.items() if value is not None}
        if learns and "labels" not in given:
            _refuse_foreign_labels(given)
        known = {key: _tensor(key, value) for key, value in given.items() if key in names or key in _CONSTANT_INPUTS}
        return _with_counted_labels(known)
    if isinstance(batch, (torch.Tensor, str)) or not isinstance(batch, Sequence):
        return {names[0]: _tensor(names[0], batch)}
    if batch and isinstance(batch[0], int):  # the token ids of one sample
        return {names[0]: _tensor(names[0], batch)}
    return {name: _tensor(name, value) for name, value in zip(names, batch, strict=False)}


def _refuse_foreign_labels(given: Mapping[str, Any]) -> None:
    for name in _FOREIGN_LABELS:
        if name in given and not isinstance(given[name], str):
            raise ConfigError(
                f"[data] a sample has '{name}' and no 'labels': rename it (in text each token has a label, itself, "
                "or -100 where it is not to be learned), or take it out"
            )


def _with_counted_labels(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without LABEL_MASKS: labels of -100 where they are 0."""
    masks = {name: batch[name] for name in LABEL_MASKS if name in batch}
    labels = batch.get("labels", batch.get("input_ids"))
    if not masks or labels is None:
        return batch
    for name, mask in masks.items():
        if mask.shape != labels.shape:
            raise ConfigError(
                f"[data] {name} is {list(mask.shape)}, the tokens {list(labels.shape)}; there is one for each token"
            )
        labels = labels.masked_fill(mask == 0, IGNORED_LABEL)
    return {**{name: value for name, value in batch.items() if name not in masks}, "labels": labels}


def _whole(name: str, value: torch.Tensor) -> torch.Tensor:
    """As int64."""
    if value.dtype == torch.bool and name not in MASKS:
        raise ConfigError(f"[model] {name} are True or False; numbers are needed here")
    if value.is_floating_point() and bool((wrong := value != value.round()).any()):
        raise ConfigError(f"[model] {name} holds {float(value[wrong][0]):g}, which is no whole number")
    return value.long()


def _is_one_hot(rows: torch.Tensor) -> bool:
    return bool((((rows == 0) | (rows == 1)).all()) and (rows.sum(dim=1) == 1).all())


def _tensor(name: str, value: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(
            f"[data] {name} of a sample is {type(value).__name__}, which no tensor can be made of"
        ) from None


def _renamed(batch: Mapping[str, torch.Tensor], names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    return {kind: batch[name] for name, kind in names.items() if name in batch}


def _shifted_left(labels: torch.Tensor, documents: torch.Tensor | None) -> torch.Tensor:
    """Those that a token of the same text foretells."""
    out = torch.full_like(labels, IGNORED_LABEL)
    out[:, :-1] = labels[:, 1:]
    if documents is not None:
        out[:, :-1][documents[:, :-1] != documents[:, 1:]] = IGNORED_LABEL
        out[documents == 0] = IGNORED_LABEL
    return out


def _check_range(name: str, value: torch.Tensor, end: int, what: str, there_are: str) -> None:
    wrong = (value < 0) | (value >= end)
    if name == "labels":
        wrong &= value != IGNORED_LABEL
    if bool(wrong.any()):
        first = int(value[wrong][0])
        hint = f" ({IGNORED_LABEL} is not learned)" if name == "labels" and first < 0 else ""
        raise ConfigError(f"[model] {name} holds {what} {first}; {there_are}{hint}")


def _check_constant(batch: Mapping[str, torch.Tensor]) -> None:
    for name, neutral in _CONSTANT_INPUTS.items():
        value = batch.get(name)
        if value is not None and bool((value != neutral).any()):
            raise ConfigError(
                f"[model] {name} is not {neutral} everywhere, and the model knows no second segment; leave it away"
            )

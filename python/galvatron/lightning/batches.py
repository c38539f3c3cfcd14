"""A batch by transformers' names as the engine takes it: by kind, each of its length, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from galvatron._inputs import IGNORED_LABEL, SEQUENCE_TO_SEQUENCE
from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from galvatron.lightning.module import GalvatronModule

_ANSWERS = ("labels", "classes")
_OPTIONAL = ("documents", "target_documents", "positions", "token_types")


def model_inputs(module: GalvatronModule, named: Mapping[str, Tensor], *, answers: bool) -> dict[str, Tensor]:
    """ConfigError for what is missing or does not fit the model."""
    reader = module.reader
    out = reader.read(dict(named))
    if reader.task == SEQUENCE_TO_SEQUENCE and "tokens" in out:
        out = _at_target_length(module, out)
    assert module.model is not None
    wanted = [kind for kind in module.model.input_kinds if answers or kind not in _ANSWERS]
    for kind in wanted:
        if kind not in out:
            have = ", ".join(named) or "nothing"
            raise ConfigError(f"[data] a batch needs {_NAMES[kind]} for '{module.spec.name}'; it has {have}")
    if "images" in out:
        out["images"] = out["images"].float()
    wanted += [kind for kind in _OPTIONAL if kind in out]
    return {kind: out[kind].contiguous() for kind in wanted}


_NAMES = {
    "tokens": "input_ids",
    "target_tokens": "decoder_input_ids",
    "labels": "labels",
    "images": "pixel_values",
    "classes": "labels",
    "target_documents": "decoder_attention_mask",
}


def _at_target_length(module: GalvatronModule, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The decoder's sequences have one length for each length of the encoder's."""
    length = module.spec.target_length(inputs["tokens"].shape[1])
    fillings = {"labels": IGNORED_LABEL, "target_tokens": module.reader.pad_token, "target_documents": 0}
    out = dict(inputs)
    for kind, filling in fillings.items():
        if kind not in out:
            continue
        lack = length - out[kind].shape[1]
        if lack < 0:
            raise ConfigError(
                f"[data] {_NAMES[kind]} has {out[kind].shape[1]} tokens a sample; with {inputs['tokens'].shape[1]} "
                f"input_ids there is room for {length}"
            )
        out[kind] = torch.nn.functional.pad(out[kind], (0, lack), value=filling)
    return out

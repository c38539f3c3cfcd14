"""Checkpoints of a Trainer: a folder with our own sharded checkpoint and the rest of Lightning's state beside it, or
one file with whole tensors as other strategies write it.

    epoch=0-step=100.ckpt/
      meta.pt        Lightning's state: loops, callbacks, schedulers; which of the checkpoints beside it is meant
      step-000100/   weights and optimizer, a part of each rank: any plan can go on from it (train/checkpoint.h)
      latest
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from galvatron.errors import ConfigError

META = "meta.pt"
KEY = "galvatron_checkpoint"
PREFIX = "model."


def is_sharded(path: Path) -> bool:
    """A folder of ours, as far as it can be seen from outside."""
    return path.is_dir() and (path / META).is_file() and (path / "latest").is_file()


def refuse_foreign_folder(path: Path) -> None:
    """For a folder that is to be read."""
    if not path.exists():
        raise ConfigError(f"[checkpoint] there is no checkpoint {path}")
    if not path.is_dir() or is_sharded(path):
        return
    if (path / ".metadata").is_file():
        raise ConfigError(
            f"[checkpoint] {path} is a sharded checkpoint of Lightning's FSDP or model-parallel strategy: make one "
            f"file of it by `python -m lightning.pytorch.utilities.consolidate_checkpoint {path}`, which is read here"
        )
    if (path / "checkpoint").is_dir():
        raise ConfigError(
            f"[checkpoint] {path} is a checkpoint of DeepSpeed: make one file of it by "
            "lightning.pytorch.utilities.deepspeed.convert_zero_checkpoint_to_fp32_state_dict"
        )
    if (path / "checkpoint.json").is_file() or (path / "latest").is_file():
        raise ConfigError(
            f"[checkpoint] {path} is a checkpoint of `galvatron train`, without a Trainer's state: export its weights "
            f"by `galvatron export {path}` and begin with GalvatronModule(folder)"
        )
    raise ConfigError(f"[checkpoint] {path} is a folder, and no checkpoint of GalvatronStrategy")


def prepare_folder(path: Path) -> None:
    """Rank 0, before all write: what was there under the name of the checkpoint goes, if it is a checkpoint."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    if path.is_dir() and any(path.iterdir()) and not _holds_ours(path):
        raise ConfigError(f"[checkpoint] {path} holds something that is no checkpoint of GalvatronStrategy")
    path.mkdir(parents=True, exist_ok=True)


def prepare_file(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.is_dir():
        if not _holds_ours(path):
            raise ConfigError(f"[checkpoint] {path} is a folder, and no checkpoint of GalvatronStrategy")
        shutil.rmtree(path)


def _holds_ours(path: Path) -> bool:
    return is_sharded(path) or all(entry.name.startswith(("step-", "latest", META)) for entry in path.iterdir())


def write_meta(path: Path, meta: Mapping[str, Any]) -> None:
    """Rank 0, when the sharded part is on the disk: until then the folder is the old checkpoint."""
    partial = path / f"{META}.partial"
    with open(partial, "wb") as file:
        torch.save(dict(meta), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path / META)
    for old in path.glob("step-*"):
        if old.name != meta[KEY]:
            shutil.rmtree(old)


def read_meta(path: Path, weights_only: bool | None) -> dict[str, Any]:
    meta: dict[str, Any] = torch.load(path / META, map_location="cpu", weights_only=weights_only)
    if KEY not in meta or not (path / meta[KEY]).is_dir():
        raise ConfigError(f"[checkpoint] {path} is damaged: {META} and the folders beside it do not belong together")
    return meta


def remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def weights_of_file(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Of a whole state_dict, the model's tensors by their names; with or without the prefix of a module."""
    prefix = _prefix(state, wanted)
    out = {name: state[prefix + name] for name in wanted if prefix + name in state}
    missing = [name for name in wanted if name not in out]
    if missing:
        some = ", ".join(missing[:3])
        raise ConfigError(
            f"[checkpoint] {path} lacks {len(missing)} of the model's {len(wanted)} tensors, such as {some}: it is of "
            "another model, or of a module whose model is no transformers model in `self.model`"
        )
    wrong = [name for name, tensor in wanted.items() if out[name].shape != tensor.shape]
    if wrong:
        raise ConfigError(
            f"[checkpoint] {path}: {wrong[0]} is {list(out[wrong[0]].shape)}, must be {list(wanted[wrong[0]].shape)}"
        )
    return out


def _prefix(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    first = next(iter(wanted))
    if PREFIX + first in state or first not in state:
        return PREFIX
    return ""


def optimizer_entries(state: Mapping[str, Any], names: list[str], part: str) -> dict[str, Tensor] | None:
    """One state of a whole torch optimizer's state_dict, by parameter; None: it has none yet. `names`: of the
    parameters, in the order of the groups."""
    entries = state["state"]
    if not entries:
        return None
    return {name: entries[i][part] for i, name in enumerate(names)}

"""The part of GalvatronStrategy that saves and loads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from galvatron.errors import ConfigError, RuntimeFailure
from galvatron.lightning import checkpoints

if TYPE_CHECKING:
    from galvatron._core import StepRunner


class Checkpointing:
    """Needs the attributes of a strategy that has a runner."""

    if TYPE_CHECKING:

        @property
        def runner(self) -> StepRunner: ...

        lightning_module: Any
        optimizers: list[Any]
        checkpoint_io: Any
        is_global_zero: bool
        _full_checkpoints: bool
        _run: str

        def broadcast(self, obj: Any, src: int = 0) -> Any: ...

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        return True

    @property
    def lightning_restore_optimizer(self) -> bool:
        return False

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Of a full checkpoint everything, on rank 0; of a sharded one what is not the model's."""
        extra = {
            name: value
            for name, value in self.lightning_module.state_dict().items()
            if not name.startswith(checkpoints.PREFIX)
        }
        if not self._full_checkpoints:
            return extra
        tensors = self.runner.whole_tensors("weights")
        if not self.is_global_zero:
            return {}
        return extra | {checkpoints.PREFIX + name: tensors[of] for name, of in self._first_names().items()}

    def _first_names(self) -> dict[str, str]:
        """Every name in the model's state_dict, tied ones too, and the first name of its tensor."""
        model = self.lightning_module.model
        first = {id(parameter): name for name, parameter in model.by_name().items()}
        return {name: first[id(value)] for name, value in model.state_dict(keep_vars=True).items()}

    def optimizer_state(self, optimizer: Any) -> dict[str, Any]:
        """As torch's own state_dict; of a sharded checkpoint without the states, which are in its files."""
        optimizer = getattr(optimizer, "_optimizer", optimizer)
        groups = optimizer.state_dict()["param_groups"]
        if not self._full_checkpoints:
            return {"state": {}, "param_groups": groups}
        parts = {name: self.runner.whole_tensors(name) for name in self.runner.optimizer_states}
        if not self.is_global_zero:
            return {}
        steps = float(self.runner.optimizer_steps)
        state: dict[int, dict[str, Any]] = {}
        for i, name in enumerate(self._names_in_order(optimizer)):
            state[i] = {part: tensors[name] for part, tensors in parts.items()}
            if self.runner.optimizer_name == "adamw":
                state[i]["step"] = torch.tensor(steps)
        return {"state": state if steps else {}, "param_groups": groups}

    def _names_in_order(self, optimizer: Any) -> list[str]:
        names = {id(parameter): name for name, parameter in self.lightning_module.model.by_name().items()}
        return [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        if storage_options is not None:
            raise ConfigError(
                "[checkpoint] storage_options are for remote files; checkpoints go to a shared folder here"
            )
        path = Path(self.broadcast(os.fspath(filepath)))
        if self._full_checkpoints:
            self._on_rank_zero(lambda: checkpoints.prepare_file(path))
            if self.is_global_zero:
                self.checkpoint_io.save_checkpoint(checkpoint, path)
            return
        if not self.runner.has_optimizer:
            raise ConfigError(
                "[checkpoint] nothing is trained here: save weights by the module's save_pretrained, or a checkpoint "
                'with GalvatronStrategy(checkpoint="full")'
            )
        self._on_rank_zero(lambda: checkpoints.prepare_folder(path))
        saved = self.runner.save_checkpoint(path, self._run, json.dumps({"global_step": checkpoint["global_step"]}))
        meta = {**checkpoint, checkpoints.KEY: Path(saved).name}
        self._on_rank_zero(lambda: checkpoints.write_meta(path, meta))

    def _on_rank_zero(self, work: Callable[[], None]) -> None:
        """Its failure is every rank's."""
        problem: Exception | None = None
        if self.is_global_zero:
            try:
                work()
            except (ConfigError, OSError) as error:
                problem = error
        said = self.broadcast((isinstance(problem, ConfigError), "" if problem is None else str(problem)))
        if not said[1]:
            return
        raise ConfigError(said[1]) if said[0] else RuntimeFailure(said[1])

    def remove_checkpoint(self, filepath: str | os.PathLike[str]) -> None:
        if self.is_global_zero:
            checkpoints.remove(Path(filepath))

    def load_checkpoint(
        self, checkpoint_path: str | os.PathLike[str], weights_only: bool | None = None
    ) -> dict[str, Any]:
        path = Path(self.broadcast(os.fspath(checkpoint_path)))
        checkpoints.refuse_foreign_folder(path)
        fitting = bool(self.optimizers)
        if not path.is_dir():
            return self._load_file(path, weights_only, fitting)
        meta = checkpoints.read_meta(path, weights_only)
        self.runner.load_checkpoint(path / meta[checkpoints.KEY], not fitting)
        if fitting and meta.get("optimizer_states"):
            self._restore_groups(meta["optimizer_states"][0])
        return meta

    def _load_file(self, path: Path, weights_only: bool | None, fitting: bool) -> dict[str, Any]:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=weights_only, mmap=True)
        for key in ("state_dict", "pytorch-lightning_version"):
            if key not in checkpoint:
                raise ConfigError(f"[checkpoint] {path} is no checkpoint of Lightning's: it has no {key}")
        checkpoint["galvatron_path"] = str(path)
        if fitting and checkpoint.get("optimizer_states"):
            self._load_states(checkpoint["optimizer_states"][0], int(checkpoint.get("global_step", 0)), path)
        return checkpoint

    def _load_states(self, state: dict[str, Any], steps: int, path: Path) -> None:
        optimizer = self.optimizers[0]
        names = self._names_in_order(optimizer)
        groups = [len(group["params"]) for group in state["param_groups"]]
        if groups != [len(group["params"]) for group in optimizer.param_groups]:
            raise ConfigError(
                f"[checkpoint] the optimizer of {path} has {groups} parameters in its groups, this one "
                f"{[len(group['params']) for group in optimizer.param_groups]}"
            )
        for part_name in self.runner.optimizer_states:
            entries = state["state"]
            if not entries:
                break
            if any(part_name not in entry for entry in entries.values()):
                raise ConfigError(
                    f"[checkpoint] the optimizer of {path} keeps no {part_name}, which {self.runner.optimizer_name} "
                    "goes on from; give the optimizer that it was trained with"
                )
            self.runner.assign(part_name, {name: entries[i][part_name] for i, name in enumerate(names)})
        first: Mapping[str, Any] = next(iter(state["state"].values()), {})
        self.runner.set_progress(steps, int(first.get("step", steps)))
        self._restore_groups(state)

    def _restore_groups(self, state: Mapping[str, Any]) -> None:
        """Learning rates and the like; the states are the engine's."""
        self.optimizers[0].load_state_dict({"state": {}, "param_groups": state["param_groups"]})

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        state = checkpoint.get("state_dict", {})
        if "galvatron_path" in checkpoint:
            wanted = self.lightning_module.model.by_name()
            tensors = checkpoints.weights_of_file(state, wanted, Path(checkpoint["galvatron_path"]))
            self.runner.assign("weights", tensors)
        extra = {name: value for name, value in state.items() if not name.startswith(checkpoints.PREFIX)}
        if extra:
            self.lightning_module.load_state_dict(extra, strict=False)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """load_checkpoint() has done it."""

"""GalvatronStrategy: a Trainer's steps run on Galvatron's engine, one rank of it in every process."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import socket
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch import Tensor

from galvatron._binding import core
from galvatron._inputs import SEQUENCE_TO_SEQUENCE
from galvatron._plan import Plan
from galvatron.errors import ConfigError, RuntimeFailure
from galvatron.lightning import checkpoints
from galvatron.lightning._lightning import fabric, part
from galvatron.lightning.arguments import (
    StrategyOptions,
    check_model,
    choose_length,
    make_plan,
    read_options,
    world_size_of,
)
from galvatron.lightning.batches import model_inputs
from galvatron.lightning.module import GalvatronModule, foreign_module_sentence
from galvatron.lightning.optimizers import Translated, translate
from galvatron.lightning.precision import DEFAULT, GalvatronPrecision, read_precision

if TYPE_CHECKING:
    from typing_extensions import Unpack

ParallelStrategy: Any = part("strategies").ParallelStrategy
SubprocessLauncher: Any = part("strategies.launchers.subprocess_script")._SubprocessScriptLauncher
rank_zero: Any = part("utilities.rank_zero")
distributed: Any = fabric("utilities.distributed")

# Callbacks that read or write tensors of the module, which has none here.
_WEIGHT_CALLBACKS = (
    "StochasticWeightAveraging", "WeightAveraging", "EMAWeightAveraging", "ModelPruning", "BaseFinetuning",
    "BackboneFinetuning",
)  # fmt: skip


class GalvatronStrategy(ParallelStrategy):
    """Trains a GalvatronModule under a plan of Galvatron's: Trainer(strategy=GalvatronStrategy(...)).

    The plan is given, searched or made of one strategy for all layers; StrategyOptions has all options, with the names
    of the strategy for Galvatron-2 too. A DataLoader is as in any distributed training: its batch is that of one
    data-parallel rank of the first layer, and Lightning's distributed sampler divides the data.

    `checkpoint`: "sharded" (a folder, each rank writes its part, any plan goes on from it) or "full" (one file with
    whole tensors, as other strategies write it).
    """

    strategy_name = "galvatron"

    def __init__(
        self,
        model_type: str | None = None,
        hp_config: Any = None,
        *,
        checkpoint: str = "sharded",
        accelerator: Any = None,
        parallel_devices: list[torch.device] | None = None,
        cluster_environment: Any = None,
        checkpoint_io: Any = None,
        precision_plugin: Any = None,
        process_group_backend: str | None = None,
        join_timeout: int = 300,
        step_timeout: int = 45,
        io_timeout: int = 1800,
        **options: Unpack[StrategyOptions],
    ) -> None:
        self._flag = DEFAULT
        super().__init__(
            accelerator=accelerator,
            parallel_devices=parallel_devices,
            cluster_environment=cluster_environment,
            checkpoint_io=checkpoint_io,
            precision_plugin=precision_plugin,
        )
        if checkpoint not in ("sharded", "full"):
            raise ConfigError(f'[lightning] checkpoint is "sharded" or "full", not {checkpoint!r}')
        self.settings = read_options({"model_type": model_type, "hp_config": hp_config, **options})
        self.num_nodes = 1
        self._full_checkpoints = checkpoint == "full"
        self._backend = process_group_backend
        self._timeouts = {"join_timeout": join_timeout, "step_timeout": step_timeout, "io_timeout": io_timeout}
        self._runner: core.StepRunner | None = None
        self._owner: GalvatronModule | None = None  # whose weights the runner has
        self._run = ""
        self.plan: Plan | None = None
        """The plan, once setup has made it."""
        self._loss: Tensor | None = None  # of the step under way
        self._applied: Translated | None = None
        self._warned = False

    # --- what Lightning asks before there are processes ---

    is_distributed = True

    @property
    def precision_plugin(self) -> Any:
        return self._precision_plugin

    @precision_plugin.setter
    def precision_plugin(self, plugin: Any) -> None:
        """Whatever plugin the Trainer has made of its `precision`, ours takes its place."""
        if plugin is not None and not isinstance(plugin, GalvatronPrecision):
            self._flag = str(getattr(plugin, "precision", type(plugin).__name__))
            read_precision(self._flag)
        self._precision_plugin = GalvatronPrecision(self, self._flag)

    @property
    def root_device(self) -> torch.device:
        assert self.parallel_devices is not None
        return self.parallel_devices[self.local_rank]

    @property
    def num_processes(self) -> int:
        return len(self.parallel_devices or ())

    def _configure_launcher(self) -> None:
        asked = world_size_of(self.settings.plan)
        ranks = self.num_processes * self.num_nodes
        if asked is not None and asked != ranks:
            raise ConfigError(
                f"[lightning] the plan is for {asked} ranks, but devices={self.num_processes} on num_nodes="
                f"{self.num_nodes} are {ranks}: set devices to {asked}, or search a plan for {ranks} ranks"
            )
        if not self.cluster_environment.creates_processes_externally:
            self._launcher = SubprocessLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    def connect(self, model: Any) -> None:
        if not isinstance(model, GalvatronModule):
            raise ConfigError(foreign_module_sentence(type(model).__name__))
        super().connect(model)

    def set_world_ranks(self) -> None:
        if self.cluster_environment is not None:
            self.cluster_environment.set_global_rank(self.node_rank * self.num_processes + self.local_rank)
            self.cluster_environment.set_world_size(self.num_nodes * self.num_processes)
        rank_zero.rank_zero_only.rank = self.global_rank

    def setup_environment(self) -> None:
        super().setup_environment()
        self.set_world_ranks()
        backend = self._backend or distributed._get_default_process_group_backend_for_device(self.root_device)
        distributed._init_dist_connection(self.cluster_environment, backend, timeout=timedelta(minutes=30))

    # --- setup ---

    def setup(self, trainer: Any) -> None:
        self.accelerator.setup(trainer)
        module = self.lightning_module
        self._check(trainer, module)
        if self._runner is None or self._owner is not module:
            self._make_runner(module)
        self._move_extras(module)
        if trainer.state.fn == "fit":
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()
        self.barrier()

    def _check(self, trainer: Any, module: GalvatronModule) -> None:
        if module.model is None:
            raise ConfigError(
                f"[lightning] configure_model of {type(module).__name__} must call super().configure_model(): "
                "self.model is made there"
            )
        extra = [name for name, _ in module.named_parameters() if not name.startswith(checkpoints.PREFIX)]
        if extra:
            raise ConfigError(
                f"[lightning] {extra[0]} of {type(module).__name__} is no parameter of the model: only self.model is "
                "trained here"
            )
        if trainer.state.fn != "fit":
            return
        if not module.automatic_optimization:
            raise ConfigError(
                "[lightning] manual optimization is not supported: a plan runs forward and backward of a whole batch in "
                "one piece; leave automatic_optimization on and return the loss of self(batch) from training_step"
            )
        for callback in trainer.callbacks:
            names = {kind.__name__ for kind in type(callback).__mro__}
            if names & set(_WEIGHT_CALLBACKS):
                raise ConfigError(
                    f"[lightning] {type(callback).__name__} reads or writes the module's tensors, which are spread over "
                    "the ranks here; leave it away"
                )

    def _check_accumulation(self, trainer: Any) -> None:
        count = trainer.accumulate_grad_batches
        if count != 1:
            raise ConfigError(
                f"[lightning] accumulate_grad_batches={count}: the plan divides a batch into microbatches and "
                f"accumulates their gradients; give the DataLoader {count} times the batch_size and the strategy "
                f"num_microbatches={count * (self.plan.num_microbatches if self.plan else 1)}"
            )

    def _make_runner(self, module: GalvatronModule) -> None:
        self._runner = self._owner = None  # the old one's memory goes first
        spec = module.spec
        check_model(self.settings, spec)
        module_owner = getattr(module, "_galvatron_owner", None)
        owner = None if module_owner is None else module_owner()
        if owner is not None and owner is not self and owner._owner is module:
            raise ConfigError(
                "[lightning] the weights of this module are in the engine of another GalvatronStrategy: use the same "
                "Trainer, or save a checkpoint there and give it here as ckpt_path"
            )
        seed = self.broadcast(int(os.environ.get("PL_GLOBAL_SEED", module.seed)))
        self.plan = self._agreed_plan(module)
        self._run = self.broadcast(secrets.token_hex(8))
        self._runner = core.StepRunner(
            spec,
            self.plan._text(),
            json.dumps(self._launch()),
            self.root_device,
            seed,
            choose_length(self.settings, spec),
            True,
        )
        self._owner = module
        module._galvatron_owner = weakref.ref(self)
        atexit.register(_close, weakref.ref(self))
        first = module.first_weights()
        if first.folder is not None:
            note = self._runner.load_weights(first.folder)
            if note:
                rank_zero.rank_zero_warn(note)
        elif first.tensors is not None:
            self._require_alike(first.tensors)
            self._runner.assign("weights", first.tensors)

    def _agreed_plan(self, module: GalvatronModule) -> Plan:
        """Rank 0 makes it: files and searches are its own."""
        said: tuple[bool, str] = (True, "")
        if self.is_global_zero:
            try:
                precision = self.settings.precision or read_precision(self._flag)
                plan = make_plan(self.settings, module.spec, self.world_size, precision)
                self._check_precision(plan)
                plan.check(module.spec, self.world_size, choose_length(self.settings, module.spec))
                said = (True, plan._text())
            except Exception as error:
                if self.world_size == 1:
                    raise
                said = (False, str(error))
        good, text = self.broadcast(said)
        if not good:
            raise ConfigError(text)
        return Plan._of(text)

    def _check_precision(self, plan: Plan) -> None:
        """What was said explicitly must not contradict itself; the Trainer's default says nothing."""
        said = {
            "the plan": plan.precision,
            "the strategy's precision": self.settings.precision,
            f"the Trainer's precision='{self._flag}'": None if self._flag == DEFAULT else read_precision(self._flag),
        }
        found = [(who, what) for who, what in said.items() if what is not None]
        for who, what in found[1:]:
            if what != found[0][1]:
                raise ConfigError(
                    f"[lightning] {found[0][0]} is {found[0][1]}, {who} {what}; leave one of them away"
                )

    def _launch(self) -> dict[str, Any]:
        port = 0
        if self.world_size > 1:
            port = self.broadcast(_free_port() if self.is_global_zero else 0)
        return {
            "rank": self.global_rank,
            "world_size": self.world_size,
            "local_rank": self.local_rank,
            "local_world_size": self.num_processes,
            "master_addr": self.cluster_environment.main_address,
            "master_port": port,
            **self._timeouts,
        }

    def _require_alike(self, tensors: Mapping[str, Tensor]) -> None:
        print_ = [float(tensor.double().sum()) for tensor in tensors.values()]
        if self.broadcast(print_) != print_:
            raise ConfigError(
                "[lightning] the module's first weights differ from rank to rank: call seed_everything before the model "
                "is made, or load them from a folder"
            )

    def _move_extras(self, module: GalvatronModule) -> None:
        """What the user has beside the model: metrics and other modules without parameters."""
        for name, child in module.named_children():
            if name != "model":
                child.to(self.root_device)
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer.to(self.root_device))

    def setup_optimizers(self, trainer: Any) -> None:
        self._check_accumulation(trainer)
        self._reset_optimizers_and_schedulers()
        super().setup_optimizers(trainer)
        wanted = self._translate(self.optimizers[0])
        self.runner.set_optimizer(wanted.name, {**wanted.options, "weight_decay": wanted.decay.matrices})
        self.runner.set_vector_decay(wanted.decay.vectors)
        self._applied = wanted
        self._loss = None

    def _translate(self, optimizer: Any) -> Translated:
        model = self.lightning_module.model
        return translate(optimizer, model.by_name(), model.decays())

    def model_to_device(self) -> None:
        """Its tensors are shapes alone."""

    @contextmanager
    def tensor_init_context(self, empty_init: bool | None = None) -> Generator[None, None, None]:
        yield

    def teardown(self) -> None:
        """The engine stays, with the weights: validate, test and predict after a fit go on with them."""
        if self.cluster_environment is not None:
            self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        if self.accelerator is not None:
            self.accelerator.teardown()

    def on_exception(self, exception: BaseException) -> None:
        if self._runner is not None:
            self._runner.abort(str(exception).splitlines()[0] if str(exception) else type(exception).__name__)
            self._runner = self._owner = None

    @property
    def runner(self) -> core.StepRunner:
        if self._runner is None:
            raise ConfigError("[lightning] there is no engine before Trainer.fit, validate, test or predict has begun")
        return self._runner

    # --- data ---

    @property
    def data_parallel_size(self) -> int:
        """Parts into which a batch is divided: the data-parallel degree of the first layer."""
        return self.runner.num_parts

    @property
    def data_parallel_rank(self) -> int:
        """The part that this rank reads; several ranks may read the same."""
        return self.runner.part

    @property
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        return {"num_replicas": self.data_parallel_size, "rank": self.data_parallel_rank}

    # --- steps ---

    @property
    def handles_gradient_accumulation(self) -> bool:
        return True

    def run_forward(self, module: GalvatronModule, named: Mapping[str, Tensor]) -> Tensor:
        inputs = model_inputs(module, named, answers=True)
        trains = module.training and torch.is_grad_enabled() and module.trainer.training
        if not trains:
            return torch.tensor(self.runner.evaluate(inputs), device=self.root_device)
        if self._loss is not None:
            raise ConfigError(
                "[lightning] training_step called self(batch) twice: a step has one forward and backward; put the samples "
                "into one batch"
            )
        self._check_accumulation(module.trainer)
        self._check_batch(next(iter(inputs.values())).shape[0], module.trainer)
        loss = self.runner.forward_backward(inputs)
        # A leaf: what the returned loss is made of it, its gradient says.
        self._loss = torch.tensor(loss, device=self.root_device, dtype=torch.float64).to(torch.get_default_dtype())
        self._loss.requires_grad_()
        return self._loss

    def _check_batch(self, samples: int, trainer: Any) -> None:
        """Against the batch that somebody has said; the last of an epoch may be smaller."""
        wanted = self.settings.global_batch
        if wanted is None and isinstance(self.settings.plan, (Plan, str, os.PathLike, Mapping)):
            assert self.plan is not None
            wanted = None if self.settings.plan == "auto" else self.plan.global_batch
        if wanted is None:
            return
        given = samples * self.data_parallel_size
        if given > wanted or (given < wanted and trainer.fit_loop.epoch_loop.batch_idx == 0):
            parts = self.data_parallel_size
            raise ConfigError(
                f"[lightning] {samples} samples on each of {parts} data-parallel ranks are {given}, but the global batch "
                f"is {wanted}: use DataLoader(batch_size={max(1, wanted // parts)}), or a plan or global_batch of {given}"
            )

    def run_logits(self, module: GalvatronModule, named: Mapping[str, Tensor]) -> Tensor:
        inputs = model_inputs(module, named, answers=False)
        logits = self.runner.logits(inputs)
        assert logits is not None
        if module.reader.task == SEQUENCE_TO_SEQUENCE:  # without the filling up to the target's length
            length = named.get("decoder_input_ids", named.get("labels", logits[..., 0])).shape[1]
            logits = logits[:, :length]
        return logits

    def run_backward(self, backward: Callable[[], None]) -> None:
        """The gradients are there; what the user made of the loss scales them."""
        loss = self._loss
        if loss is None:
            raise ConfigError(_LOST_LOSS)
        backward()
        if loss.grad is None:
            raise ConfigError(_LOST_LOSS)
        factor = float(loss.grad)
        if factor != 1.0:
            self.runner.scale_gradients(factor)

    def update(self, optimizer: Any) -> None:
        if self._loss is None:  # training_step returned None
            return
        self._loss = None
        wanted = self._translate(optimizer)
        self._apply(wanted)
        if not self.runner.update(wanted.lr) and not self._warned:
            self._warned = True
            rank_zero.rank_zero_warn(
                f"step {self.runner.steps_done}: the loss or the gradients are not finite; such steps leave the weights "
                "as they are"
            )

    def _apply(self, wanted: Translated) -> None:
        before = self._applied
        assert before is not None
        for name, value in wanted.options.items():
            if value != before.options[name]:
                self.runner.set_optimizer_option(name, value)
        if wanted.decay.matrices != before.decay.matrices:
            self.runner.set_optimizer_option("weight_decay", wanted.decay.matrices)
        if wanted.decay.vectors != before.decay.vectors:
            self.runner.set_vector_decay(wanted.decay.vectors)
        self._applied = wanted

    def on_predict_end(self) -> None:
        """Ranks that had fewer batches take part until all are done."""
        while self.runner.logits({}) is not None:
            pass

    # --- collectives of Lightning's ---

    def barrier(self, name: str | None = None) -> None:
        if not torch.distributed.is_initialized():
            return
        if torch.distributed.get_backend() == "nccl":
            torch.distributed.barrier(device_ids=[self.root_device.index])
        else:
            torch.distributed.barrier()

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        if not torch.distributed.is_initialized():
            return obj
        box = [obj]
        torch.distributed.broadcast_object_list(box, src)
        return box[0]

    def reduce(self, tensor: Any, group: Any = None, reduce_op: Any = "mean") -> Any:
        """A sum is that over the parts of a batch, each counted once: several ranks may have read the same."""
        if not isinstance(tensor, Tensor):
            return tensor
        out = distributed._sync_ddp_if_available(tensor, group, reduce_op=reduce_op)
        is_sum = str(reduce_op).lower().split(".")[-1] == "sum"
        if group is None and is_sum and self._runner is not None:
            copies = self.world_size // self.data_parallel_size
            out = out // copies if not out.is_floating_point() else out / copies
        return out

    def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
        count = torch.tensor(int(decision), device=self.root_device)
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(count)
        return bool(count == self.world_size) if all else bool(count)

    # --- checkpoints ---

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
            raise ConfigError("[checkpoint] storage_options are for remote files; checkpoints go to a shared folder here")
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
        if "state_dict" not in checkpoint:
            raise ConfigError(f"[checkpoint] {path} is no checkpoint of Lightning's: it has no state_dict")
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
        first = next(iter(state["state"].values()), {})
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

    def __getstate__(self) -> dict[str, Any]:
        raise ConfigError("[lightning] a GalvatronStrategy cannot be copied or pickled: it holds a running engine")


_LOST_LOSS = (
    "[lightning] what training_step returned does not depend on self(batch).loss: call self(batch) once in training mode "
    "and return its loss, or something made of it"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _close(strategy: weakref.ref[GalvatronStrategy]) -> None:
    """Before the interpreter goes: rank 0 serves the others' store until they have left."""
    held = strategy()
    if held is not None:
        held._runner = held._owner = None


def register() -> None:
    """strategy="galvatron": Lightning has no entry point for strategies, so importing does it."""
    registry = part("strategies").StrategyRegistry
    if "galvatron" not in registry:
        registry.register("galvatron", GalvatronStrategy, description="Automatic hybrid parallelism by Galvatron")

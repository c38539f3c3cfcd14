"""GalvatronStrategy: a Trainer's steps run on Galvatron's engine, one rank of it in every process."""

from __future__ import annotations

import atexit
import gc
import itertools
import json
import os
import secrets
import socket
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
from torch import Tensor

from galvatron._binding import core
from galvatron._inputs import SEQUENCE_TO_SEQUENCE
from galvatron._plan import Plan
from galvatron.errors import ConfigError
from galvatron.lightning import checkpoints
from galvatron.lightning._lightning import part
from galvatron.lightning.arguments import (
    StrategyOptions,
    check_model,
    choose_length,
    make_plan,
    read_options,
    world_size_of,
)
from galvatron.lightning.batches import model_inputs
from galvatron.lightning.checkpointing import Checkpointing
from galvatron.lightning.module import GalvatronModule, foreign_module_sentence
from galvatron.lightning.optimizers import Translated, translate
from galvatron.lightning.precision import DEFAULT, GalvatronPrecision, read_precision
from galvatron.lightning.rank_strategy import RankStrategy

if TYPE_CHECKING:
    from typing_extensions import Unpack

SubprocessLauncher: Any = part("strategies.launchers.subprocess_script")._SubprocessScriptLauncher
rank_zero: Any = part("utilities.rank_zero")

# Callbacks that read or write tensors of the module, which has none here.
_WEIGHT_CALLBACKS = (
    "StochasticWeightAveraging", "WeightAveraging", "EMAWeightAveraging", "ModelPruning", "BaseFinetuning",
    "BackboneFinetuning",
)  # fmt: skip


class GalvatronStrategy(Checkpointing, RankStrategy):
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
        self.settings = read_options(options)
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
        return self._precision_plugin or GalvatronPrecision(self, self._flag)

    @precision_plugin.setter
    def precision_plugin(self, plugin: Any) -> None:
        """Whatever plugin the Trainer has made of its `precision`, ours takes its place."""
        self._precision_plugin = None  # as long as there is none, the Trainer makes one of its flag
        if plugin is None:
            return
        if not isinstance(plugin, GalvatronPrecision):
            self._flag = str(getattr(plugin, "precision", type(plugin).__name__))
            read_precision(self._flag)
        self._precision_plugin = GalvatronPrecision(self, self._flag)

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
                "[lightning] manual optimization is not supported: a plan runs forward and backward of a whole batch "
                "in one piece; leave automatic_optimization on and return the loss of self(batch) from training_step"
            )
        for callback in trainer.callbacks:
            names = {kind.__name__ for kind in type(callback).__mro__}
            if names & set(_WEIGHT_CALLBACKS):
                raise ConfigError(
                    f"[lightning] {type(callback).__name__} reads or writes the module's tensors, which are spread "
                    "over the ranks here; leave it away"
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
        self._runner = self._owner = None
        self._leave_engines()
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
        _engines[next(_numbers)] = (weakref.ref(self), self._runner)
        first = module.first_weights()
        if first.folder is not None:
            note = self._runner.load_weights(first.folder)
            if note:
                rank_zero.rank_zero_warn(note)
        elif first.tensors is not None:
            self._require_alike(first.tensors)
            self._runner.assign("weights", first.tensors)

    def _leave_engines(self) -> None:
        """The one of this strategy, and those of Trainers that are gone, on all ranks: their memory goes first."""
        gc.collect()
        gone = {number for number, (owner, _) in _engines.items() if owner() in (None, self)}
        if torch.distributed.is_initialized():
            of_ranks: list[Any] = [None] * self.world_size
            torch.distributed.all_gather_object(of_ranks, gone)
            gone = set.intersection(*of_ranks)
        for number in sorted(gone):
            del _engines[number]

    def _agreed_plan(self, module: GalvatronModule) -> Plan:
        """Rank 0 makes it: files and searches are its own."""
        said: tuple[bool, Any] = (True, {})
        if self.is_global_zero:
            try:
                precision = self.settings.precision or read_precision(self._flag)
                plan = make_plan(self.settings, module.spec, self.world_size, precision)
                self._check_precision(plan)
                plan.check(module.spec, self.world_size, choose_length(self.settings, module.spec))
                said = (True, plan.to_dict())
            except Exception as error:
                if self.world_size == 1:
                    raise
                said = (False, str(error))
        good, text = self.broadcast(said)
        if not good:
            raise ConfigError(text)
        return Plan.from_dict(text)

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
                raise ConfigError(f"[lightning] {found[0][0]} is {found[0][1]}, {who} {what}; leave one of them away")

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
                "[lightning] the module's first weights differ from rank to rank: call seed_everything before the "
                "model is made, or load them from a folder"
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
            for number in [number for number, (owner, _) in _engines.items() if owner() is self]:
                del _engines[number]
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
    def copies_of_a_part(self) -> int:
        return self.world_size // self.data_parallel_size if self._runner is not None else 1

    @property
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        return {"num_replicas": self.data_parallel_size, "rank": self.data_parallel_rank}

    # --- steps ---

    @property
    def handles_gradient_accumulation(self) -> bool:
        return True

    def run_forward(self, module: GalvatronModule, named: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None, int]:
        """The loss; and, where nothing is learned from it, the part of the labels that were foretold and how many
        counted on all ranks."""
        inputs = model_inputs(module, named, answers=True)
        trains = module.training and torch.is_grad_enabled() and module.trainer.training
        if not trains:
            loss, accuracy, labels = self.runner.evaluate(inputs)
            on_device = [torch.tensor(value, device=self.root_device) for value in (loss, accuracy)]
            return on_device[0], on_device[1], int(labels)
        if self._loss is not None:
            raise ConfigError(
                "[lightning] training_step called self(batch) twice: a step has one forward and backward; put the "
                "samples into one batch"
            )
        self._check_accumulation(module.trainer)
        self._check_batch(next(iter(inputs.values())).shape[0], module.trainer)
        mean = self.runner.forward_backward(inputs)
        # A leaf: what the returned loss is made of it, its gradient says.
        self._loss = torch.tensor(mean, device=self.root_device, dtype=torch.float64).to(torch.get_default_dtype())
        self._loss.requires_grad_()
        return self._loss, None, 0

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
                f"[lightning] {samples} samples on each of {parts} data-parallel ranks are {given}, but the global "
                f"batch is {wanted}: use DataLoader(batch_size={max(1, wanted // parts)}), or a plan or global_batch "
                f"of {given}"
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
                f"step {self.runner.steps_done}: the loss or the gradients are not finite; such steps leave the "
                "weights as they are"
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

    def __getstate__(self) -> dict[str, Any]:
        raise ConfigError("[lightning] a GalvatronStrategy cannot be copied or pickled: it holds a running engine")


_LOST_LOSS = (
    "[lightning] what training_step returned does not depend on self(batch).loss: call self(batch) once in training "
    "mode and return its loss, or something made of it"
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


# Engines by number, alike on all ranks, and whose they are. Who leaves an engine waits for its other ranks, so all
# it at one place of their programs. When Python happens to collect a Trainer is another one on each rank.
_engines: dict[int, tuple[weakref.ref[GalvatronStrategy], core.StepRunner]] = {}
_numbers = itertools.count()


@atexit.register
def _leave_all() -> None:
    """Before the interpreter goes: rank 0 serves the others' store until they have left."""
    for strategy in [owner() for owner, _ in _engines.values()]:
        if strategy is not None:
            strategy._runner = strategy._owner = None
    _engines.clear()


def register() -> None:
    """strategy="galvatron": Lightning has no entry point for strategies, so importing does it."""
    registry = part("strategies").StrategyRegistry
    if "galvatron" not in registry:
        registry.register("galvatron", GalvatronStrategy, description="Automatic hybrid parallelism by Galvatron")

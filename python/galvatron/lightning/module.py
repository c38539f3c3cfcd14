"""A LightningModule of any family of ours: under GalvatronStrategy its weights live in the engine, spread as the plan
says; under any other strategy it is a plain torch module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from galvatron import _model
from galvatron._binding import core, planner
from galvatron._inputs import IGNORED_LABEL, IMAGE_CLASSES, NEXT_TOKEN, InputReader, named_batch
from galvatron._model import Model
from galvatron._options import ModelNumbers, to_json
from galvatron._specs import spec_of
from galvatron.errors import ConfigError
from galvatron.lightning._lightning import pytorch

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from galvatron.lightning.strategy import GalvatronStrategy

LightningModule: Any = pytorch.LightningModule


class StepOutput(Mapping[str, Tensor]):
    """What a call of the module gives: `.loss`, also as ["loss"]; where nothing is learned from it also `.accuracy`,
    the part of the labels that the model foretold, and `.num_labels`, how many labels both are of."""

    def __init__(self, loss: Tensor, accuracy: Tensor | None = None, num_labels: int = 0) -> None:
        self.num_labels = num_labels
        self._items = {"loss": loss} | ({} if accuracy is None else {"accuracy": accuracy})

    def __getitem__(self, name: str) -> Tensor:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def loss(self) -> Tensor:
        return self._items["loss"]

    def __getattr__(self, name: str) -> Any:
        if name == "logits":
            raise AttributeError("a call gives the loss; logits are self.logits(batch), in evaluation and prediction")
        if name == "accuracy":
            if name in self._items:
                return self._items[name]
            raise AttributeError("a training step has no accuracy; a call in evaluation has")
        raise AttributeError(f"StepOutput has no attribute '{name}'")


class GalvatronModule(LightningModule):
    """A model with transformers' parameter names in `self.model`, trained on batches of transformers' input names.

    Subclass it and override what you like: training_step, validation_step, test_step, predict_step,
    configure_optimizers and every hook run as in any LightningModule. In training_step call `self(batch)` once and
    return its `.loss`, or something made of it: under GalvatronStrategy the call runs forward and backward of the whole
    batch through the pipeline, and the gradients are scaled as the returned loss says.

    `model`: a Hugging Face folder, whose weights are the first ones; a preset, config.json, configuration dict or
    transformers configuration, with random weights; or a Model or transformers model, with the weights that it has.
    Without one, that of the strategy's model_type and model_size.
    `lr`, `weight_decay`: of the AdamW that configure_optimizers makes where it is not overridden.
    `seed`: of random weights and dropout, where the weights are not given.
    `numbers`: of a model other than its config says, such as num_layers=4.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        lr: float = 3e-4,
        weight_decay: float = 0.1,
        seed: int = 1234,
        **numbers: Unpack[ModelNumbers],
    ) -> None:
        super().__init__()
        self._given = _Given(model)
        self._numbers = numbers
        self._spec: planner.ModelSpec | None = None
        self._reader: InputReader | None = None
        self.lr = lr
        self.weight_decay = weight_decay
        self.seed = seed
        self.model: Model | None = None
        self._totals: dict[tuple[str, int], tuple[float, int]] = {}

    @classmethod
    def from_hf(cls, model: Any, **options: Any) -> Self:
        """The module of a folder, configuration, preset or transformers model: GalvatronModule(model)."""
        return cls(model, **options)

    @property
    def spec(self) -> planner.ModelSpec:
        if self._spec is None:
            source = self._given.config
            strategy = self._engine_strategy()
            if source is None and strategy is not None:
                source = strategy.settings.model
            if source is None:
                raise ConfigError(
                    "[lightning] GalvatronModule needs a model: a Hugging Face folder, a configuration or a preset; or "
                    "give the strategy a model_type"
                )
            self._spec = planner.with_numbers(spec_of(source), to_json(self._numbers))
        return self._spec

    @property
    def reader(self) -> InputReader:
        if self._reader is None:
            self._reader = InputReader(self.spec)
        return self._reader

    # --- what Lightning calls ---

    def configure_model(self) -> None:
        if self.model is not None:
            return
        if self._engine_strategy() is not None:  # shapes alone: the engine makes what a rank holds
            self.model = Model(core.OneRankModel(self.spec, self.seed), torch.float32, torch.device("meta"))
            return
        self.model = self._plain_model().train()

    def configure_optimizers(self) -> Any:
        assert self.model is not None
        decays = self.model.decays()
        groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in self.model.by_name().items():
            groups[decays[name]].append(parameter)
        return torch.optim.AdamW(
            [
                {"params": groups[True], "weight_decay": self.weight_decay},
                {"params": groups[False], "weight_decay": 0.0},
            ],
            lr=self.lr,
        )

    def forward(self, batch: Any = None, /, **inputs: Any) -> StepOutput:
        """The mean loss over the labels of a batch, of all ranks together: a mapping of input names, a tuple in their
        order, or keywords. Labels of next-token models are the tokens where they are missing.

        In training_step its gradients are made on the way; elsewhere nothing is kept."""
        named = self._named(inputs if batch is None else batch)
        if self.reader.task == NEXT_TOKEN and "input_ids" in named:
            named.setdefault("labels", named["input_ids"])
        strategy = self._engine_strategy()
        if strategy is not None:
            return StepOutput(*strategy.run_forward(self, named))
        found = self._plain()(**named)
        return StepOutput(found.loss, *(() if self.training else self._accuracy(found.logits, named)))

    def logits(self, batch: Any = None, /, **inputs: Any) -> Tensor:
        """Of the samples of this rank's batch, without gradients: [samples, tokens, vocabulary] or [samples, classes].
        Every rank must call it."""
        named = self._named(inputs if batch is None else batch)
        strategy = self._engine_strategy()
        if strategy is not None:
            return strategy.run_logits(self, named)
        if "decoder_input_ids" in self.reader.names and "decoder_input_ids" not in named and "labels" in named:
            named["decoder_input_ids"] = self.reader.shifted_right(named["labels"])
        named.pop("labels", None)
        with torch.no_grad():
            return self._plain()(**named)["logits"]

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self(batch).loss
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return self._evaluation_step("val", batch, dataloader_idx)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return self._evaluation_step("test", batch, dataloader_idx)

    def on_validation_epoch_start(self) -> None:
        self._totals.clear()

    def on_test_epoch_start(self) -> None:
        self._totals.clear()

    def on_validation_epoch_end(self) -> None:
        self._log_perplexity("val")

    def on_test_epoch_end(self) -> None:
        self._log_perplexity("test")

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        return self.logits(batch)

    # --- beside the loop; every rank must call them ---

    def gradient_norm(self) -> float:
        """Of all gradients, each element once: for on_before_optimizer_step."""
        strategy = self._engine_strategy()
        if strategy is not None:
            return float(strategy.runner.gradient_norm())
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def save_pretrained(self, folder: str | PathLike[str], tokenizer: str | PathLike[str] = "") -> None:
        """A folder that transformers loads: the weights as they are now, in fp32 under GalvatronStrategy.

        `tokenizer`: a tokenizer.json or a folder whose tokenizer files are copied."""
        strategy = self._engine_strategy()
        if strategy is not None:
            strategy.runner.export_weights(folder, tokenizer)
        else:
            self._plain().save(folder, tokenizer)

    # --- inside ---

    def _engine_strategy(self) -> GalvatronStrategy | None:
        from galvatron.lightning.strategy import GalvatronStrategy

        trainer = self._trainer if getattr(self, "_trainer", None) is not None else None
        strategy = None if trainer is None else trainer.strategy
        return strategy if isinstance(strategy, GalvatronStrategy) else None

    def _evaluation_step(self, stage: str, batch: Any, loader: int) -> Tensor:
        """What is logged is the mean over the labels of all batches, not over batches."""
        found = self(batch)
        labels = found.num_labels
        self.log(f"{stage}_loss", found.loss, prog_bar=stage == "val", batch_size=labels)
        self.log(f"{stage}_accuracy", found.accuracy, batch_size=labels)
        loss, count = self._totals.get((stage, loader), (0.0, 0))
        self._totals[stage, loader] = (loss + float(found.loss) * labels, count + labels)
        return found.loss

    def _log_perplexity(self, stage: str) -> None:
        """exp of the mean loss of all labels, of models of text."""
        if self.reader.task == IMAGE_CLASSES:
            return
        several = any(loader > 0 for _, loader in self._totals)
        for (kind, loader), (loss, labels) in self._totals.items():
            if kind == stage and labels > 0:
                name = f"{stage}_perplexity" + (f"/dataloader_idx_{loader}" if several else "")
                self.log(name, torch.tensor(loss / labels, dtype=torch.float64).exp().float())

    def _accuracy(self, logits: Tensor, named: Mapping[str, Tensor]) -> tuple[Tensor, int]:
        """And how many labels count."""
        read = self.reader.read(dict(named))
        labels = read.get("labels", read.get("classes"))
        assert labels is not None
        labels = labels.to(logits.device)
        counts = labels != IGNORED_LABEL
        return ((logits.argmax(-1) == labels) & counts).sum() / counts.sum(), int(counts.sum())

    def _named(self, batch: Any) -> dict[str, Tensor]:
        return named_batch(batch, self.reader.names)

    def _plain(self) -> Model:
        if self.model is None:
            self.configure_model()
        assert self.model is not None
        if next(self.model.parameters()).is_meta:
            raise ConfigError(
                "[lightning] the weights of this module are in the engine of a GalvatronStrategy: use the same "
                "Trainer, or save them by save_pretrained and make a new module of the folder"
            )
        return self.model

    def _plain_model(self) -> Model:
        if isinstance(self._given.source, Model):
            return self._given.source
        dtype = torch.get_default_dtype()
        if self._given.is_folder:
            return _model.load(self._given.source, dtype, seed=self.seed, **self._numbers)
        model = Model(core.OneRankModel(self.spec, self.seed), dtype, torch.device("cpu"))
        if self._given.tensors is not None:
            model.load_state_dict(self._given.tensors(model))
        return model

    def first_weights(self) -> FirstWeights:
        """What the engine starts from."""
        assert self.model is not None
        if not next(self.model.parameters()).is_meta:  # trained under another strategy, or put there by the user
            tensors = _by_name(self.model, self.model.state_dict())
            self.model = Model(core.OneRankModel(self.spec, self.seed), torch.float32, torch.device("meta"))
            return FirstWeights(tensors=tensors)
        if self._given.is_folder:
            return FirstWeights(folder=self._given.source)
        if self._given.tensors is not None:
            return FirstWeights(tensors=_by_name(self.model, self._given.tensors(self.model)))
        return FirstWeights()


class FirstWeights:
    """A folder, or tensors by their first names, or neither: then they are drawn."""

    def __init__(self, folder: Any = None, tensors: dict[str, Tensor] | None = None) -> None:
        self.folder = folder
        self.tensors = tensors


class _Given:
    """The `model` argument: where its configuration and its weights come from."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.is_folder = not isinstance(source, nn.Module) and _model.weights_folder(source) is not None
        if isinstance(source, nn.Module) and not isinstance(source, Model) and not hasattr(source, "config"):
            raise ConfigError(foreign_module_sentence(type(source).__name__))

    @property
    def config(self) -> Any:
        if isinstance(self.source, nn.Module) and not isinstance(self.source, Model):
            return self.source.config
        return self.source

    @property
    def tensors(self) -> Any:
        """Whole tensors for a model that has their names."""
        if not isinstance(self.source, nn.Module):
            return None

        def pick(model: Model) -> dict[str, Tensor]:
            theirs = self.source.state_dict()
            wanted = model.state_dict()
            missing = sorted(set(wanted) - set(theirs))
            if missing:
                raise ConfigError(
                    f"[lightning] {type(self.source).__name__} has no {missing[0]}, which a model of its configuration "
                    "has: give the model with the head of its task"
                )
            return {name: theirs[name] for name in wanted}

        return pick


def _by_name(model: Model, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: state[name] for name in model.by_name()}


def foreign_module_sentence(name: str) -> str:
    return (
        f"[lightning] {name} is no GalvatronModule: a plan needs to know the model's layers. What works are models of "
        "the families gpt (GPT-2), llama (LLaMA, Mistral, Qwen), bert, t5, vit and swin: "
        "GalvatronModule.from_hf(folder, configuration or transformers model), or a subclass of GalvatronModule with "
        "your training_step"
    )

"""A model as one torch module on one device."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from galvatron._binding import core, planner
from galvatron._inputs import InputReader
from galvatron._options import ModelNumbers, described, to_json
from galvatron._records import Record
from galvatron._specs import preset_names, spec_of
from galvatron.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ModelConfig(dict[str, Any]):
    """A Hugging Face configuration, whose keys are attributes, too: transformers.Trainer reads and sets them."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"the configuration has no '{name}'")
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        return dict(self)


class ModelOutput(Record):
    """What a call of a Model gives: tensors that carry gradients, by name and as attributes."""

    __slots__ = ()
    loss: Tensor
    """Scalar: the mean cross entropy over the labels that count. Only where there were labels."""
    logits: Tensor
    """[B, T, vocabulary] or [B, classes]."""

    @classmethod
    def _names(cls) -> list[str]:
        return []  # nothing stands for a loss that is not there

    def _words(self) -> str:
        loss = f"loss {self.loss.item():.4f}, " if "loss" in self else ""
        return f"{loss}logits {list(self.logits.shape)}"


class Model(nn.Module):
    """A whole model whose parameters have transformers' names and shapes. Made by from_pretrained() or load().

    A call takes the family's inputs by keyword and returns a ModelOutput, `out.loss` or `out["loss"]`:

    - ``input_ids`` int64 [B, T], ``labels`` int64 [B, T] as in transformers: equal to input_ids for next-token models
      (the shift happens inside); -100 does not count;
    - ``attention_mask`` int64 [B, T]: 0 is padding, which nothing sees; 2 and more are further texts of a packed
      sample;
    - ``position_ids`` int64 [B, T]: where they start anew another text begins, for a next-token model without a mask;
    - T5 also takes ``decoder_input_ids`` [B, U]; without them they are the labels [B, U] shifted right;
    - vision models take ``pixel_values`` [B, channels, height, width] and ``labels`` int64 [B].

    It holds ``logits``, [B, T, vocabulary] or [B, classes], and with labels ``loss``, the mean cross entropy over the
    labels that count (a scalar, fp32, or fp64 for a model in fp64). ConfigError for an input that is missing, that the
    family does not take, or of a wrong shape.

    It is a torch module in every other respect: parameters(), state_dict(), to(), train() and eval() are torch's.
    Dropout is on after train() and draws a new mask for each call.
    """

    def __init__(self, model: core.OneRankModel, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self._model = model
        self._reader = InputReader(model.spec)
        self._samples_seen = 0
        self._origin: Path | None = None  # the folder that the weights are from
        made = model.make_parameters(dtype, device)
        self._names = [name for name, _, _ in made]
        for name, aliases, value in _in_module_order(made):
            parameter = nn.Parameter(value)
            for place in [name, *aliases]:
                _place(self, place, parameter)

    @property
    def spec(self) -> planner.ModelSpec:
        return self._model.spec

    @property
    def config(self) -> ModelConfig:
        """A copy of the Hugging Face configuration that the model was made from."""
        return ModelConfig(json.loads(self.spec.config))

    if TYPE_CHECKING:

        def __call__(
            self,
            *,
            input_ids: Tensor | None = None,
            attention_mask: Tensor | None = None,
            token_type_ids: Tensor | None = None,
            decoder_input_ids: Tensor | None = None,
            decoder_attention_mask: Tensor | None = None,
            position_ids: Tensor | None = None,
            pixel_values: Tensor | None = None,
            labels: Tensor | None = None,
        ) -> ModelOutput: ...

    # transformers.Trainer takes from these names which columns of a dataset the model is given.
    def forward(
        self,
        *,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> ModelOutput:
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": decoder_attention_mask,
            "position_ids": position_ids,
            "pixel_values": pixel_values,
            "labels": labels,
        }
        parameters = self._tensors()
        device, dtype = parameters[0].device, parameters[0].dtype
        batch = {kind: value.to(device) for kind, value in self._reader.read(inputs).items()}
        if "images" in batch:
            batch["images"] = batch["images"].to(dtype)
        labels = batch.pop("labels", batch.pop("classes", None))
        logits = self._model.logits(parameters, batch, self._samples_seen, self.training)
        if self.training:
            self._samples_seen += logits.shape[0]
        if labels is None:
            return ModelOutput(logits=logits)
        return ModelOutput(loss=_mean_loss(logits, labels), logits=logits)

    @property
    def input_kinds(self) -> list[str]:
        """Kinds of input that the layers take (_inputs.py)."""
        return self._model.input_kinds

    def by_name(self) -> dict[str, nn.Parameter]:
        """The parameters by transformers' names, tied ones once."""
        return {name: self.get_parameter(name) for name in self._names}

    def _tensors(self) -> list[Tensor]:
        return list(self.by_name().values())

    def decays(self) -> dict[str, bool]:
        """By name: does weight decay act on the parameter, where nobody says otherwise? Not on biases and norms."""
        return dict(zip(self._names, self._model.decays, strict=True))

    def save_pretrained(self, folder: str | PathLike[str], tokenizer: Any = None) -> None:
        """Writes a folder that from_pretrained loads, ours and transformers': weights in the type that they have.

        `tokenizer`: a tokenizer.json, a folder whose tokenizer files are copied, or a tokenizer of transformers';
        default: that of the folder which the model came from, where there was one. The folder appears whole or not at
        all; it replaces an earlier export, and nothing else (ConfigError).
        """
        if not hasattr(tokenizer, "save_pretrained"):
            is_there = self._origin is not None and self._origin.is_dir()
            self._save(folder, (self._origin if is_there else None) if tokenizer is None else tokenizer)
            return
        with tempfile.TemporaryDirectory(prefix="galvatron-") as scratch:
            tokenizer.save_pretrained(scratch)
            self._save(folder, scratch)

    save = save_pretrained

    def _save(self, folder: str | PathLike[str], tokenizer: str | PathLike[str] | None) -> None:
        self._model.save(self._tensors(), folder, tokenizer or "")

    def __repr__(self) -> str:
        first = next(self.parameters())
        spec = self.spec
        numbers = f"{spec.num_params:,} parameters in {spec.num_layers} layers"
        return f"<Model {spec.name}: {numbers}, {str(first.dtype).removeprefix('torch.')} on {first.device}>"

    def __str__(self) -> str:
        """The parameters too, those of equal blocks in one line."""
        shapes: dict[tuple[str, tuple[int, ...]], list[str]] = {}
        for name in self._names:
            place = (re.sub(r"\.\d+\.", ".*.", name), tuple(self.get_parameter(name).shape))
            shapes.setdefault(place, []).append(name)
        lines = [repr(self)]
        for (name, shape), all_names in shapes.items():
            lines.append(f"  {name} {list(shape)}" + (f" x {len(all_names)}" if len(all_names) > 1 else ""))
        return "\n".join(lines)

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        parameters = self._tensors()
        twin = Model(self._model, parameters[0].dtype, parameters[0].device)
        twin.load_state_dict(self.state_dict())
        twin.train(self.training)
        twin._samples_seen = self._samples_seen
        twin._origin = self._origin
        memo[id(self)] = twin
        return twin


@described(planner.model_options())
def load(
    model: str | PathLike[str] | Mapping[str, Any] | Any,
    dtype: torch.dtype = torch.float32,
    *,
    device: str | torch.device = "cpu",
    seed: int = 1234,
    **numbers: Unpack[ModelNumbers],
) -> Model:
    """A model in evaluation mode: weights of a folder as from_pretrained() loads them, or random ones.

    `model` is a folder with config.json and safetensors (its weights are loaded, whatever their type), or a preset
    name, a config.json, a configuration dict or a transformers config: then weights are random, each element a function
    of `seed`, the parameter's name and its index, the same from which training starts.
    `numbers`: of a model other than its config says, such as num_layers=4 (ModelNumbers).
    `dtype`: of weights and compute: torch.float32, float64, bfloat16 or float16.

    ConfigError for an unknown family, a feature that we do not have, a shard that is missing or damaged, tensors that
    are missing, unexpected or of a wrong shape or type.
    """
    return _load(model, dtype, device, seed, numbers)


def from_pretrained(
    folder: str | PathLike[str], dtype: torch.dtype = torch.float32, *, device: str | torch.device = "cpu"
) -> Model:
    """The model of a Hugging Face folder (config.json and safetensors) with its weights, in evaluation mode.

    Its tokenizer is kept in mind for save_pretrained(). Nothing is downloaded: of a model of the hub,
    `huggingface_hub.snapshot_download(name)` gives the folder. load() is the same, and makes random weights of a preset
    or a config.json, too.

    ConfigError as for load(), and for what is no folder.
    """
    if weights_folder(folder) is None:
        raise ConfigError(_no_folder(folder))
    return _load(folder, dtype, device, 0, {})


def _load(
    model: Any, dtype: torch.dtype, device: str | torch.device, seed: int, numbers: Mapping[str, object]
) -> Model:
    spec = planner.with_numbers(spec_of(model), to_json(numbers))
    made = Model(core.OneRankModel(spec, seed), dtype, torch.device(device))
    folder = weights_folder(model)
    if folder is not None:
        if note := made._model.load(made._tensors(), folder):
            warnings.warn(note, stacklevel=3)
        made._origin = folder
    return made.eval()


def weights_folder(model: object) -> Path | None:
    if not isinstance(model, (str, PathLike)):
        return None
    folder = Path(model)
    # A folder of a preset's name is somebody's own where it has a configuration (spec::load_model).
    if not folder.is_dir() or (str(model) in preset_names() and not (folder / "config.json").exists()):
        return None
    # Of these the reader of weights says what to do.
    others = (
        "adapter_config.json",
        "*.h5",
        "*.msgpack",
        "checkpoint.json",
        "snapshots",
        "*.bin",
        "*.gguf",
        "*.pth",
        "*.pt",
    )
    if not any(any(folder.glob(pattern)) for pattern in ("*.safetensors*", *others)):
        raise ConfigError(
            f"[weights] {folder} holds no safetensors; for random weights name its file: {folder / 'config.json'}"
        )
    return folder


def _no_folder(given: object) -> str:
    if not isinstance(given, (str, PathLike)):
        return f"[weights] from_pretrained needs a folder with config.json and safetensors, not {given!r}"
    if str(given) in preset_names():
        way_out = f"a preset has no weights; load({str(given)!r}) makes random ones"
    elif Path(given).exists():
        way_out = "it is a file; load() makes a model with random weights of a config.json"
    else:
        way_out = f"of a model of the hub, huggingface_hub.snapshot_download({str(given)!r}) gives it"
    return f"[weights] '{given}' is no folder with config.json and safetensors: {way_out}"


def _in_module_order(made: list[tuple[str, list[str], Tensor]]) -> list[tuple[str, list[str], Tensor]]:
    """As transformers' modules have them, so that states of torch's optimizers, which know parameters by their number,
    belong to either: LLaMA's and T5's norms are behind what they stand in front of."""
    first_of_block: dict[str, int] = {}

    def key(numbered: tuple[int, tuple[str, list[str], Tensor]]) -> tuple[int, bool]:
        number, (name, _, _) = numbered
        block = re.match(r".*\.\d+\.", name)
        place = number if block is None else first_of_block.setdefault(block[0], number)
        return place, bool(re.search(r"layernorm|layer_norm", name))

    return [one for _, one in sorted(enumerate(made), key=key)]


def _place(root: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Registers "transformer.h.0.ln_1.weight" as torch names it: modules inside modules."""
    *path, leaf = name.split(".")
    module = root
    for part in path:
        if part not in module._modules:
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    module.register_parameter(leaf, parameter)


def _mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return nn.functional.cross_entropy(wide.flatten(0, -2), labels.flatten())

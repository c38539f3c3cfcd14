"""Small random Hugging Face models of every family we train, and what transformers computes with them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from pathlib import Path
from unittest import mock

import single_precision
import torch
import transformers
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BertConfig,
    DeiTConfig,
    DistilBertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MT5Config,
    Olmo2Config,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    RobertaConfig,
    SwinConfig,
    T5Config,
    ViTConfig,
)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

torch.set_num_threads(single_precision.THREADS)  # one: the models are too small to share out

NUM_STEPS, NUM_BATCHES = 20, 2
BATCH, SEQ_LENGTH = 4, 23
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.1

_GPT = {
    "n_positions": 32, "n_embd": 48, "n_layer": 2, "n_head": 4,
    "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
_LLAMA = {
    "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "vocab_size": 64, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip

_NEOX = {
    "hidden_size": 48, "intermediate_size": 50, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 32, "vocab_size": 61,
}  # fmt: skip
_GEMMA = {**_LLAMA, "head_dim": 12, "pad_token_id": 5}


_BERT = {
    "vocab_size": 61, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 50,
    "max_position_embeddings": 32, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
_T5 = {
    "vocab_size": 61, "d_model": 48, "d_kv": 10, "d_ff": 50, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}  # fmt: skip


_DISTILBERT = {
    "vocab_size": 61, "dim": 48, "n_layers": 2, "n_heads": 4, "hidden_dim": 50, "max_position_embeddings": 32,
    "dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip
_VIT = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 50, "image_size": 12,
    "patch_size": 3, "layer_norm_eps": 1e-6,
}  # fmt: skip
# A grid of 7 x 9 tokens and then one of 4 x 5, in windows of 3 x 3: padding, shifts and an odd merge.
_SWIN = {
    "embed_dim": 24, "depths": [2, 1], "num_heads": [4, 8], "image_size": [14, 17], "patch_size": 2, "window_size": 3,
    "mlp_ratio": 1.5, "drop_path_rate": 0.0,
}  # fmt: skip


def _rope(rope_type: str, **settings: float) -> dict[str, object]:
    return {"rope_type": rope_type, "rope_theta": 10000.0, "factor": 4.0, **settings}


def _preset(name: str, **changes: float) -> PretrainedConfig:
    path = Path(__file__).resolve().parents[2] / f"configs/models/{name}.json"
    return AutoConfig.for_model(**{**json.loads(path.read_text()), **changes})


CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(**_GPT, vocab_size=64),
    "gpt2-odd-vocabulary": GPT2Config(**_GPT, vocab_size=61, n_inner=50, activation_function="gelu"),
    "gpt2-untied": GPT2Config(**_GPT, vocab_size=61, tie_word_embeddings=False),
    "llama": LlamaConfig(**_LLAMA),
    "llama-tied": LlamaConfig(**_LLAMA, tie_word_embeddings=True, rope_theta=500.0, head_dim=16),
    "llama-biases": LlamaConfig(**_LLAMA, attention_bias=True, mlp_bias=True),
    "llama-padding": LlamaConfig(**_LLAMA, pad_token_id=5),
    "llama-rope-llama3": LlamaConfig(
        **_LLAMA,
        rope_parameters=_rope("llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16),
    ),
    "llama-rope-linear": LlamaConfig(**_LLAMA, rope_parameters=_rope("linear")),
    "llama-rope-yarn": LlamaConfig(**_LLAMA, rope_parameters=_rope("yarn", original_max_position_embeddings=8)),
    "qwen2": Qwen2Config(**_LLAMA, use_sliding_window=False),
    "qwen3": Qwen3Config(**_LLAMA, head_dim=16, use_sliding_window=False),
    "mistral": MistralConfig(**_LLAMA, sliding_window=None),
    # Sequences of 23 tokens: in four blocks and a rest, and in one and a rest.
    "mistral-window": MistralConfig(**_LLAMA, sliding_window=5),
    "mistral-long-window": MistralConfig(**_LLAMA, sliding_window=17),
    "qwen2-window": Qwen2Config(**_LLAMA, use_sliding_window=True, sliding_window=6, max_window_layers=1),
    "qwen3-window": Qwen3Config(
        **_LLAMA,
        head_dim=16,
        use_sliding_window=True,
        sliding_window=1,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "phi3": Phi3Config(**_LLAMA, pad_token_id=5, sliding_window=7),
    "phi3-partial-rotary": Phi3Config(
        **_LLAMA, pad_token_id=None, partial_rotary_factor=0.75, tie_word_embeddings=True
    ),
    "phi3-longrope": Phi3Config(
        **_LLAMA,
        pad_token_id=5,
        partial_rotary_factor=0.5,
        original_max_position_embeddings=32,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0, 1.5],
            "long_factor": [2.0, 3.0],
        },
    ),
    "gpt-neox": GPTNeoXConfig(**_NEOX),
    "gpt-neox-one-by-one": GPTNeoXConfig(
        **_NEOX,
        use_parallel_residual=False,
        attention_bias=False,
        hidden_act="gelu_new",
        tie_word_embeddings=True,
        rotary_pct=0.4,
        rotary_emb_base=500,
    ),
    "olmo2": Olmo2Config(**_LLAMA),
    "olmo2-biases": Olmo2Config(**_LLAMA, attention_bias=True, tie_word_embeddings=True, pad_token_id=None),
    "gemma": GemmaConfig(**_GEMMA),
    "gemma-untied": GemmaConfig(**_GEMMA, tie_word_embeddings=False, attention_bias=True),
    "gemma2": Gemma2Config(
        **_GEMMA, sliding_window=5, query_pre_attn_scalar=7, attn_logit_softcapping=2.0, final_logit_softcapping=3.0
    ),
    "gemma2-uncapped": Gemma2Config(
        **_GEMMA, sliding_window=6, attn_logit_softcapping=None, final_logit_softcapping=None
    ),
    "gemma3": Gemma3TextConfig(**_GEMMA, sliding_window=5, sliding_window_pattern=2, query_pre_attn_scalar=7),
    "gemma3-long": Gemma3TextConfig(
        **_GEMMA,
        sliding_window=6,
        final_logit_softcapping=3.0,
        layer_types=["full_attention", "sliding_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
        },
    ),
    "preset-gpt2": _preset("gpt2-tiny"),
    "preset-llama": _preset("llama-tiny"),
    "preset-qwen2.5": _preset("qwen2.5-tiny"),
    "bert": BertConfig(**_BERT),
    "bert-untied": BertConfig(**_BERT, tie_word_embeddings=False, hidden_act="gelu_new", pad_token_id=None),
    "roberta": RobertaConfig(**{**_BERT, "max_position_embeddings": 36}, pad_token_id=3, hidden_act="relu"),
    "roberta-untied": RobertaConfig(**_BERT, tie_word_embeddings=False, type_vocab_size=1),
    "distilbert": DistilBertConfig(**_DISTILBERT),
    "distilbert-untied": DistilBertConfig(**_DISTILBERT, tie_word_embeddings=False, activation="gelu_new"),
    "t5": T5Config(**_T5),
    "t5-uneven": T5Config(**{**_T5, "num_layers": 1, "num_decoder_layers": 3}, feed_forward_proj="gated-silu"),
    "t5-v1.1": T5Config(**_T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "mt5": MT5Config(**_T5),
    "mt5-untied": MT5Config(**_T5, feed_forward_proj="gated-silu"),
    "vit": ViTConfig(**_VIT, num_labels=7),
    # Its class says itself which of two models it means.
    "deit": DeiTConfig(**_VIT, num_labels=7, architectures=["DeiTForImageClassification"]),
    "vit-uneven": ViTConfig(
        **{**_VIT, "image_size": [13, 9], "num_channels": 1}, hidden_act="gelu_new", qkv_bias=False
    ),
    "swin": SwinConfig(**_SWIN, num_labels=7),
    "swin-three-stages": SwinConfig(
        **{**_SWIN, "depths": [1, 1, 2], "num_heads": [2, 2, 4], "image_size": 24}, qkv_bias=False
    ),
    "swin-positions": SwinConfig(**{**_SWIN, "image_size": 12}, use_absolute_embeddings=True, num_channels=1),
    "preset-vit": _preset("vit-tiny"),
    "preset-swin": _preset("swin-tiny"),
    "preset-bert": _preset("bert-tiny"),
    # Attention without a scale saturates under random weights of this size: rounding alone would lead transformers'
    # own trajectory in single precision percents away from the one in double.
    "preset-t5": _preset("t5-tiny", initializer_factor=0.5),
}
# transformers 5 ties every T5 and says so when it reads one that is not, its own included.
UNTIED_T5_WARNING = "both are present in the checkpoints with different values, so we will NOT tie them"


@dataclasses.dataclass
class Numbers:
    """What is computed with a model and its first batch."""

    logits: torch.Tensor
    loss: float
    gradients: dict[str, torch.Tensor]


@dataclasses.dataclass
class Reference:
    """What transformers says about a model: the judge's side."""

    name: str
    folder: Path  # the weights, in double where the reference is
    inputs: dict[str, torch.Tensor]  # [batches, B, S]
    unread: set[str]  # parameters that the model never uses
    truth: Numbers  # in double
    single: list[Numbers]  # in single, for every order of summation; none where the reference is in double
    model: torch.nn.Module  # in single, untrained

    @property
    def double(self) -> bool:
        return not self.single

    @functools.cached_property
    def true_losses(self) -> list[float]:
        """Of NUM_STEPS AdamW steps in double."""
        return adamw_losses(lift_to_double(copy.deepcopy(self.model)), in_double(self.inputs))

    @functools.cached_property
    def single_losses(self) -> list[list[float]]:
        """Of NUM_STEPS AdamW steps in single, for every order of summation."""
        return single_precision.in_every_order(lambda: adamw_losses(copy.deepcopy(self.model), self.inputs))

    def batch(self, step: int = 0) -> dict[str, torch.Tensor]:
        return batch_of(self.inputs, step)


def auto_class(config: PretrainedConfig) -> type:
    if is_image_model(config):
        return AutoModelForImageClassification
    if is_masked_model(config):
        return AutoModelForMaskedLM
    return AutoModelForSeq2SeqLM if is_seq2seq_model(config) else AutoModelForCausalLM


def is_image_model(config: PretrainedConfig) -> bool:
    return config.model_type in ("vit", "deit", "swin")


def is_masked_model(config: PretrainedConfig) -> bool:
    return config.model_type in ("bert", "roberta", "distilbert")


def is_seq2seq_model(config: PretrainedConfig) -> bool:
    return config.model_type in ("t5", "mt5")


def stored_names(model: torch.nn.Module, folder: Path) -> dict[str, str]:
    """Name of each parameter in the checkpoint: transformers renames some when it writes. Told by their values."""
    stored = load_file(folder / "model.safetensors")

    def find(name: str, value: torch.Tensor) -> str:
        if name in stored:
            return name
        same = [key for key, other in stored.items() if other.shape == value.shape and torch.equal(other, value)]
        assert len(same) == 1, f"{name} is stored as {same}"
        return same[0]

    return {name: find(name, value.detach()) for name, value in model.named_parameters()}


def random_model(name: str) -> torch.nn.Module:
    """A model none of whose parameters is zero or one, so that a mixed-up name cannot hide."""
    torch.manual_seed(sum(map(ord, name)))
    model = auto_class(CONFIGS[name]).from_config(copy.deepcopy(CONFIGS[name]))
    if name in ("t5-v1.1", "mt5-untied"):
        # As the checkpoints of T5 v1.1 and mT5 are; a config alone no longer makes transformers do it.
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
        model.config.tie_word_embeddings = False
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def lift_to_double(model: torch.nn.Module) -> torch.nn.Module:
    """In double precision altogether: transformers keeps RMS norms, rotary tables and the softmax of written-out
    attention in single precision."""
    for module in model.double().modules():
        if type(module).__name__.endswith("RMSNorm") or type(module).__name__.endswith("T5LayerNorm"):
            module.forward = functools.partial(_rms_norm, module)
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = functools.partial(_rotary_tables, module)
        if hasattr(module, "scalar_embed_scale"):
            module.embed_scale.fill_(module.scalar_embed_scale)
    model.forward = functools.partial(_without_single, model.forward)
    return model


def _without_single(forward, *args, **kwargs):
    with mock.patch.multiple(torch, float=torch.float64, float32=torch.float64):
        return forward(*args, **kwargs)


def _rms_norm(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    gemma = type(norm).__name__.startswith("Gemma")  # whose weights are what they differ from one by
    epsilon = norm.eps if gemma else norm.variance_epsilon
    return (norm.weight + gemma) * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon))


def _rotary_tables(
    rope: torch.nn.Module, x: torch.Tensor, position_ids: torch.Tensor, layer_type: str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The frequencies by transformers' own formula, which takes them in torch.float. Gemma 3 has some for each type
    of layers."""
    rope_type = rope.rope_type[layer_type] if layer_type else rope.rope_type
    formula = ROPE_INIT_FUNCTIONS.get(rope_type, getattr(rope, "compute_default_rope_parameters", None))
    with mock.patch.multiple(torch, float=torch.float64, float32=torch.float64):
        frequencies, scale = formula(rope.config, **({"layer_type": layer_type} if layer_type else {}))
    assert frequencies.dtype == torch.float64
    own = getattr(rope, f"{layer_type}_inv_freq" if layer_type else "inv_freq")
    assert torch.allclose(frequencies, own.double(), rtol=1e-6)
    angles = position_ids[..., None].double() * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos() * scale, angles.sin() * scale


def make_reference(name: str, folder: Path, double: bool = False) -> Reference:
    model = random_model(name)
    inputs = random_inputs(model.config)
    lifted = lift_to_double(copy.deepcopy(model))
    stored = lifted if double else model
    stored.save_pretrained(folder)
    names = stored_names(stored, folder)
    unread: set[str] = set()

    def numbers(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> Numbers:
        batch = batch_of(inputs)
        logits, loss = model(**batch).logits.detach(), loss_of(model, batch)
        loss.backward()
        gradients = {names[key]: value.grad for key, value in model.named_parameters() if value.grad is not None}
        unread.update(set(names.values()) - gradients.keys())
        gradients = {key: value.clone() for key, value in gradients.items()}
        return Numbers(logits, loss.item(), gradients)

    truth = numbers(lifted, in_double(inputs))
    if double:
        return Reference(name, folder, in_double(inputs), unread, truth, [], model)
    single = single_precision.in_every_order(lambda: numbers(copy.deepcopy(model), inputs))
    return Reference(name, folder, inputs, unread, truth, single, model)


def in_double(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}


def target_length(seq_length: int) -> int:
    """Of the longest span corruption whose inputs are no longer than this (src/galvatron/spec/span_corruption.h)."""
    lengths = []
    for text in range(2, 2 * seq_length):
        noise = min(max(round(text * 0.15), 1), text - 1)
        spans = max(round(noise / 3), 1)
        if text - noise + spans + 1 <= seq_length:
            lengths.append(noise + spans + 1)
    return lengths[-1]


def random_inputs(config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Batches [batches, B, S] of what a model of this kind is called with; a third of the given labels count."""

    def tokens(length: int) -> torch.Tensor:
        return torch.randint(0, config.vocab_size, (NUM_BATCHES, BATCH, length))

    if is_image_model(config):
        size = config.image_size if isinstance(config.image_size, list | tuple) else [config.image_size] * 2
        images = torch.randn(NUM_BATCHES, BATCH, config.num_channels, *size)
        return {"pixel_values": images, "labels": torch.randint(0, config.num_labels, (NUM_BATCHES, BATCH))}
    inputs = {"input_ids": tokens(SEQ_LENGTH)}
    if is_seq2seq_model(config):
        inputs["decoder_input_ids"] = tokens(target_length(SEQ_LENGTH))
        inputs["labels"] = tokens(target_length(SEQ_LENGTH))
    if is_masked_model(config):
        labels = tokens(SEQ_LENGTH)
        inputs["labels"] = labels.masked_fill(torch.rand(labels.shape) > 1 / 3, -100)
    return inputs


def batch_of(inputs: dict[str, torch.Tensor], step: int = 0) -> dict[str, torch.Tensor]:
    return {name: batches[step % NUM_BATCHES] for name, batches in inputs.items()}


def loss_of(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The model's own loss; in double precision written out, since transformers takes logits.float()."""
    if "pixel_values" in batch:
        return torch.nn.functional.cross_entropy(model(batch["pixel_values"]).logits, batch["labels"])
    tokens = batch["input_ids"]
    output = model(**{"labels": tokens, **batch})
    if output.logits.dtype != torch.float64:
        return output.loss
    if "labels" in batch:
        return torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), batch["labels"].flatten())
    return torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def adamw_losses(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> list[float]:
    """Losses of AdamW steps with weight decay on matrices alone and gradients clipped to norm 1."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(NUM_STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, batch_of(inputs, step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def load_strictly(folder: Path, caplog) -> torch.nn.Module:
    """from_pretrained that accepts no warning of ours and no key too many or too few."""
    transformers.logging.enable_propagation()
    caplog.clear()
    config = AutoConfig.from_pretrained(folder)
    model, info = auto_class(config).from_pretrained(folder, output_loading_info=True)
    messages = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    if json.loads((folder / "config.json").read_text()).get("tie_word_embeddings") is False and is_seq2seq_model(
        config
    ):
        messages = [message for message in messages if UNTIED_T5_WARNING not in message]
    assert messages == []
    assert {key: value for key, value in info.items() if value} == {}
    return model.eval()

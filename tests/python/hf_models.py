"""Small random Hugging Face models of every family we train, and what transformers computes with them."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from pathlib import Path

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

torch.set_num_threads(1)  # the models are too small to share out

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


def _rope(rope_type: str, **settings: float) -> dict[str, object]:
    return {"rope_type": rope_type, "rope_theta": 10000.0, "factor": 4.0, **settings}


def _preset(name: str) -> PretrainedConfig:
    path = Path(__file__).resolve().parents[2] / f"configs/models/{name}.json"
    return AutoConfig.for_model(**json.loads(path.read_text()))


CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(**_GPT, vocab_size=64),
    "gpt2-odd-vocabulary": GPT2Config(**_GPT, vocab_size=61, n_inner=50, activation_function="gelu"),
    "gpt2-untied": GPT2Config(**_GPT, vocab_size=61, tie_word_embeddings=False),
    "llama": LlamaConfig(**_LLAMA),
    "llama-tied": LlamaConfig(**_LLAMA, tie_word_embeddings=True, rope_theta=500.0, head_dim=16),
    "llama-biases": LlamaConfig(**_LLAMA, attention_bias=True, mlp_bias=True),
    "llama-rope-llama3": LlamaConfig(
        **_LLAMA,
        rope_parameters=_rope("llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16),
    ),
    "llama-rope-linear": LlamaConfig(**_LLAMA, rope_parameters=_rope("linear")),
    "llama-rope-yarn": LlamaConfig(**_LLAMA, rope_parameters=_rope("yarn", original_max_position_embeddings=8)),
    "qwen2": Qwen2Config(**_LLAMA, use_sliding_window=False),
    "qwen3": Qwen3Config(**_LLAMA, head_dim=16, use_sliding_window=False),
    "mistral": MistralConfig(**_LLAMA, sliding_window=None),
    "preset-gpt2": _preset("gpt2-tiny"),
    "preset-llama": _preset("llama-tiny"),
    "preset-qwen2.5": _preset("qwen2.5-tiny"),
}


@dataclasses.dataclass
class Reference:
    """What transformers says about a model: the judge's side."""

    folder: Path
    tokens: torch.Tensor  # [batches, B, S]
    logits: torch.Tensor
    loss: float
    gradients: dict[str, torch.Tensor]
    losses: list[float]  # of NUM_STEPS AdamW steps


def random_model(name: str) -> torch.nn.Module:
    """A model none of whose parameters is zero or one, so that a mixed-up name cannot hide."""
    torch.manual_seed(sum(map(ord, name)))
    model = AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[name]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def lift_to_double(model: torch.nn.Module) -> torch.nn.Module:
    """In double precision altogether: transformers keeps RMS norms and rotary tables in single precision."""
    for module in model.double().modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = functools.partial(_rms_norm, module)
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = functools.partial(_rotary_tables, module)
    return model


def _rms_norm(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon))


def _rotary_tables(
    rope: torch.nn.Module, x: torch.Tensor, position_ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    settings = rope.config.rope_parameters
    assert settings["rope_type"] in ("default", "linear"), "the others' frequencies are not written out here"
    size = 2 * rope.inv_freq.numel()
    frequencies = settings["rope_theta"] ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    frequencies /= settings.get("factor", 1.0)
    angles = position_ids[..., None].double() * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def make_reference(name: str, folder: Path, double: bool = False) -> Reference:
    model = random_model(name)
    if double:
        lift_to_double(model)
    model.save_pretrained(folder)
    tokens = torch.randint(0, model.config.vocab_size, (NUM_BATCHES, BATCH, SEQ_LENGTH))
    logits = model(input_ids=tokens[0]).logits
    loss = next_token_loss(model, tokens[0])
    loss.backward()
    return Reference(
        folder,
        tokens,
        logits.detach(),
        loss.item(),
        {key: value.grad.clone() for key, value in model.named_parameters()},
        adamw_losses(model, tokens),
    )


def next_token_loss(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """The model's own loss; in double precision written out, since transformers takes logits.float()."""
    output = model(input_ids=tokens, labels=tokens)
    if output.logits.dtype != torch.float64:
        return output.loss
    return torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


def adamw_losses(model: torch.nn.Module, tokens: torch.Tensor) -> list[float]:
    """Losses of AdamW steps with weight decay on matrices alone and gradients clipped to norm 1."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step in range(NUM_STEPS):
        batch = tokens[step % NUM_BATCHES]
        optimizer.zero_grad()
        loss = next_token_loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def load_strictly(folder: Path, caplog) -> torch.nn.Module:
    """from_pretrained that accepts no warning and no key too many or too few."""
    transformers.logging.enable_propagation()
    caplog.clear()
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []
    assert {key: value for key, value in info.items() if value} == {}
    return model.eval()

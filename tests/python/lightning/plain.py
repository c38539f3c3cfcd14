"""The judge: a plain single-process Lightning run of transformers' own model on the same samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from lightning.pytorch import LightningModule, Trainer
from run_cases import LR, QUIET, Losses
from torch.utils.data import DataLoader, DistributedSampler

NO_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}

_AUTO = {
    "gpt2": transformers.AutoModelForCausalLM,
    "llama": transformers.AutoModelForCausalLM,
    "bert": transformers.AutoModelForMaskedLM,
    "t5": transformers.AutoModelForSeq2SeqLM,
    "vit": transformers.AutoModelForImageClassification,
    "swin": transformers.AutoModelForImageClassification,
}

CONFIGS: dict[str, transformers.PretrainedConfig] = {
    "gpt2": transformers.GPT2Config(
        vocab_size=61, n_positions=32, n_embd=32, n_layer=4, n_head=4, bos_token_id=0, eos_token_id=1, **NO_DROPOUT
    ),
    "llama": transformers.LlamaConfig(
        vocab_size=61, hidden_size=32, intermediate_size=56, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, bos_token_id=0, eos_token_id=1,
    ),
    "bert": transformers.BertConfig(
        vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=50,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    ),
    "t5": transformers.T5Config(
        vocab_size=61, d_model=32, d_kv=8, d_ff=50, num_layers=2, num_decoder_layers=2, num_heads=4, dropout_rate=0.0,
        relative_attention_num_buckets=8, relative_attention_max_distance=16, decoder_start_token_id=0,
        initializer_factor=0.5, tie_word_embeddings=True,
    ),
    "vit": transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=50, image_size=12, patch_size=3,
        num_labels=7,
    ),
    "swin": transformers.SwinConfig(
        embed_dim=24, depths=[2, 1], num_heads=[4, 8], image_size=[14, 17], patch_size=2, window_size=3, mlp_ratio=1.5,
        drop_path_rate=0.0, num_labels=7,
    ),
}  # fmt: skip


def make_folder(family: str, folder: Path) -> Path:
    """A Hugging Face folder of random weights."""
    torch.manual_seed(3)
    model = _AUTO[family].from_config(CONFIGS[family])
    model.save_pretrained(folder)
    return folder


def make_data(family: str, path: Path, samples: int, tokens: int = 16) -> Path:
    generator = torch.Generator().manual_seed(11)

    def rows(width: int, least: int = 2) -> torch.Tensor:
        return torch.randint(least, 61, (samples, width), generator=generator)

    if family in ("vit", "swin"):
        config = CONFIGS[family]
        size = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
        data = {
            "pixel_values": torch.randn(samples, 3, *size, generator=generator),
            "labels": torch.randint(0, 7, (samples,), generator=generator),
        }
    elif family == "t5":
        data = {"input_ids": rows(tokens), "labels": rows(4)}
    elif family == "bert":
        tokens_ = rows(tokens)
        hidden = torch.rand(tokens_.shape, generator=generator) < 0.3
        data = {"input_ids": tokens_.masked_fill(hidden, 3), "labels": tokens_.masked_fill(~hidden, -100)}
    else:
        tokens_ = rows(tokens)
        data = {"input_ids": tokens_, "labels": tokens_}
    torch.save(data, path)
    return path


class PlainModule(LightningModule):
    """`halves`: the learning rate is halved after each epoch."""

    def __init__(
        self, folder: Path, family: str, *, decay: float = 0.0, sgd: bool = False, halves: bool = False
    ) -> None:
        super().__init__()
        self.model = _AUTO[family].from_pretrained(folder, dtype=torch.float32)
        self.decay, self.sgd, self.halves = decay, sgd, halves
        self.norms: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.model(**batch).loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        labels = int((batch["labels"] != -100).sum())  # the mean over all labels, not over batches
        self.log("val_loss", self.model(**batch).loss, batch_size=labels)

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        return self.model(**batch).logits

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        self.norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    def configure_optimizers(self) -> Any:
        if self.sgd:
            optimizer = torch.optim.SGD(self.parameters(), lr=LR, momentum=0.9, weight_decay=self.decay)
        else:
            optimizer = torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=self.decay)
        if not self.halves:
            return optimizer
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}


def plain_loader(data: Path, batch: int, *, trains: bool = False) -> DataLoader:
    """In the order in which Lightning deals out samples to ranks: shuffled in training, whatever a loader says."""
    rows = torch.load(data)
    samples = [{name: values[i] for name, values in rows.items()} for i in range(len(next(iter(rows.values()))))]
    sampler = DistributedSampler(samples, num_replicas=1, rank=0, shuffle=True, seed=0) if trains else None
    return DataLoader(samples, batch_size=batch, sampler=sampler)


def run_plain(folder: Path, family: str, data: Path, batch: int, trainer: dict[str, Any], **module: Any) -> dict:
    losses = Losses()
    plain = PlainModule(folder, family, **module)
    runner = Trainer(**{**QUIET, "devices": 1, **trainer}, callbacks=[losses])
    runner.fit(plain, plain_loader(data, batch, trains=True))
    found = runner.validate(plain, plain_loader(data, batch), verbose=False)
    return {
        "losses": losses.train,
        "norms": plain.norms,
        "validation": found[0]["val_loss"],
        "predictions": torch.cat(runner.predict(plain, plain_loader(data, batch))),
        "module": plain,
        "trainer": runner,
    }

"""Trains a GPT with PyTorch Lightning under a plan of Galvatron's.

    python examples/lightning/train_gpt.py --devices 4 --accelerator gpu --size gpt-1.5b --pp 2 --tp 2

Lightning starts the other ranks itself; under torchrun or srun it uses theirs. Without text the samples are random.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader, Dataset

from galvatron.lightning import GalvatronModule, GalvatronStrategy


class Text(Dataset):
    """Tokens of a file that torch has saved, or random ones, in pieces of one length."""

    def __init__(self, path: Path | None, vocab_size: int, length: int) -> None:
        if path is None:
            tokens = torch.randint(0, vocab_size, (64 * length,), generator=torch.Generator().manual_seed(0))
        else:
            tokens = torch.load(path)
        self.pieces = tokens[: len(tokens) // length * length].view(-1, length)

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.pieces[index]}


class Gpt(GalvatronModule):
    """A step, an optimizer and a schedule of one's own."""

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        loss = self(batch).loss  # forward and backward of the whole batch, in microbatches, through the pipeline
        self.log("loss", loss, prog_bar=True)
        self.log("perplexity", loss.detach().exp())
        return loss

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, betas=(0.9, 0.95), weight_decay=0.1)
        warm_up = 10  # steps; a run that goes on with more epochs goes on with the same schedule
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warm_up))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--size", default="gpt2-tiny", help="a preset: `galvatron models` lists them")
    parser.add_argument("--pp", type=int, default=1, help="pipeline-parallel degree")
    parser.add_argument("--tp", type=int, default=1, help="tensor-parallel degree")
    parser.add_argument("--text", type=Path, help="tokens, as torch.save has written them")
    parser.add_argument("--length", type=int, default=32, help="tokens of a sample")
    parser.add_argument("--batch-size", type=int, default=8, help="samples that a data-parallel rank reads for a step")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--run-dir", type=Path, default=Path("run-lightning"))
    options = parser.parse_args()

    seed_everything(1)
    module = Gpt(options.size, lr=1e-3)
    strategy = GalvatronStrategy(
        pp_degree=options.pp, tp_degree=options.tp, zero_stage=2, num_microbatches=2 * options.pp
    )
    saver = ModelCheckpoint(options.run_dir / "checkpoints", monitor="val_loss", save_last=True)
    trainer = Trainer(
        strategy=strategy, devices=options.devices, accelerator=options.accelerator, max_epochs=options.epochs,
        gradient_clip_val=1.0, callbacks=[saver, LearningRateMonitor()], logger=CSVLogger(options.run_dir),
        log_every_n_steps=1,
    )  # fmt: skip
    vocabulary = module.spec.vocab_size
    loader = DataLoader(Text(options.text, vocabulary, options.length), batch_size=options.batch_size, shuffle=True)
    held_out = DataLoader(Text(options.text, vocabulary, options.length), batch_size=options.batch_size)
    trainer.fit(module, loader, held_out, ckpt_path="last")  # from where an earlier run of this folder has stopped
    trainer.validate(module, held_out)
    module.save_pretrained(options.run_dir / "weights")  # a folder that transformers loads


if __name__ == "__main__":
    main()

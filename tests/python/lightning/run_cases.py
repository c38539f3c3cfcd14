"""One rank of a test: trains, validates and predicts as each case says, and keeps what came out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from galvatron.lightning import GalvatronModule, GalvatronStrategy

torch.set_num_threads(1)

LR, DECAY = 5e-3, 0.1

QUIET = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip


class Losses(Callback):
    def __init__(self) -> None:
        self.train: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.train.append(float(outputs["loss"]))


def loader(case: dict[str, Any], key: str = "data") -> DataLoader:
    data = torch.load(case[key])
    rows = [{name: values[i] for name, values in data.items()} for i in range(len(next(iter(data.values()))))]
    return DataLoader(rows, batch_size=case["batch_size"])


def make_trainer(case: dict[str, Any], ranks: int, **more: Any) -> Trainer:
    strategy = GalvatronStrategy(**case.get("strategy", {}))
    return Trainer(**{**QUIET, "strategy": strategy, "devices": ranks, **case.get("trainer", {}), **more})


def fit_and_look(case: dict[str, Any], ranks: int) -> dict[str, Any]:
    """Training losses, then the validation loss, the logits and the weights of where it ended."""
    losses = Losses()
    trainer = make_trainer(case, ranks, callbacks=[losses])
    module = GalvatronModule.from_hf(case["model"], **case.get("module", {}))
    trainer.fit(module, loader(case))
    found = trainer.validate(module, loader(case), verbose=False)
    predictions = trainer.predict(module, loader(case))
    if "export" in case:
        module.save_pretrained(case["export"])
    return {
        "losses": losses.train,
        "validation": found[0]["val_loss"],
        "predictions": torch.cat(predictions),
        "part": trainer.strategy.data_parallel_rank,
        "parts": trainer.strategy.data_parallel_size,
    }


class Scheduled(GalvatronModule):
    """A user's module: own steps, logging, schedule, and a record of which hooks ran."""

    def __init__(self, model: Any, *, sgd: bool = False, factor: float = 1.0) -> None:
        super().__init__(model)
        self.sgd = sgd
        self.factor = factor
        self.norms: list[float] = []
        self.rates: list[float] = []
        self.hooks: list[str] = []
        self.silence = torch.nn.Identity()  # a module without parameters

    def configure_optimizers(self) -> Any:
        if self.sgd:
            optimizer = torch.optim.SGD(self.parameters(), lr=LR, momentum=0.9, weight_decay=DECAY)
        else:
            optimizer = torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        out = self(**batch)
        self.log("train_loss", self.silence(out.loss), on_step=True, on_epoch=True)
        return {"loss": self.factor * out["loss"], "raw": out.loss.detach()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self(batch).loss, on_epoch=True)
        hits = (self.logits(batch)[:, :-1].argmax(-1) == batch["labels"][:, 1:]).float()
        self.log("hits", hits.sum(), reduce_fx="sum", sync_dist=True)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.norms.append(self.gradient_norm())
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_epoch_start(self) -> None:
        self.hooks.append("on_train_epoch_start")

    def on_after_backward(self) -> None:
        self.hooks.append("on_after_backward")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mine"] = 17

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert checkpoint.get("mine", 17) == 17  # a plain one has none
        self.hooks.append("on_load_checkpoint")


def users_module(case: dict[str, Any], ranks: int) -> dict[str, Any]:
    """A whole fit with a validation after each epoch, checkpoints, early stopping and a logger."""
    from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger

    saver = ModelCheckpoint(case["folder"], monitor="val_loss", save_top_k=-1, save_last=True, filename="{epoch}")
    stopper = EarlyStopping("val_loss", mode="max", patience=case["epochs"] - 2, check_finite=True)
    losses = Losses()
    logger = CSVLogger(case["folder"] + "-logs", name="run", version=0)
    trainer = make_trainer(
        case, ranks, callbacks=[losses, saver, stopper, LearningRateMonitor()], logger=logger, log_every_n_steps=1,
        enable_checkpointing=True, max_epochs=case["epochs"], enable_progress_bar=True, enable_model_summary=True,
    )  # fmt: skip
    module = Scheduled(case["model"], sgd=case.get("sgd", False), factor=case.get("factor", 1.0))
    trainer.fit(module, loader(case), loader(case))
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    epochs = trainer.current_epoch
    best = trainer.validate(ckpt_path="best", dataloaders=loader(case), verbose=False)
    return {
        "losses": losses.train, "norms": module.norms, "rates": module.rates, "hooks": module.hooks,
        "metrics": metrics,
        "best": saver.best_model_path, "best_loss": best[0]["val_loss"], "last": saver.last_model_path,
        "epochs": epochs,
    }  # fmt: skip


def resume(case: dict[str, Any], ranks: int) -> dict[str, Any]:
    """Goes on from a checkpoint of other ranks or another plan; "last": of the folder."""
    from lightning.pytorch.callbacks import ModelCheckpoint

    losses = Losses()
    saver = ModelCheckpoint(case["folder"], save_last=True, filename="{epoch}")
    trainer = make_trainer(case, ranks, callbacks=[losses, saver], enable_checkpointing=True, max_epochs=case["epochs"])
    module = Scheduled(case["model"], sgd=case.get("sgd", False))
    trainer.fit(module, loader(case), ckpt_path=case["from"])
    out = {"losses": losses.train, "rates": module.rates, "hooks": module.hooks, "step": trainer.global_step}
    if "save" in case:
        trainer.save_checkpoint(case["save"])
    return out


def evaluate_checkpoint(case: dict[str, Any], ranks: int) -> dict[str, Any]:
    trainer = make_trainer(case, ranks)
    found = trainer.validate(Scheduled(case["model"]), loader(case), ckpt_path=case["from"], verbose=False)
    return {"validation": found[0]["val_loss"]}


def predict_uneven(case: dict[str, Any], ranks: int) -> dict[str, Any]:
    """Ranks that get batches of other sizes, and another number of them."""
    trainer = make_trainer(case, ranks)
    predictions = trainer.predict(GalvatronModule(case["model"]), loader(case))
    return {"sizes": [len(part) for part in predictions], "predictions": torch.cat(predictions)}


def refuse(case: dict[str, Any], ranks: int) -> dict[str, Any]:
    """What every rank must say, in the same words."""
    import galvatron

    try:
        trainer = make_trainer(case, ranks, max_steps=1)
        module = GalvatronModule(case["model"])
        data = loader(case)
        if case.get("each_its_own"):  # a loader that nobody divides, and that is another on each rank
            data = DataLoader(Endless(int(trainer.strategy.global_rank)), batch_size=case["batch_size"])
        trainer.fit(module, data, ckpt_path=case.get("from"))
    except galvatron.ConfigError as error:
        return {"said": str(error)}
    return {"said": "nothing"}


class Endless(torch.utils.data.IterableDataset):
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Any:
        generator = torch.Generator().manual_seed(self.seed)
        while True:
            yield {"input_ids": torch.randint(0, 61, (16,), generator=generator)}


KINDS = {
    "fit": fit_and_look,
    "users_module": users_module,
    "resume": resume,
    "evaluate_checkpoint": evaluate_checkpoint,
    "predict_uneven": predict_uneven,
    "refuse": refuse,
}


def main() -> None:
    folder, rank, ranks = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for case in json.loads((folder / "cases.json").read_text()):
        print(f"case {case['name']}", flush=True)
        result = KINDS[case["kind"]](case, ranks)
        torch.save(result, folder / f"{case['name']}-{rank}.pt")


if __name__ == "__main__":
    main()

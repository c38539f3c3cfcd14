"""Training through the Python package: on data of every kind, against the command line, on two ranks."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from package_testing import LAUNCH_VARIABLES, QUICK, ROOT, TINY, TINY_VOCABULARY, galvatron_command, needs_module
from single_precision import SinglePrecision, in_every_order
from torch.utils.data import DataLoader, TensorDataset

import galvatron
from galvatron._binding import core, planner
from galvatron._evaluating import EvaluateOptions
from galvatron._options import ModelNumbers
from galvatron._planning import SearchOptions, SimulateOptions, SweepOptions
from galvatron._training import TrainOptions
from galvatron.data.indexed_dataset import IndexedDatasetWriter

pytestmark = needs_module


def token_rows(count: int = 10, length: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, TINY_VOCABULARY, (count, length))


def same_losses(first: dict, second: dict) -> None:
    assert first["losses"] == second["losses"]


def require_loss_of_a_call(ours: float, name: str, batch: dict[str, torch.Tensor]) -> None:
    """ours: of training's first step."""
    model = galvatron.load(name)
    single = in_every_order(lambda: model(**batch)["loss"].item())
    truth = model.double()(**{key: value.double() if value.is_floating_point() else value
                              for key, value in batch.items()})["loss"].item()  # fmt: skip
    judge = SinglePrecision(name, name.removesuffix("-tiny"), "Python package, training", "a call")
    judge.require("loss", ours, single, truth)


def test_training_reads_token_files_as_the_command_line_does(tmp_path):
    writer = IndexedDatasetWriter(tmp_path / "corpus.bin", np.dtype(np.uint16))
    writer.add_document(token_rows(40).flatten())
    writer.finish(tmp_path / "corpus.idx")
    heard: list[dict] = []
    summary = galvatron.train(TINY, data=tmp_path / "corpus", **QUICK, run_dir=tmp_path / "run", on_step=heard.append)
    assert [line["loss"] for line in heard] == summary["losses"]
    assert summary["losses"][-1] < summary["losses"][0]
    assert summary["tokens_per_second"] > 0 and summary["ranks"][0]["peak_memory_bytes"] > 0
    options = [word for key, value in QUICK.items() for word in (f"--{key.replace('_', '-')}", value)]
    done = galvatron_command(
        "train", "--model", TINY, "--data", tmp_path / "corpus", *options, "--metrics", tmp_path / "metrics.jsonl"
    )
    assert done.returncode == 0, done.stderr
    theirs = [json.loads(line)["loss"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert theirs == summary["losses"]


def test_options_are_those_of_the_command_line():
    text = galvatron_command("train", "--help").stdout
    of_command = {name.replace("-", "_") for name in re.findall(r"^ +--([a-z0-9-]+)", text, re.MULTILINE)}
    of_launcher = {"nproc", "nnodes", "node_rank", "master_addr", "master_port", "hostfile", "ssh", "max_restarts"}
    of_launcher |= {"config", "help"}
    of_launcher |= {"tensorboard", "wandb"}  # galvatron.metrics has loggers in their place
    arguments = {"model", "data", "valid_data", "test_data", "plan", "memory"}
    assert set(TrainOptions.__annotations__) == of_command - of_launcher - arguments


def train_options() -> str:
    return json.dumps(json.loads(core.train_options()) + json.loads(core.auto_plan_options()))


def written_types(options: type) -> dict[str, str]:
    return {name: getattr(kind, "__forward_arg__", kind) for name, kind in options.__annotations__.items()}


@pytest.mark.parametrize(
    ("function", "options", "described", "wider"),
    [
        (galvatron.train, TrainOptions, train_options, {"mask_token": "str | int"}),
        (galvatron.evaluate, EvaluateOptions, core.evaluate_options, {"mask_token": "str | int"}),
        (galvatron.load, ModelNumbers, planner.model_options, {}),
        (galvatron.search, SearchOptions, planner.search_options, {"global_batch": "int | str | list[int]"}),
        (galvatron.simulate, SimulateOptions, planner.simulate_options, {}),
        (
            galvatron.sweep,
            SweepOptions,
            planner.sweep_options,
            {
                "cluster": "str | PathLike[str] | list[str]",
                "world_size": "int | list[int]",
                "seq_length": "int | list[int]",
                "global_batch": "int | str | list[int]",
                "memory": "int | str | list[int | str]",
            },
        ),
    ],
)
def test_static_types_signature_and_help_are_the_table(function, options, described, wider):
    table = {option["name"]: option for option in json.loads(described())}
    parameters = inspect.signature(function).parameters
    own = {"model", "data", "valid_data", "test_data", "plan"} & set(table)
    assert written_types(options) == {name: one["type"] for name, one in table.items() if name not in own} | wider
    assert set(table) <= set(parameters)
    assert not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    help_text = " ".join(inspect.getdoc(function).split())
    for name, option in table.items():
        if name not in own:
            assert f"`{name}`: {option['type']}" in help_text
            assert option["help"] in help_text


def test_signatures_say_defaults():
    parameters = inspect.signature(galvatron.train).parameters
    assert (parameters["steps"].default, parameters["lr"].default) == (100, 3e-4)
    assert parameters["shuffle"].default is True and parameters["flip"].default is False
    assert parameters["image_mean"].default == [0.5]
    assert str(parameters["precision"].default) == "..."
    assert inspect.signature(galvatron.search).parameters["runners_up"].default == 3


def test_bounds_are_those_of_the_command_line():
    for name, value, option in (
        ("beta1", 1.5, "--beta1"),
        ("lr", 1e9, "--lr"),
        ("crop_padding", 5000, "--crop-padding"),
    ):
        with pytest.raises(galvatron.ConfigError) as caught:
            galvatron.train(TINY, **{name: value})
        done = galvatron_command("train", "--model", TINY, "--data", "synthetic", option, value)
        theirs = done.stderr.removeprefix("galvatron: error: ").strip()
        assert str(caught.value).split(", not")[0] == theirs.replace(option, name).split(", not")[0]


def test_default_precision_is_what_is_fast_on_the_device():
    options = {key: value for key, value in QUICK.items() if key != "precision"} | {"device": "cpu", "steps": 1}
    assert galvatron.train(TINY, **options)["options"]["precision"] == "fp32"
    found = galvatron.search(TINY, cluster="8xA100", global_batch=8)
    assert found.plan.precision == "bf16"


def test_training_takes_any_data_of_python():
    rows = torch.from_numpy(token_rows())
    loader = DataLoader(TensorDataset(rows), batch_size=3)  # batches need not be those of the steps
    reference = galvatron.train(TINY, data=loader, **{**QUICK, "steps": 6})  # 24 samples: more than two epochs
    assert len(set(reference["losses"])) == 6
    kinds = {
        "list of dicts": [{"input_ids": row.tolist(), "text": "left alone"} for row in rows],
        "torch dataset": TensorDataset(rows),
        "with labels": [{"input_ids": row, "labels": row} for row in rows],
        "loader of dicts": DataLoader([{"input_ids": row} for row in rows], batch_size=10),
        "loader without batches": DataLoader(list(rows), batch_size=None),
        "loader with workers": DataLoader(TensorDataset(rows), batch_size=4, num_workers=1),
    }
    for name, data in kinds.items():
        summary = galvatron.train(TINY, data=data, shuffle=False, **{**QUICK, "steps": 6})
        assert summary["losses"] == reference["losses"], name
        assert summary["options"]["data"] == type(data).__name__


@pytest.mark.parametrize("name", [TINY, "llama-tiny", "bert-tiny", "t5-tiny"])
def test_samples_of_different_lengths_are_padded(name):
    """As tokenizers and collators make them for fine-tuning: questions that are read and not learned."""
    model = galvatron.load(name, torch.float64)
    numbers = np.random.default_rng(3)
    samples = []
    for length in (16, 5, 11, 9):
        tokens = torch.from_numpy(numbers.integers(5, 200, length))
        labels = tokens.masked_fill(torch.arange(length) < length // 3, -100)
        if name == "t5-tiny":
            labels = labels[-(length // 6 + 2) :]
        samples.append({"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels})
    options = {**QUICK, "precision": "fp64", "shuffle": False}
    summary = galvatron.train(name, data=samples, **options)
    sums = [model(**{key: value[None] for key, value in sample.items()}) for sample in samples]
    shift = 1 if name in (TINY, "llama-tiny") else 0
    counts = [int((sample["labels"][shift:] != -100).sum()) for sample in samples]
    mean = sum(out.loss.item() * count for out, count in zip(sums, counts, strict=True)) / sum(counts)
    assert summary.losses[0] == pytest.approx(mean, rel=1e-10)
    same = galvatron.train(name, data=samples, **options, num_microbatches=4, recompute="full")
    assert same["losses"] == pytest.approx(summary["losses"], rel=1e-9)
    if name == TINY:  # the labels are the tokens where there are none
        bare = [{key: sample[key] for key in ("input_ids", "attention_mask")} for sample in samples]
        full = [{**sample, "labels": sample["input_ids"]} for sample in bare]
        same_losses(galvatron.train(name, data=bare, **options), galvatron.train(name, data=full, **options))
        # What is padded behind needs no mask, whichever sample is the longest.
        labelled = [{key: sample[key] for key in ("input_ids", "labels")} for sample in samples]
        same = galvatron.train(name, data=labelled, **options)
        assert same["losses"] == pytest.approx(summary["losses"], rel=1e-9)
        turned = galvatron.train(name, data=labelled[::-1], **options)
        assert turned["losses"] == pytest.approx(summary["losses"], rel=1e-9)
        same_losses(galvatron.train(name, data=DataLoader(bare, batch_size=1), **options),
                    galvatron.train(name, data=full, **options))  # fmt: skip


def test_training_takes_a_hugging_face_dataset():
    datasets = pytest.importorskip("datasets")
    rows = token_rows()
    data = datasets.Dataset.from_dict({"input_ids": rows, "title": ["t"] * len(rows)})
    plain = galvatron.train(TINY, data=list(torch.from_numpy(rows)), shuffle=False, **QUICK)
    same_losses(galvatron.train(TINY, data=data, shuffle=False, **QUICK), plain)
    same_losses(galvatron.train(TINY, data=data.to_iterable_dataset(), **QUICK), plain)
    first, second = (galvatron.train(TINY, data=data, **QUICK) for _ in range(2))
    same_losses(first, second)
    assert first["losses"] != plain["losses"], "shuffled"


def test_a_shuffling_loader_repeats_and_leaves_the_callers_randomness_alone():
    loader = DataLoader(TensorDataset(torch.from_numpy(token_rows())), batch_size=4, shuffle=True)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first = galvatron.train(TINY, data=loader, **QUICK)
    assert torch.equal(torch.rand(1), expected)
    same_losses(first, galvatron.train(TINY, data=loader, **QUICK))
    assert first["losses"] != galvatron.train(TINY, data=loader, **QUICK, seed=5)["losses"]


def test_training_goes_on_from_a_model(tmp_path):
    rows = list(torch.from_numpy(token_rows()))
    galvatron.train(TINY, data=rows, **QUICK, export=tmp_path / "trained")
    model = galvatron.load(tmp_path / "trained")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    summary = galvatron.train(model, data=rows, **QUICK)
    same_losses(summary, galvatron.train(init_from=tmp_path / "trained", data=rows, **QUICK))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with pytest.raises(galvatron.ConfigError, match="exclude each other"):
        galvatron.train(model, init_from=tmp_path / "trained")


def test_labels_of_python_count_as_in_a_call():
    rows = torch.from_numpy(token_rows(4))
    labels = rows.masked_fill(rows % 2 == 0, -100)
    data = [{"input_ids": row, "labels": label} for row, label in zip(rows, labels, strict=True)]
    summary = galvatron.train(TINY, data=data, shuffle=False, **QUICK)
    require_loss_of_a_call(summary["losses"][0], TINY, {"input_ids": rows, "labels": labels})


@pytest.mark.parametrize(
    ("name", "options", "torchs"),
    [
        ("adamw", {"weight_decay": 0.2, "beta1": 0.8}, lambda groups: torch.optim.AdamW(groups, 1e-2, (0.8, 0.95))),
        ("sgd", {"weight_decay": 0.01, "momentum": 0.8}, lambda groups: torch.optim.SGD(groups, 1e-2, momentum=0.8)),
    ],
)
def test_a_trajectory_is_that_of_torchs_optimizer(name, options, torchs):
    rows = torch.from_numpy(token_rows(12))
    setting = {**QUICK, "steps": 6, "lr_schedule": "constant", "max_grad_norm": 0.5, "optimizer": name, **options}
    losses = galvatron.train(TINY, data=list(rows), shuffle=False, **setting)["losses"]

    def theirs(model: torch.nn.Module) -> list[float]:
        parts = [[p for p in model.parameters() if (p.ndim > 1) == decays] for decays in (True, False)]
        decay = options["weight_decay"]
        optimizer = torchs([{"params": part, "weight_decay": d} for part, d in zip(parts, (decay, 0.0), strict=True)])
        curve = []
        for step in range(6):
            batch = rows[[(4 * step + i) % len(rows) for i in range(4)]]
            optimizer.zero_grad()
            loss = model(input_ids=batch, labels=batch)["loss"]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            curve.append(loss.item())
        return curve

    truth = theirs(galvatron.load(TINY).double())
    judge = SinglePrecision(TINY, "gpt2", "Python package, training", "torch's optimizer")
    judge.require_curve("losses", losses, in_every_order(lambda: theirs(galvatron.load(TINY))), truth)
    assert truth[-1] < truth[0], "the trajectory moves"


def samples_of(name: str) -> list[dict[str, torch.Tensor]]:
    spec = galvatron.load(name).spec
    generator = torch.Generator().manual_seed(0)

    def tokens(length: int) -> torch.Tensor:
        return torch.randint(2, spec.vocab_size, (length,), generator=generator)

    if spec.task == "image-classes":
        images = torch.randn(4, *spec.image_shape, generator=generator)
        return [{"pixel_values": image, "labels": torch.tensor(i % spec.num_classes)} for i, image in enumerate(images)]
    if spec.task == "masked-tokens":
        rows = [tokens(16) for _ in range(4)]
        return [{"input_ids": row, "labels": row.masked_fill(row % 3 > 0, -100)} for row in rows]
    return [{"input_ids": tokens(16), "labels": tokens(4)} for _ in range(4)]  # fewer labels than there is room for


@pytest.mark.parametrize("name", ["bert-tiny", "t5-tiny", "vit-tiny", "swin-tiny"])
def test_every_task_trains_on_data_of_python(name):
    samples = samples_of(name)
    options = {**QUICK, "steps": 5, "lr": 1e-3}
    del options["seq_length"]  # that of the samples
    losses = galvatron.train(name, data=samples, shuffle=False, **options)["losses"]
    batch = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
    require_loss_of_a_call(losses[0], name, batch)
    assert losses[-1] < losses[0]


def test_evaluation_on_other_data():
    rows = torch.from_numpy(token_rows(8))
    heard: list[dict] = []
    galvatron.train(TINY, data=list(rows[:4]), valid_data=DataLoader(TensorDataset(rows[4:]), batch_size=2),
                    eval_interval=1, eval_batches=1, on_step=heard.append, **{**QUICK, "lr": 0.0})  # fmt: skip
    assert len(heard) == 3
    for line in heard:
        require_loss_of_a_call(line["valid_loss"], TINY, {"input_ids": rows[4:], "labels": rows[4:]})


def test_what_a_callback_raises_ends_the_run():
    class Enough(Exception):
        pass

    heard: list[int] = []

    def stop(line: dict) -> None:
        heard.append(line["step"])
        if line["step"] == 2:
            raise Enough

    with pytest.raises(Enough):
        galvatron.train(TINY, **QUICK, on_step=stop)
    assert heard == [1, 2]


def test_an_interrupt_ends_the_run_after_its_step():
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        galvatron.train(TINY, **{**QUICK, "steps": 100_000})
    timer.join()


STOPPED = """
import os, signal, sys, galvatron

def hear(line):
    if line["step"] == 3:
        os.kill(os.getpid(), int(sys.argv[1]))

options = {"seq_length": 16, "global_batch": 4, "lr_schedule": "constant"}
galvatron.train("gpt2-tiny", steps=100, **options, save="save", resume="auto", on_step=hear)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, None)])
def test_a_signal_saves_before_the_run_ends(number, code, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCH_VARIABLES}
    environment["PYTHONPATH"] = str(ROOT / "python")
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, str(int(number))],
        capture_output=True, text=True, timeout=120, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip
    if code is None:
        assert "KeyboardInterrupt: stopped after step 4; saved save/step-000004" in done.stderr
    else:
        assert done.returncode == code, done.stderr
        assert "stopped after step 4; saved save/step-000004" in done.stderr
        assert "Traceback" not in done.stderr
    options = {"steps": 6, "seq_length": 16, "global_batch": 4, "lr_schedule": "constant"}
    summary = galvatron.train(TINY, **options, save=tmp_path / "save", resume="auto")
    assert summary["losses"] == galvatron.train(TINY, **options)["losses"][4:]


TWO_RANKS = """
import json, os, sys, torch, galvatron
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

rank = int(os.environ["RANK"])
data = TensorDataset(torch.tensor(json.loads(sys.argv[1])))
options = {"plan": galvatron.Plan.read(sys.argv[3]), **json.loads(sys.argv[2])}
runs = {
    "loader": {"data": DataLoader(data, batch_size=3)},
    "dataset": {"data": data, "shuffle": False},
    "shuffled": {"data": DataLoader(data, shuffle=True)},
}
out = {name: galvatron.train("gpt2-tiny", **run, **options)["losses"] for name, run in runs.items()}
try:
    divided = DistributedSampler(data, num_replicas=2, rank=rank)
    galvatron.train("gpt2-tiny", data=DataLoader(data, sampler=divided), **options)
except galvatron.ConfigError as error:
    out["divided"] = str(error)
with open(f"{sys.argv[4]}{rank}", "w") as file:
    json.dump(out, file)
"""


@pytest.mark.parametrize("strategy", [{"zero_stage": 3}, {"tp_degree": 2}, {"pp_degree": 2, "num_microbatches": 2}])
def test_two_ranks_of_torchrun_are_one_run(strategy, tmp_path):
    rows = token_rows()
    options = {key: value for key, value in QUICK.items() if key not in ("global_batch", "precision")}
    plan = galvatron.Plan.uniform(TINY, world_size=2, global_batch=4, precision="fp32", **strategy)
    plan.write(tmp_path / "plan.json")
    (tmp_path / "script.py").write_text(TWO_RANKS)
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCH_VARIABLES}
    environment["PYTHONPATH"] = str(ROOT / "python")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", tmp_path / "script.py",
         json.dumps(rows.tolist()), json.dumps(options), tmp_path / "plan.json", tmp_path / "losses"],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    of_ranks = [json.loads((tmp_path / f"losses{rank}").read_text()) for rank in range(2)]
    assert of_ranks[0] == of_ranks[1]
    data = TensorDataset(torch.from_numpy(rows))
    judge = SinglePrecision(TINY, "gpt2", "Python package, two ranks", "one rank")
    for name, loader in {"loader": DataLoader(data, batch_size=3), "shuffled": DataLoader(data, shuffle=True)}.items():
        alone, truth = (
            galvatron.train(TINY, data=loader, **{**QUICK, "precision": precision})["losses"]
            for precision in ("fp32", "fp64")
        )
        judge.require_curve(f"losses of {name}", of_ranks[0][name], [alone], truth)
    assert of_ranks[0]["dataset"] == of_ranks[0]["loader"]
    assert "gets other samples than rank 0" in of_ranks[0]["divided"]

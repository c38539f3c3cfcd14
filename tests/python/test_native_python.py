"""Python as its users expect it: help, reprs, attributes, names, types, one call for a plan, one for an evaluation."""

from __future__ import annotations

import ast
import copy
import inspect
import json
import math
import os
import pickle
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from package_testing import LAUNCH_VARIABLES, QUICK, ROOT, TINY, TINY_VOCABULARY, galvatron_command, needs_module
from torch.utils.data import DataLoader, IterableDataset

import galvatron
from galvatron._binding import core, planner
from galvatron._options import to_json
from galvatron._records import EvaluationSummary, Record, RunSummary, SearchProgress, StepRecord

pytestmark = needs_module

CLUSTER = "2x8xA100-40G:25GB/s"
FUNCTIONS = {
    "search": planner.search_options,
    "simulate": planner.simulate_options,
    "sweep": planner.sweep_options,
    "train": core.train_options,
    "evaluate": core.evaluate_options,
    "load": planner.model_options,
}


def token_rows(count: int = 10, length: int = 16) -> list[list[int]]:
    return np.random.default_rng(0).integers(0, TINY_VOCABULARY, (count, length)).tolist()


# --- names and help ---


def test_dir_has_what_is_ours_and_nothing_else():
    names = [name for name in dir(galvatron) if not name.startswith("__")]
    assert names == sorted(galvatron.__all__)
    assert all(getattr(galvatron, name) is not None for name in names)
    assert not {"annotations", "Path", "os", "importlib", "TYPE_CHECKING"} & set(names)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_shows_every_option_with_default_and_unit(name):
    function = getattr(galvatron, name)
    text = pydoc.render_doc(function, renderer=pydoc.plaintext)
    flat = " ".join(text.split())
    own = {"model", "data", "valid_data", "test_data", "plan"}
    for option in json.loads(FUNCTIONS[name]()):
        if option["name"] in own:
            continue
        assert f"`{option['name']}`: {option['type']}" in flat, option["name"]
        assert option["help"] in flat
        default = option["default"] or ("False" if option["type"] == "bool" else "")
        said = f"{option['help']} [{default or 'none'}]"
        assert said in flat or (not default and "default" in option["help"] + option["group"]), option["name"]
    assert max(len(line) for line in text.splitlines()[3:]) <= 122


def test_help_says_how_sizes_are_written():
    text = " ".join((inspect.getdoc(galvatron.search) or "").split())
    assert '`memory_reserve`: int | str (bytes, or "16GiB")' in text
    assert '`inter_node`: str (such as "25GB/s")' in text
    assert text.count(" Input: ") == 1


# --- results ---


@pytest.fixture(scope="module")
def summary() -> RunSummary:
    return galvatron.train(TINY, data=[{"input_ids": row} for row in token_rows()], **QUICK)


@pytest.fixture(scope="module")
def found() -> galvatron.SearchResult:
    return galvatron.search("llama2-7b", cluster=CLUSTER, global_batch=64, seq_length=2048)


def test_what_training_returns_is_a_dict_with_attributes(summary):
    assert summary.losses == summary["losses"] and len(summary.losses) == 3
    assert summary.loss.last == summary["loss"]["last"] == summary.losses[-1]
    assert summary.loss.valid is None and summary.checkpoints is None
    assert summary.ranks[0].peak_memory_bytes > 0
    assert summary.step_seconds.predicted is None
    assert json.loads(json.dumps(summary)) == summary
    assert {"losses", "loss", "ranks"} <= set(dir(summary))
    with pytest.raises(AttributeError, match=r"RunSummary has no 'loses'; did you mean 'losses'\?"):
        summary.loses  # noqa: B018
    for twin in (copy.deepcopy(summary), pickle.loads(pickle.dumps(summary))):
        assert twin == summary and twin.loss.first == summary.loss.first and str(twin) == str(summary)


def test_a_step_is_a_dict_with_attributes():
    heard: list[StepRecord] = []
    summary = galvatron.train(TINY, **QUICK, on_step=heard.append)
    assert [step.loss for step in heard] == summary.losses
    assert (heard[0].step, heard[0]["step"], heard[0].valid_loss, heard[0].skipped) == (1, 1, None, None)
    assert re.fullmatch(r"<StepRecord step 1, loss \d\.\d+, .*>", repr(heard[0]))


@pytest.mark.parametrize("kind", [RunSummary, StepRecord, SearchProgress, EvaluationSummary])
def test_records_say_all_that_they_hold(kind, summary):
    """The attributes that type checkers know are the items that come."""
    assert issubclass(kind, Record)
    heard: list[Record] = []
    if kind is StepRecord:
        galvatron.train(TINY, **QUICK, eval_interval=1, eval_batches=1, on_step=heard.append)
    elif kind is SearchProgress:
        galvatron.search("gpt-1t", cluster="12500x8xH100", global_batch=8192, runners_up=0,
                         on_progress=lambda line: heard.append(line) or line.best_ms_per_sample is None)  # fmt: skip
    elif kind is EvaluationSummary:
        heard.append(galvatron.evaluate(TINY, data=token_rows(), global_batch=4, precision="fp32"))
    else:
        heard.append(summary)
    for record in heard:
        assert isinstance(record, kind)
        assert set(record) <= set(kind._names())
        assert all(hasattr(record, name) for name in kind._names())


def test_a_run_prints_what_the_command_prints(summary):
    assert repr(summary) == (
        f"<RunSummary gpt2-tiny: 3 steps on 1 rank, loss {summary.loss.first:.4f} -> {summary.loss.last:.4f}, "
        f"{summary.tokens_per_second:.0f} tokens/s>"
    )
    lines = str(summary).splitlines()
    assert lines[0] == f"gpt2-tiny on 1 rank ({summary.device}), 3 steps"
    assert len(lines) < 40 and "loss        " in str(summary)
    options = [word for key, value in QUICK.items() for word in (f"--{key.replace('_', '-')}", value)]
    theirs = galvatron_command("train", "--model", TINY, "--data", "synthetic", *options).stdout

    def words(text: str) -> list[str]:
        """Without what is measured anew."""
        steady = text.split("\n  of a step ")[0]  # below: times, part by part
        return re.sub(r"measured .*|throughput .*|[\d.]+ [KMG]iB", "", steady).split()

    assert words(str(galvatron.train(TINY, **QUICK))) == words(theirs)


def test_reprs_are_short_and_prints_fit_a_screen(found):
    model = galvatron.load("t5-tiny")
    plan = galvatron.Plan.uniform(TINY, world_size=4, global_batch=8, pp_degree=2, num_microbatches=4)
    priced = galvatron.simulate("llama2-7b", found.plan, cluster=CLUSTER, seq_length=2048)
    frontier = found.frontier(budgets=8)
    for thing in (found, found.best, found.plan, found.prediction, priced, frontier, plan, model):
        assert "\n" not in repr(thing) and len(repr(thing)) < 240, repr(thing)
        assert len(str(thing).splitlines()) <= 50, str(thing)
        assert max(map(len, str(thing).splitlines())) <= 200
    assert "1f1b on 2 pipeline ranks, 4 microbatches" in repr(plan)
    assert str(plan) == "embedding dp | 2 x dp | head dp, 1f1b on 2 pipeline ranks, 4 microbatches"
    assert re.fullmatch(r"<Model t5-tiny: [\d,]+ parameters in \d+ layers, float32 on cpu>", repr(model))
    assert "encoder.block.*.layer.*.SelfAttention.q.weight" in str(model)


def test_the_output_of_a_call_has_attributes():
    model = galvatron.load(TINY)
    tokens = torch.arange(16).view(2, 8)
    out = model(input_ids=tokens, labels=tokens)
    assert out.loss is out["loss"] and out.logits is out["logits"]
    assert list(out) == ["loss", "logits"]
    assert repr(out).startswith("<ModelOutput loss ")
    with pytest.raises(AttributeError, match="no 'loss'"):
        model(input_ids=tokens).loss  # noqa: B018


# --- names of other systems ---


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("micro_batch_size", "microbatches are counted here, not sized: num_microbatches is"),
        ("per_device_train_batch_size", "microbatches are counted here, not sized: num_microbatches is"),
        ("gradient_accumulation_steps", "that is num_microbatches here"),
        ("tensor_model_parallel_size", "that is tp_degree here"),
        ("pipeline_model_parallel_size", "that is pp_degree here"),
        ("zero_optimization", "that is zero_stage here"),
        ("learning_rate", "that is lr here"),
        ("num_train_epochs", "steps is epochs x samples / global_batch"),
        ("train_dataset", "that is data here"),
        ("eval_dataset", "from valid_data, or from data as split says"),
        ("output_dir", "that is run_dir here"),
        ("valid_dat", "did you mean 'valid_data'?"),
        ("stepz", "did you mean 'steps'?"),
    ],
)
def test_names_of_other_systems_are_told_ours(name, sentence):
    with pytest.raises(galvatron.ConfigError, match=re.escape(f"[train] '{name}' is unknown")) as caught:
        galvatron.train(TINY, **{name: 1})
    assert sentence in str(caught.value)


def test_other_functions_hint_too():
    for call, sentence in (
        (lambda: galvatron.search(TINY, learning_rate=1), "[search] 'learning_rate' is unknown; that is lr, which"),
        (lambda: galvatron.search(TINY, hardwar="x"), "did you mean 'hardware'?"),
        (lambda: galvatron.sweep(TINY, world_sizes=[1]), "did you mean 'world_size'?"),
        (lambda: galvatron.simulate(TINY, {}, max_seq_length=1), "that is seq_length here"),
        (lambda: galvatron.load(TINY, num_hidden_layers=1), "that is num_layers here"),
        (lambda: galvatron.load(TINY, torch_dtype=1), "of load() and from_pretrained(), dtype"),
        (lambda: galvatron.evaluate(TINY, data="synthetic", eval_iters=1), "[evaluate] 'eval_iters' is unknown"),
        (lambda: galvatron.Plan.uniform(TINY, tp_size=2), "that is tp_degree here"),
    ):
        with pytest.raises(galvatron.ConfigError, match=re.escape(sentence)):
            call()


# --- evaluating ---


def loss_of_calls(model: galvatron.Model, rows: list[list[int]]) -> float:
    tokens = torch.tensor(rows)
    with torch.no_grad():
        return float(model(input_ids=tokens, labels=tokens).loss)


def test_evaluating_takes_every_sample_once():
    model = galvatron.load(TINY, torch.float64, seed=3)
    rows = token_rows(10)
    kinds = {
        "list": [{"input_ids": row} for row in rows],
        "loader": DataLoader([torch.tensor(row) for row in rows], batch_size=3, shuffle=True),
        "exact": [{"input_ids": row} for row in rows],
    }
    for name, data in kinds.items():
        batch = 5 if name == "exact" else 4
        found = galvatron.evaluate(model, data=data, global_batch=batch, precision="fp64")
        assert found.loss == pytest.approx(loss_of_calls(model, rows), rel=1e-12), name
        assert (found.samples, found.batches) == (10, 2 if name == "exact" else 3)
        assert found.labels == 10 * 15
        assert found.perplexity == pytest.approx(math.exp(found.loss))
    dropping = DataLoader([torch.tensor(row) for row in rows], batch_size=3, drop_last=True)
    found = galvatron.evaluate(model, data=dropping, global_batch=4, precision="fp64")
    assert found.loss == pytest.approx(loss_of_calls(model, rows[:9]), rel=1e-12)
    some = galvatron.evaluate(model, data=kinds["list"], global_batch=2, batches=2, precision="fp64")
    assert some.loss == pytest.approx(loss_of_calls(model, rows[:4]), rel=1e-12)


def test_evaluating_counts_labels_and_classes():
    model = galvatron.load(TINY, torch.float64)
    rows = torch.tensor(token_rows(6))
    labels = rows.masked_fill(rows % 3 == 0, -100)
    data = [{"input_ids": row, "labels": label} for row, label in zip(rows, labels, strict=True)]
    found = galvatron.evaluate(model, data=data, global_batch=4, precision="fp64")
    with torch.no_grad():
        assert found.loss == pytest.approx(float(model(input_ids=rows, labels=labels).loss), rel=1e-12)
    assert found.labels == int((labels[:, 1:] != -100).sum())
    vision = galvatron.load("vit-tiny", torch.float64)
    images = torch.randn(5, *vision.spec.image_shape, dtype=torch.float64)
    classes = torch.arange(5) % vision.spec.num_classes
    pairs = [{"pixel_values": image, "labels": one} for image, one in zip(images, classes, strict=True)]
    found = galvatron.evaluate(vision, data=pairs, global_batch=2, precision="fp64")
    with torch.no_grad():
        truth = float(vision(pixel_values=images.float().double(), labels=classes).loss)
    assert (found.loss, found.labels) == (pytest.approx(truth, rel=1e-9), 5)


def test_evaluating_a_checkpoint_and_a_folder(tmp_path):
    rows = [{"input_ids": row} for row in token_rows()]
    heard: list[StepRecord] = []
    galvatron.train(TINY, data=rows, valid_data=rows, eval_interval=3, eval_batches=2, on_step=heard.append,
                    **{**QUICK, "global_batch": 5}, save=tmp_path / "save", export=tmp_path / "out")  # fmt: skip
    for source in ({"model": TINY, "resume": tmp_path / "save"}, {"init_from": tmp_path / "out"}):
        found = galvatron.evaluate(**source, data=rows, global_batch=5, precision="fp32")
        assert found.loss == pytest.approx(heard[-1].valid_loss, rel=1e-6)


def test_evaluations_that_cannot_be_are_one_sentence():
    class Endless(IterableDataset):
        def __iter__(self):
            return iter([torch.tensor(row) for row in token_rows()])

    for call, sentence in (
        (
            lambda: galvatron.evaluate(TINY, data=Endless()),
            "does not say how many samples it has; say how many batches",
        ),
        (lambda: galvatron.evaluate(TINY, data="synthetic"), "synthetic data have no end; say how many batches"),
        (lambda: galvatron.evaluate(data=token_rows()), "give a model, init_from or resume"),
        (
            lambda: galvatron.evaluate(TINY, data=[{"input_ids": [1, 2], "labels": [-100, -100]}]),
            "no label counts in the samples",
        ),
    ):
        with pytest.raises(galvatron.ConfigError, match=re.escape(sentence)):
            call()
    found = galvatron.evaluate(TINY, data=Endless(), batches=2, global_batch=5, precision="fp64")
    model = galvatron.load(TINY, torch.float64)
    assert found.loss == pytest.approx(loss_of_calls(model, token_rows()), rel=1e-9)


# --- plan="auto" ---


def test_training_searches_its_plan(tmp_path):
    rows = [{"input_ids": row} for row in token_rows()]
    options = {"data": rows, "shuffle": False, **QUICK}
    kept = tmp_path / "profiles"
    auto = galvatron.train(TINY, plan="auto", memory="2GiB", cache_dir=kept, run_dir=tmp_path / "run", **options)
    assert auto.losses == pytest.approx(galvatron.train(TINY, **options).losses, rel=1e-5)
    plan = json.loads((tmp_path / "run/plan.json").read_text())
    assert plan["search"]["prediction"]["step_ms"] > 0 and auto.step_seconds.predicted > 0
    profiles = {path.name.split("-")[0]: path for path in kept.iterdir()}
    assert set(profiles) == {"hardware", "model"}
    measured = profiles["hardware"].stat().st_mtime_ns
    galvatron.train(TINY, plan="auto", memory="2GiB", cache_dir=kept, **options)
    assert profiles["hardware"].stat().st_mtime_ns == measured, "what is kept is taken"


def test_a_search_before_training_may_fail_in_one_sentence(tmp_path):
    options = {"data": token_rows(), "cluster": "1xA100", **QUICK}
    with pytest.raises(galvatron.NothingFits, match="nothing fits") as caught:
        galvatron.train(TINY, plan="auto", memory="1MiB", **options)
    assert caught.value.needed_bytes > caught.value.memory_bytes == 1 << 20
    for extra in ({"memory": "1GiB"}, {"cluster": "8xA100"}, {"cache_dir": tmp_path}, {"refresh": True}):
        name = next(iter(extra))
        with pytest.raises(galvatron.ConfigError, match=re.escape(f'[train] {name} is of plan="auto"')):
            galvatron.train(TINY, **QUICK, **extra)
    with pytest.raises(galvatron.ConfigError, match="tp_degree and plan exclude each other"):
        galvatron.train(TINY, plan="auto", tp_degree=1, **options)


AUTO_ON_TWO = """
import json, os, sys, galvatron
rank = os.environ["RANK"]
options = json.loads(sys.argv[1])
out = galvatron.train("gpt2-tiny", plan="auto", run_dir=sys.argv[2] + "/run", device="cpu", **options)
try:
    galvatron.train("gpt2-tiny", plan="auto", memory="1MiB", **options)
except galvatron.NothingFits as miss:
    out["miss"] = [str(miss), miss.needed_bytes]
json.dump(out, open(f"{sys.argv[2]}/out{rank}", "w"))
"""


def test_ranks_of_torchrun_train_under_one_searched_plan(tmp_path):
    (tmp_path / "script.py").write_text(AUTO_ON_TWO)
    rows = token_rows()
    options = {"data": [{"input_ids": row} for row in rows], "shuffle": False, "cluster": "2xA100", **QUICK}
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCH_VARIABLES}
    environment["PYTHONPATH"] = str(ROOT / "python")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", tmp_path / "script.py",
         to_json(options), tmp_path],
        capture_output=True, text=True, timeout=240, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"out{rank}").read_text()) for rank in range(2))
    assert first["losses"] == second["losses"]
    assert first["miss"] == second["miss"] and "nothing fits" in first["miss"][0]
    plan = galvatron.Plan.read(tmp_path / "run/plan.json")
    assert plan.world_size == 2 and plan.search["question"]["world_size"] == 2
    searched = galvatron.search(TINY, cluster="2xA100", global_batch=4, seq_length=16, precision="fp32")
    assert plan.layers == searched.plan.layers and plan.pipeline == searched.plan.pipeline
    alone = galvatron.train(TINY, data=options["data"], shuffle=False, **QUICK)
    assert first["losses"] == pytest.approx(alone.losses, rel=1e-5)


# --- types ---

USER = """
from pathlib import Path

import torch

import galvatron

model = galvatron.from_pretrained(Path("folder"), torch.bfloat16, device="cuda")
tokens = torch.randint(0, model.spec.vocab_size, (4, 32))
out = model(input_ids=tokens, labels=tokens)
loss: torch.Tensor = out.loss
print(loss.item(), out.logits.shape)
model.save_pretrained("mine")


def hear(step: galvatron.StepRecord) -> None:
    print(step.step, step.loss, step["loss"], step.valid_loss)


def watch(progress: galvatron.SearchProgress) -> bool:
    return progress.best_ms_per_sample is None


found = galvatron.search("llama2-7b", cluster="8xA100", global_batch=[32, 64], memory="30GiB", on_progress=watch)
plan: galvatron.Plan = found.plan
for layer in plan.layers[1:-1]:
    layer.zero_stage = 3
    layer.recompute = "full"
plan.check("llama2-7b", world_size=8)
priced = galvatron.simulate("llama2-7b", plan, cluster="8xA100")
print(priced.fits, priced.step_ms + 1.0, found.certificate["gap"], len(found.frontier(budgets=4)))
print(galvatron.sweep(["gpt2"], cluster=["8xA100"], world_size=[4, 8]).rows[0]["step_ms"])
summary = galvatron.train(model, data=[{"input_ids": [1, 2, 3]}], plan=plan, on_step=hear, steps=3, lr=1e-3)
last: float = summary.losses[-1] + summary.loss.last
peak: int = summary.ranks[0].peak_memory_bytes
galvatron.train("gpt2-tiny", data="corpus", plan="auto", memory="1GiB", zero_stage=2)
perplexity: float = galvatron.evaluate(model, data=[[1, 2]], plan=plan).perplexity
try:
    galvatron.search("llama2-70b", cluster="8xH100", memory="16GiB")
except galvatron.NothingFits as miss:
    print(miss.needed_bytes / 2**30)
"""

MISTAKES = {
    "summary.losses.last": 'galvatron.train("gpt2").losses.last',
    "summary.loses": 'galvatron.train("gpt2").loses',
    "an option": 'galvatron.train("gpt2", learning_rate=1)',
    "a type": 'galvatron.search("gpt2", world_size="8")',
    "a field": "galvatron.LayerStrategy(tp_size=2)",
}


def check_types(command: list[str], file: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MYPYPATH": str(ROOT / "python")}
    return subprocess.run([*command, file], capture_output=True, text=True, timeout=600, check=False, env=environment,
                          cwd=file.parent)  # fmt: skip


def test_mypy_strict_takes_a_users_script(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER)
    wrong = ["import galvatron", *MISTAKES.values()]
    (tmp_path / "mistakes.py").write_text("\n".join(wrong))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    done = check_types(command, tmp_path / "user.py")
    assert done.returncode == 0, done.stdout
    done = check_types(command, tmp_path / "mistakes.py")
    assert sorted(set(re.findall(r"mistakes\.py:(\d+)", done.stdout))) == [str(2 + i) for i in range(len(MISTAKES))]


def test_pyright_strict_takes_a_users_script(tmp_path):
    pytest.importorskip("basedpyright")
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "mistakes.py").write_text("\n".join(["import galvatron", *MISTAKES.values()]))
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT / "python")], "pythonPath": sys.executable}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = check_types(command, tmp_path / "user.py")
    assert json.loads(done.stdout)["generalDiagnostics"] == [], done.stdout
    done = check_types(command, tmp_path / "mistakes.py")
    lines = {one["range"]["start"]["line"] for one in json.loads(done.stdout)["generalDiagnostics"]}
    assert lines == set(range(1, 1 + len(MISTAKES)))


def test_the_fields_that_type_checkers_see_are_those_of_a_strategy():
    tree = ast.parse((ROOT / "python/galvatron/_plan.py").read_text())
    declared = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "LayerStrategy")
    fields = {
        node.target.id: (node.annotation.id, ast.literal_eval(node.value))
        for node in declared.body
        if isinstance(node, ast.AnnAssign)
    }
    described = {
        field["name"]: (type(field["default"]).__name__, field["default"])
        for field in json.loads(planner.strategy_fields())
    }
    assert fields == described

"""galvatron search as a user starts it: plans, refusals in one sentence, "nothing fits"."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parents[1] / "data" / "galvatron2" / "cases"
PROFILES = CASES / "profiles" / "llama2-7b_1x8"
THEIRS = [
    *("--galvatron2-profiles", PROFILES, "--cost-model", "galvatron2", "--world-size", 8, "--memory", "36GiB"),
    *("--global-batch", 64, "--num-layers", 32, "--hidden-size", 4096, "--seq-length", 2048, "--precision", "bf16"),
    *("--schedule", "1f1b", "--default-dp-type", "zero2", "--time-profile-mode", "batch"),
    *("--max-tp", 8, "--max-pp", 8, "--max-ulysses", 8),
]
OURS = ["--model", "gpt2", "--cluster", "8xA100", "--global-batch", 16]


@pytest.fixture
def search(galvatron):
    return lambda *arguments, **extra: galvatron("search", *arguments, **extra)


@pytest.fixture
def refused(search):
    def run(*arguments: object) -> str:
        result = search(*arguments)
        assert result.returncode == 2, (result.returncode, result.stdout, result.stderr)
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        return lines[0]

    return run


def test_their_question_and_their_plan_file(search, tmp_path: Path):
    result = search(*THEIRS, "--num-microbatches", 8, "--plan-format", "galvatron2", "--output", "plan.json")
    assert result.returncode == 0, result.stderr
    case = json.loads((CASES / "llama2-7b_8gpu_36gb_b64_m8.json").read_text())
    assert f"{case['best_known']:.6g} samples/s" in result.stdout
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["chunks"] == 8
    assert len(plan["tp_sizes_enc"].split(",")) == 32


def test_our_question(search, tmp_path: Path):
    result = search(*OURS, "--memory", "4GiB", "--explain", "--output", "plan.json")
    assert result.returncode == 0, result.stderr
    for words in (
        *("stage", "predicted step", "tokens/s", "certificate", "gap 0: optimal", "runner-ups", "bubble"),
        *("what binds", "1 GiB more memory", "what this space leaves out", "cp_degree above 1: not supported yet"),
    ):
        assert words in result.stdout
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["search"]["certificate"]["gap"] == 0
    assert plan["search"]["inputs"] == {"cluster": "8xA100"}


def test_what_people_take_by_hand_stands_beside_the_answer(search, tmp_path: Path):
    result = search(*OURS, "--memory", "4GiB", "--output", "plan.json")
    assert result.returncode == 0, result.stderr
    for name in ("DDP", "ZeRO-2", "ZeRO-3", "ZeRO-3, recompute", "Megatron"):
        assert f"\n  {name} " in result.stdout
    assert "the plan found" in result.stdout
    assert "what binds" not in result.stdout
    baselines = json.loads((tmp_path / "plan.json").read_text())["search"]["baselines"]
    fitting = {one["name"]: one["step_ms"] for one in baselines["plans"] if one["fits"]}
    assert baselines["best"] == min(fitting, key=fitting.__getitem__)
    assert all(one["peak_memory_bytes"] <= 4 << 30 for one in baselines["plans"] if one["fits"])
    assert baselines["gain"] >= -1e-9


def test_the_optimizer_decides_what_fits(search, tmp_path: Path):
    lean = [*OURS, "--memory", "2350MiB", "--output", "plan.json"]
    assert search(*lean).returncode == 3
    result = search(*lean, "--optimizer", "sgd")
    assert result.returncode == 0, result.stderr
    prediction = json.loads((tmp_path / "plan.json").read_text())["search"]["prediction"]
    assert prediction["optimizer"] == "sgd"
    assert prediction["peak_memory_bytes"] <= 2350 << 20


def test_constraints_hold(search, tmp_path: Path):
    result = search(*OURS, "--allow", "tp_degree=2", "--forbid", "recompute=full,selective", "--output", "plan.json")
    assert result.returncode == 0, result.stderr
    layers = json.loads((tmp_path / "plan.json").read_text())["layers"]
    assert all(layer["tp_degree"] == 2 for layer in layers)
    assert all(layer.get("recompute", "none") == "none" for layer in layers)


@pytest.mark.parametrize("arguments", [[*OURS, "--memory", "2200MiB"], [*THEIRS, "--memory", "2GiB"]])
def test_nothing_fits(search, tmp_path: Path, arguments):
    result = search(*arguments, "--output", "plan.json")
    assert result.returncode == 3, (result.stdout, result.stderr)
    sentence = next(line for line in result.stdout.splitlines() if line.startswith("nothing fits in"))
    assert "the leanest plan needs" in sentence
    ours = arguments[: len(OURS)] == OURS
    assert ("by hand" in result.stdout and "does not fit: +" in result.stdout) == ours
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "gpt2"], "--hardware is missing"),
        (["--cluster", "8xA100"], "--model is missing"),
        ([*OURS, "--cluster", "8xA1000"], "the nearest are A100, A6000, A10 "),
        ([*OURS, "--allow", "tp_degree=5"], "leave no plan for 8 ranks"),
        ([*OURS, "--allow", "tp_degre=2"], "did you mean 'tp_degree'?"),
        ([*OURS, "--max-tp", 0], "--max-tp"),
        ([*OURS, "--num-microbatches", 17], "leave no plan"),
        ([*OURS, "--world-size", 12], "12 devices are no whole number"),
        ([*OURS, "--memory", "-1GiB"], "--memory"),
        ([*OURS, "--global-batch", "16:8"], "--global-batch needs a number"),
        ([*OURS, "--global-batch", 0], "--global-batch 0"),
        ([*OURS, "--seq-length", 2048], "--seq-length 2048 is outside 1 .. 1024"),
        ([*OURS, "--galvatron2-profiles", ".", "--cost-model", "galvatron"], "feed --cost-model galvatron2 only"),
        (THEIRS[2:], "--galvatron2-profiles is missing"),
        ([*THEIRS, "--allow", "tp_degree=2"], "--allow and --forbid belong to our own cost model"),
        ([*THEIRS, "--world-size", 6], "no allreduce_bandwidth_"),
        ([*THEIRS, "--num-microbatches", 3], "divides over 8 devices"),
        ([*THEIRS, "--global-batch", 7, "--max-tp", 1, "--max-pp", 1, "--max-ulysses", 1], "--global-batch 7"),
        ([*THEIRS, "--optimizer", "sgd"], "--optimizer sgd belongs to our own cost model"),
        ([*THEIRS, "--schedule", "interleaved"], "the cost model galvatron2 has no schedule interleaved"),
        (
            [*OURS, "--plan-format", "galvatron2", "--schedule", "interleaved"],
            "--plan-format galvatron2 has no schedule interleaved; use 1f1b or gpipe",
        ),
        ([*THEIRS, "--seq-length", 1024], "1024"),
        ([*THEIRS, "--time-profile-mode", "bacth"], "did you mean 'batch'?"),
    ],
)
def test_refusals(refused, arguments, words):
    assert words in refused(*arguments)


def test_output_that_cannot_be_written(refused, tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert "--output" in refused(*OURS, "--output", "file/plan.json")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "'overlap_coe' is missing"),
        ('{"overlap_coe": NaN}', "overlap_coefficient.json"),
        ('{"overlap_coe": -1}', "'overlap_coe' is -1"),
        ('{"overlap_coe": 1e99}', "'overlap_coe' is 1e+99"),
        ('{"overlap_coe": "1.2"}', "must be a number"),
    ],
)
def test_broken_profile(refused, tmp_path: Path, text, words):
    shutil.copytree(PROFILES, tmp_path / "profiles")
    (tmp_path / "profiles" / "overlap_coefficient.json").write_text(text)
    sentence = refused(*THEIRS, "--galvatron2-profiles", "profiles")
    assert words in sentence
    assert "overlap_coefficient.json" in sentence


@pytest.mark.parametrize("columns", [60, 80, 100])
@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["simulate", "--help"]])
def test_help_fits_the_terminal(galvatron, columns, arguments):
    done = galvatron(*arguments, COLUMNS=str(columns))
    assert done.returncode == 0
    too_long = [line for line in done.stdout.splitlines() if len(line) > columns and " " in line.strip()]
    assert too_long == []


def test_tables_fit_the_terminal(search):
    done = search(*OURS, COLUMNS="60")
    wide = search(*OURS).stdout
    rules = [line for line in done.stdout.splitlines() if line.strip().startswith("─")]
    assert rules and all(len(line) <= 60 for line in rules)
    assert any(len(line) > 60 for line in wide.splitlines() if line.strip().startswith("─"))
    for word in ("forward", "transient", "peak"):
        assert word in done.stdout and word in wide


@pytest.mark.parametrize(
    ("option", "hint"),
    [("--batch-size", "; that is --global-batch here"),
     ("--tensor_model_parallel_size", "; that is --tp-degree, which belongs elsewhere"),
     ("--bf16", "; that is --precision with bf16, fp16, fp32 or fp64"), ("--memry", ", did you mean '--memory'?")],
)  # fmt: skip
def test_names_of_other_systems_are_told_ours(refused, option, hint):
    assert refused(*OURS, option, 8) == f"galvatron: error: galvatron search has no option {option}{hint}"

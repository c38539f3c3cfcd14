"""Plans that are there already: simulate, check and convert as a user starts them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CLUSTER = ["--cluster", "8xA100"]
QUESTION = ["--model", "gpt2", *CLUSTER, "--global-batch", 16, "--seq-length", 512, "--optimizer", "sgd"]
THEIRS = {
    "pp_deg": 2,
    "tp_sizes_enc": "2,2,2,2,2,2,1,1,1,1,1,1",
    "tp_consecutive_flags": ",".join("1" * 12),
    "dp_types_enc": ",".join("0" * 6 + "1" * 6),
    "use_sp": ",".join("0" * 12),
    "checkpoint": ",".join("1" * 2 + "0" * 10),
    "global_bsz": 16,
    "chunks": 4,
    "pp_division": "6,6",
    "pipeline_type": "pipedream_flush",
    "default_dp_type": "zero2",
    "vtp": 2,
    "vsp": 0,
    "embed_sdp": 0,
}


@pytest.fixture
def done(galvatron):
    def run(*arguments: object) -> str:
        result = galvatron(*arguments)
        assert result.returncode == 0, (result.stdout, result.stderr)
        assert result.stderr == ""
        return result.stdout

    return run


@pytest.fixture
def refused(galvatron):
    def run(*arguments: object, code: int = 2) -> str:
        result = galvatron(*arguments)
        assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        return lines[0]

    return run


@pytest.fixture
def searched(done, tmp_path: Path) -> dict:
    done("search", *QUESTION, "--output", "plan.json")
    return json.loads((tmp_path / "plan.json").read_text())


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    (tmp_path / "theirs.json").write_text(json.dumps(THEIRS))
    return tmp_path / "theirs.json"


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_plan_of_a_named_cluster_is_simulated_on_it(done, searched, tmp_path: Path):
    """Without a word on model, length and optimizer: the plan records them. The prediction is the search's."""
    out = done("simulate", "plan.json", *CLUSTER, "--output", "again.json", "--trace", "trace.json")
    assert "16 x 512 tokens (the model allows 1024), bf16, sgd" in out
    again = json.loads((tmp_path / "again.json").read_text())["search"]
    assert again["throughput"] == searched["search"]["throughput"]
    assert again["prediction"] == searched["search"]["prediction"]
    assert again["question"] == searched["search"]["question"]
    assert again["plan_digest"] == searched["search"]["plan_digest"]
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


@pytest.mark.usefixtures("searched")
def test_another_training_is_asked_for(done):
    out = done("simulate", "--plan", "plan.json", *CLUSTER, "--seq-length", 256, "--optimizer", "adamw")
    assert "16 x 256 tokens (the model allows 1024), bf16, adamw" in out


@pytest.mark.usefixtures("searched")
def test_simulate_against(done, tmp_path: Path):
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["layers"] = [{"count": 14, "tp_degree": 4}]
    plan["pipeline"] = {}
    plan["num_microbatches"] = 1
    (tmp_path / "other.json").write_text(json.dumps(plan))
    out = done("simulate", "plan.json", "--against", "other.json", *CLUSTER)
    for words in ("exposed communication", "tokens/s", "where they differ", "tp4", "plan.json wins with", "more"):
        assert words in out, out


@pytest.mark.usefixtures("searched")
def test_against_and_outputs_exclude_each_other(refused):
    assert "--against compares two plans" in refused(
        "simulate", "plan.json", "--against", "plan.json", *CLUSTER, "--trace", "t.json"
    )


@pytest.mark.usefixtures("searched")
def test_simulate_needs_a_machine(refused):
    assert "--cluster" in refused("simulate", "plan.json")


@pytest.mark.usefixtures("searched")
def test_check_draws(done):
    out = done("check", "plan.json")
    for words in ("can be trained: gpt2 on 8 ranks", "stage 0", "12 x block", "same parameters", "pp rank 0",
                  "its prediction is of 512 tokens a sample and optimizer sgd"):  # fmt: skip
        assert words in out, out
    out = done("check", "plan.json", *CLUSTER)
    assert "predicted step" in out


@pytest.mark.usefixtures("searched")
def test_check_notices_an_edit(done, tmp_path: Path):
    rewrite(tmp_path / "plan.json", num_microbatches=2)
    assert "no prediction: the plan was edited since it was predicted" in done("check", "plan.json")


@pytest.mark.usefixtures("searched")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"num_microbatches": 17}, "num_microbatches 17 is more than the 16 samples of global_batch"),
     ({"layers": [{"count": 5}]}, "the plan has 5 layers, model 'gpt2' has 14"),
     ({"pipeline": {"degree": 3}}, "pp_degree 3 does not divide world_size 8")],
)  # fmt: skip
def test_check_refuses(refused, tmp_path: Path, changes, sentence):
    rewrite(tmp_path / "plan.json", **changes)
    assert sentence in refused("check", "plan.json")


@pytest.mark.usefixtures("searched")
def test_check_says_what_does_not_fit(galvatron):
    result = galvatron("check", "plan.json", *CLUSTER, "--memory", "600MiB", "--memory-reserve", "1MiB")
    assert result.returncode == 3, (result.stdout, result.stderr)
    assert "plan.json does not fit: its fullest device needs" in result.stdout


def test_check_needs_a_model_that_it_knows(refused, tmp_path: Path):
    plan = {"format": "galvatron-plan", "version": 1, "world_size": 1, "global_batch": 1, "layers": [{"count": 3}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert "--model is missing: plan.json names none" in refused("check", "plan.json")
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "model": "mine"}))
    assert "'mine', which is no preset" in refused("check", "plan.json")


def test_theirs_are_taken(done, theirs):
    facts = ["--model", "gpt2", "--world-size", 8]
    assert "can be trained: gpt2 on 8 ranks, global batch 16, bf16" in done("check", theirs, *facts)
    assert "predicted step" in done("simulate", theirs, *facts, *CLUSTER)
    assert "fp16" in done("simulate", theirs, *facts, *CLUSTER, "--precision", "fp16")


def test_theirs_do_not_say_everything(refused, theirs):
    assert "--model is missing" in refused("check", theirs)
    assert "say it with --world-size" in refused("check", theirs, "--model", "gpt2")
    assert "the plan has 14 layers, model 'gpt2-tiny' has 4" in refused(
        "check", theirs, "--model", "gpt2-tiny", "--world-size", 8
    )


def test_convert_there_and_back(done, refused, theirs, tmp_path: Path):
    done("convert", theirs, "--to", "galvatron", "--model", "gpt2", "--world-size", 8, "--output", "ours.json")
    ours = json.loads((tmp_path / "ours.json").read_text())
    assert ours["world_size"] == 8
    assert [group["count"] for group in ours["layers"]] == [1, 2, 4, 6, 1]
    done("convert", "ours.json", "--to", "galvatron2", "--output", "back.json")
    back = json.loads((tmp_path / "back.json").read_text())
    assert {key: back[key] for key in THEIRS} == THEIRS
    assert "ours.json is a plan of galvatron already; the other way is --to galvatron2" in refused(
        "convert", "ours.json", "--to", "galvatron", "--output", "x.json"
    )


@pytest.mark.usefixtures("searched")
def test_what_they_cannot_express_is_refused(refused, tmp_path: Path):
    rewrite(tmp_path / "plan.json", layers=[{"count": 14, "zero_stage": 1}])
    assert "zero_stage 1, which Galvatron-2 does not know" in refused(
        "convert", "plan.json", "--to", "galvatron2", "--output", "x.json"
    )


@pytest.mark.usefixtures("searched")
def test_facts_that_contradict_our_plan(refused):
    assert "--precision fp32, but plan.json says bf16" in refused("check", "plan.json", "--precision", "fp32")
    assert "--world-size 4, but plan.json is for world_size 8" in refused("check", "plan.json", "--world-size", 4)

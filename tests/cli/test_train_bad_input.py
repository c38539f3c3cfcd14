"""What galvatron train refuses: one sentence, exit 2, nothing written, no rank started."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from conftest import write_tokens

SMALL = ["--model", "gpt2-tiny", "--seq-length", 32, "--steps", 2, "--nproc", 2, "--run-dir", "run"]


def refusal(result, tmp_path: Path) -> str:
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("galvatron: error: ")
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())
    return lines[0]


@pytest.fixture
def refused(galvatron, tmp_path: Path):
    """The sentence by which `galvatron train` on synthetic data refuses the arguments."""

    def run(*arguments: object, **extra: str) -> str:
        return refusal(galvatron("train", "--data", "synthetic", *SMALL, *arguments, **extra), tmp_path)

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--step", 3], "no option --step, did you mean '--steps'?"),
        (["--steps", "many"], "--steps needs a whole number of at least 1, not 'many'"),
        (["--steps", 0], "--steps needs a whole number of at least 1"),
        (["--lr", "nan"], "--lr needs a number from 0"),
        (["--precision", "bf61"], "not 'bf61', did you mean 'bf16'?"),
        (["--precision", "fp8"], "not 'fp8'; fp8 is not supported yet; train has --fp8, beside bf16"),
        (["--precision", "fp32", "--fp8"], "[train] --fp8 is for bf16, not fp32; give --precision bf16"),
        (["--model", "gpt2-tin"], "did you mean"),
        (["--tp-degree", 3], "tp_degree 3"),
        (["--pp-degree", 2, "--layers-per-stage", "2,3"], "adds up to 5"),
        (["--schedule", "interleaved"], "needs a pp_degree of at least 2, not 1; use 1f1b"),
        (["--pp-degree", 2, "--stages-per-rank", 2], "or schedule interleaved"),
        (["--layers-per-stage", "2,2", "--stages-per-rank", 2], "exclude each other"),
        (["--seq-length", 100_000], "100000"),
        (["--num-microbatches", 100], "100"),
        (["--optimizer", "sdg"], "did you mean 'sgd'?"),
        (["--momentum", 0.5], "[optimizer] momentum 0.5 is an option of sgd, muon, not of adamw"),
        (["--beta1", 1], "--beta1 needs a number from 0 to below 1, not '1'"),
        (["--optimizer", "sgd", "--momentum", "1.0"], "--momentum needs a number from 0 to below 1, not '1.0'"),
        (["--optimizer", "sgd", "--beta1", 0.8], "beta1 0.8 is an option of adamw, lion, muon, not of sgd"),
        (["--optimizer", "sgd", "--momentum", 2], "--momentum needs a number from 0 to below 1, not '2'"),
        (["--param-group", "*.kproj*:frozen"], "'*.kproj*' matches no parameter of model"),
        (["--param-group", "*:frozen"], "nothing is left to train"),
        (["--param-group", "*.bias:lr=0.1"], "lr is a share of the schedule's, as 0.1x"),
        (["--batch-rampup", "2,0,8"], "--batch-rampup needs a whole number of at least 1"),
        (["--batch-rampup", "8,2,8"], "does not grow from 8 to the global batch"),
        (["--end-weight-decay", 0.5], "give --weight-decay-schedule linear or cosine"),
        (["--decay-shape", "sqrt"], "--decay-shape needs one of linear, cosine, 1-sqrt"),
        (["--rampup-batch-size", "2 2 8"], "that is --batch-rampup with commas"),
        (["--warmup-steps", 3], "3 warm-up steps do not fit into 2 steps"),
        (["--data", "nowhere"], "nowhere.idx"),
        (["--split", "9,x"], "9,x"),
        (["--resume", "nowhere"], "there is no checkpoint in nowhere"),
        (["--init-from", "nowhere"], "nowhere"),
        (["--export", "out", "--tokenizer", "nowhere"], "nowhere"),
        (["extra"], "extra"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_arguments(refused, arguments, words):
    assert words in refused(*arguments)


def test_unknown_command(galvatron, tmp_path: Path):
    assert "there is no command 'trian', did you mean 'train'?" in refusal(galvatron("trian"), tmp_path)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("step = 3", "'step' is no option of galvatron train, did you mean 'steps'?"),
        ("[trian]\nsteps = 3", "no command has the name of table [trian], did you mean 'train'?"),
        ("lr-schedule = 'cosin'", "did you mean 'cosine'?"),
    ],
)
def test_config_file(refused, tmp_path: Path, toml, words):
    (tmp_path / "run.toml").write_text(toml)
    assert words in refused("--config", "run.toml")


@pytest.fixture
def plan_file(galvatron, tmp_path: Path):
    """Writes a plan for gpt2-tiny on two ranks with some keys changed."""

    def write(**changes: object) -> Path:
        plan = {
            "format": "galvatron-plan",
            "version": 1,
            "model": "gpt2-tiny",
            "world_size": 2,
            "global_batch": 4,
            "num_microbatches": 1,
            "precision": "fp32",
            "pipeline": {"degree": 1, "schedule": "1f1b", "layers_per_stage": [4]},
            "layers": [{"count": 4}],
        }
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({**plan, **changes}))
        return path

    return write


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "llama-tiny"}, "made for model 'llama-tiny', not for 'gpt2-tiny'"),
        ({"world_size": 4}, "for world_size 4, but 2 ranks are here"),
        ({"layers": [{"count": 5}]}, "5 layers"),
        ({"layers": [{"count": 4, "tp_degre": 2}]}, "did you mean 'tp_degree'?"),
        ({"layers": [{"count": 4, "zero_stage": 4}]}, "zero_stage"),
        ({"precision": "fp8"}, "not one of fp64, fp32, bf16, fp16; fp8 is not supported yet"),
    ],
)
def test_plan(refused, plan_file, changes, words):
    assert words in refused("--plan", plan_file(**changes))


def test_plan_and_global_options_exclude_each_other(refused, plan_file):
    assert "--tp-degree and --plan exclude each other" in refused("--plan", plan_file(), "--tp-degree", 2)


def test_truncated_index(refused, corpus: Path):
    index = corpus.with_suffix(".idx")
    index.write_bytes(index.read_bytes()[:-4])
    assert "corpus.idx" in refused("--data", corpus)


def test_a_split_without_training_samples(refused, corpus: Path):
    assert "train" in refused("--data", corpus, "--split", "0,1")


def test_tokens_beyond_the_vocabulary(refused, tmp_path: Path):
    write_tokens(tmp_path / "wide", [1] * 500 + [60_000] + [1] * 500)
    sentence = refused("--data", "wide")
    assert "60000" in sentence
    assert "vocab" in sentence


def test_port_in_use(refused):
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        assert "is in use" in refused("--master-port", listener.getsockname()[1])


def test_run_dir_that_is_a_file(galvatron, tmp_path: Path):
    (tmp_path / "file").write_text("")
    arguments = ["train", "--data", "synthetic", *SMALL[:-2], "--run-dir", "file"]
    assert "--run-dir: cannot write into file" in refusal(galvatron(*arguments), tmp_path)


def test_half_an_environment(refused):
    assert "WORLD_SIZE is not set" in refused(RANK="0")


def test_ranks_of_two_launchers(refused):
    environment = {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29512"}
    assert "--nproc 2, but torchrun started 3 ranks" in refused(**environment)


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a GPU")
def test_cuda_where_there_is_none(refused):
    assert "--device cpu" in refused("--device", "cuda")

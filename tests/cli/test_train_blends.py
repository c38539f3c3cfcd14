"""galvatron train on several token files at once, and on files of their own for evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import losses, read_metrics, refusal, write_tokens

TINY = ["train", "--model", "gpt2-tiny", "--seq-length", 32, "--precision", "fp64", "--lr", 3e-3]
BLEND = "0.7 ones 0.3 twos"


@pytest.fixture
def parts(tmp_path: Path) -> None:
    """Two corpora that are told apart by their tokens, and a third."""
    write_tokens(tmp_path / "ones", [i % 17 for i in range(5_000)])
    write_tokens(tmp_path / "twos", [100 + i % 13 for i in range(900)])
    write_tokens(tmp_path / "valid", [i % 17 for i in range(700)])


@pytest.fixture
def train(galvatron, parts, tmp_path):
    def run(*arguments: object, metrics: str = "m.jsonl") -> list[float]:
        done = galvatron(*TINY, *arguments, "--metrics", metrics)
        assert done.returncode == 0, done.stderr
        run.stderr = done.stderr
        return losses(tmp_path / metrics)

    return run


@pytest.mark.parametrize(
    "plan",
    [
        ["--nproc", 2, "--global-batch", 5],
        ["--nproc", 2, "--ulysses-degree", 2],
        ["--nproc", 2, "--pp-degree", 2, "--num-microbatches", 4],
        ["--nproc", 4, "--tp-degree", 2, "--zero-stage", 3],
    ],
)
def test_a_blend_is_the_same_under_any_plan(train, plan):
    common = ["--data", BLEND, "--steps", 5]
    batch = ["--global-batch", 5] if "--global-batch" in plan else []
    expected = train(*common, *batch, metrics="one.jsonl")
    assert train(*common, *plan) == pytest.approx(expected, rel=1e-9)


def test_a_run_goes_on_to_the_bit(train, tmp_path):
    expected = train("--data", BLEND, "--steps", 8, metrics="whole.jsonl")
    train("--data", BLEND, "--steps", 8, "--save", "save", "--save-interval", 3)
    assert train("--data", BLEND, "--steps", 8, "--resume", "save/step-000003", metrics="rest.jsonl") == expected[3:]


def test_the_opening_lines_say_how_often_each_part_is_read(train):
    train("--data", BLEND, "--steps", 10, "--split", "1")
    lines = [line for line in train.stderr.splitlines() if "data: " in line]
    # 156 and 28 samples of 32 tokens; 80 are read.
    assert "data: 70 % ones, 56 samples of its 156 in the whole run: 0.359 epochs" in lines[0]
    assert "data: 30 % twos, 24 samples of its 28 in the whole run: 0.857 epochs" in lines[1]


def test_a_list_may_lie_in_a_file_and_names_alone_go_by_size(train, tmp_path):
    expected = train("--data", BLEND, "--steps", 3)
    (tmp_path / "blend.txt").write_text("0.7 ones # most\n0.3 twos\n")
    assert train("--data", "@blend.txt", "--steps", 3, metrics="file.jsonl") == expected
    by_size = train("--data", "ones twos", "--steps", 3, metrics="sizes.jsonl")
    assert by_size != expected
    assert "data: 84.78 % ones" in train("--data", "ones twos", "--steps", 3, "--split", 1, metrics="s") or train.stderr


def test_evaluations_take_files_of_their_own(train, tmp_path):
    all_of_it = ["--eval-interval", 2, "--eval-batches", "all", "--test-data", "valid"]
    train("--data", BLEND, "--valid-data", "valid", "--steps", 4, *all_of_it, metrics="own.jsonl")
    own = read_metrics(tmp_path / "own.jsonl")
    train("--data", BLEND, "--valid-data", "0.5 valid 0.5 twos", "--steps", 4, "--eval-interval", 2, metrics="b.jsonl")
    blend = read_metrics(tmp_path / "b.jsonl")
    # All of the data is for training.
    whole = train("--data", BLEND, "--split", 1, "--steps", 4, metrics="whole.jsonl")
    assert [line["loss"] for line in own] == [line["loss"] for line in blend] == whole
    for name in ("loss", "perplexity", "accuracy"):
        assert own[-1][f"test_{name}"] == own[-1][f"valid_{name}"] and f"test_{name}" not in own[-2]
    assert own[1]["valid_loss"] != blend[1]["valid_loss"]


def test_other_blends_are_refused_where_a_run_goes_on(train, galvatron):
    train("--data", BLEND, "--steps", 2, "--save", "save")

    def problem(*arguments: object) -> str:
        return refusal(galvatron(*TINY, "--steps", 4, "--resume", "save", *arguments))

    assert "a blend of the weights 0.7 0.3, this one has 0.6 0.4" in problem("--data", "0.6 ones 0.4 twos")
    assert "part 1 .bin had 10000 bytes" in problem("--data", "0.7 twos 0.3 ones")
    assert "this data has .bin, .idx;" in problem("--data", "ones")
    assert "valid .bin" in problem("--data", BLEND, "--valid-data", "valid")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (["--data", "0 ones 1 twos"], "gives ones the weight 0: a weight is a number above 0"),
        (["--data", "-1 ones 1 twos"], "gives ones the weight -1"),
        (["--data", "0.7 ones 0.3 nowhere"], "'nowhere' stands for nowhere.bin and nowhere.idx, which are not there"),
        (["--data", "0.7 ones 0.3"], "ends with 0.3 behind 1 pairs of weight and name"),
        (["--data", "@nowhere"], "there is no such file"),
        (["--data", "ones", "--valid-data", "nowhere", "--eval-interval", 1], "--valid-data is the PREFIX of"),
        (["--data", "ones", "--valid-data", "valid", "--split", "1,1"], "--split 1,1 divides --data into parts"),
        (["--data", "ones", "--test-data", "synthetic"], "synthetic data have no end; a test takes all samples"),
        (["--data", "ones", "--valid-data", "valid", "--test"], "all of --data is for training; name --test-data"),
        (["--data", "ones", "--mixup", "0.2"], "--mixup 0.2 mixes images, and model 'gpt2-tiny' reads text"),
        (
            ["--data", "ones", "--tensorboard", "b"],
            "--tensorboard reads the metrics that the run writes: give --run-dir",
        ),
        (["--train-data-path", "ones"], "that is --data here"),
        (["--data", "ones", "--valid-data-path", "valid"], "that is --valid-data here"),
        (["--data", "ones", "--data-args-path", "x"], "by --data @FILE"),
    ],
)
def test_what_is_no_blend_is_refused_in_one_sentence(galvatron, parts, data, words):
    assert words in refusal(galvatron(*TINY, *data))


def test_parts_of_two_tokenizers_are_refused(galvatron, parts, tmp_path):
    info = '{"format": "galvatron-data", "version": 1, "vocab_size": 200, "documents": 1, "tokens": %d, "tokenizer": {"path": "t.json", "sha256": "%s"}}'  # noqa: E501
    (tmp_path / "ones.json").write_text(info % (5_000, "a" * 64))
    (tmp_path / "twos.json").write_text(info % (900, "b" * 64))
    sentence = refusal(galvatron(*TINY, "--data", BLEND))
    assert "ones and twos were made with different tokenizers (aaaaaaaa and bbbbbbbb)" in sentence

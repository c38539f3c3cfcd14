"""galvatron train on text itself: tokens are made once, whoever asks, and the run is that of the token pair."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, clean_environment, losses, refusal, write_tokens

TINY = ["train", "--model", "gpt2-tiny", "--seq-length", 32, "--precision", "fp64", "--steps", 3, "--global-batch", 4]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    records = [{"text": f"the {i}th text is of {i * i} words", "body": f"{i}"} for i in range(400)]
    (tmp_path / "text.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path / "text.jsonl"


@pytest.fixture
def pair(text: Path, tmp_path: Path) -> Path:
    """The same, made by hand, with the tokenizer beside it."""
    command = [sys.executable, "-m", "galvatron.data", str(text), "--output", "pair/pair", "--train-bpe", "300"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "pair"


@pytest.fixture
def train(galvatron, tmp_path: Path):
    def run(*arguments: object, **extra: str):
        places = {"GALVATRON_PYTHON": sys.executable, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return galvatron(*TINY, *arguments, **{**places, **extra})

    return run


def test_text_trains_as_its_tokens_do(train, text, pair, tmp_path):
    assert train("--data", "pair/pair", "--metrics", "pair.jsonl").returncode == 0
    first = train("--data", "text.jsonl", "--tokenizer", "pair", "--metrics", "text.m", "--nproc", 2)
    assert first.returncode == 0, first.stderr
    assert losses(tmp_path / "text.m") == pytest.approx(losses(tmp_path / "pair.jsonl"), rel=1e-9)
    assert first.stderr.count("making tokens of text.jsonl") == 1
    again = train("--data", "text.jsonl", "--tokenizer", "pair", "--metrics", "again.m")
    assert "tokens of" not in again.stderr and losses(tmp_path / "again.m") == losses(tmp_path / "pair.jsonl")
    assert list((tmp_path / "cache" / "galvatron" / "tokens").glob("*/tokens.bin"))


def test_ranks_of_another_launcher_make_them_once(text, pair, tmp_path):
    command = [str(BINARY), *map(str, TINY), "--data", "text.jsonl", "--tokenizer", "pair", "--data-cache", "kept"]
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29871", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}
    ranks = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=clean_environment(GALVATRON_PYTHON=sys.executable, RANK=str(rank), LOCAL_RANK=str(rank), **places),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    ends = [rank.communicate(timeout=60) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0, 0], ends
    assert sum("making tokens" in err for _, err in ends) == 1


def test_text_in_a_blend_beside_a_pair_and_for_evaluations(train, text, pair, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.txt").write_text("words of another text\n" * 200)
    (tmp_path / "folder" / "a.md").write_text("# Title\n" * 100)
    done = train(
        "--data", "0.5 pair/pair 0.5 folder", "--valid-data", text, "--tokenizer", "pair", "--eval-interval", 1
    )
    assert done.returncode == 0, done.stderr
    assert "data: 50 % pair/pair" in done.stderr and "making tokens of folder" in done.stderr


def test_a_run_on_text_goes_on(train, text, pair, tmp_path):
    common = ["--data", "text.jsonl", "--tokenizer", "pair", "--metrics", "m.jsonl"]
    assert train(*common, "--save", "save", "--save-interval", 1).returncode == 0
    expected = losses(tmp_path / "m.jsonl")
    again = train("--data", text, "--tokenizer", "pair", "--resume", "save/step-000001", "--metrics", "rest.jsonl")
    assert again.returncode == 0, again.stderr
    assert losses(tmp_path / "rest.jsonl") == expected[1:]
    text.write_text(text.read_text() + '{"text": "one more"}\n')
    assert "was trained on other data" in refusal(
        train("--data", text, "--tokenizer", "pair", "--resume", "save/step-000001")
    )


def test_what_cannot_become_tokens_is_refused_in_one_sentence(train, text, pair, tmp_path):
    def problem(*arguments: object, **extra: str) -> str:
        result = train(*arguments, **extra)
        sentence = refusal(result)
        assert result.stderr.count("error:") == 1, result.stderr
        return sentence

    assert "text.jsonl is text: name the tokenizer" in problem("--data", "text.jsonl")
    assert "there is no tokenizer at nowhere" in problem("--data", "text.jsonl", "--tokenizer", "nowhere")
    with_tokenizer = ["--data", "text.jsonl", "--tokenizer", "pair"]
    assert "choose one with --text-field" in problem(*with_tokenizer, "--text-field", "content")
    nothing = problem(*with_tokenizer, GALVATRON_PYTHON="", PATH="/nowhere")
    assert "there is no galvatron-data in PATH" in nothing and "galvatron-data text.jsonl --tokenizer pair" in nothing
    (tmp_path / "file").write_text("")
    assert "cannot make the cache file" in problem(*with_tokenizer, "--data-cache", "file/x")
    write_tokens(tmp_path / "plain", [1, 2, 3])
    (tmp_path / "pairs").mkdir()
    for suffix in (".bin", ".idx"):
        (tmp_path / f"plain{suffix}").rename(tmp_path / "pairs" / f"plain{suffix}")
    assert "is a folder; give pairs/plain" in problem("--data", "pairs", "--tokenizer", "pair")


def test_a_field_is_chosen(train, text, pair):
    body = train("--data", "text.jsonl", "--tokenizer", "pair", "--text-field", "body")
    assert body.returncode == 0, body.stderr

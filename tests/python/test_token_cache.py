"""Texts as training data: token pairs that are made once (galvatron.data.token_cache)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from galvatron.data import Corpus, IndexedDataset, PrepareOptions, prepare
from galvatron.data.sources import ReadOptions
from galvatron.data.token_cache import cached_tokens
from galvatron.errors import ConfigError


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "texts" / "one.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps({"text": f"the {i}th text is of {i * i} words"}) + "\n" for i in range(200)))
    age(path)
    return path


def age(path: Path) -> None:
    """As files are that nobody has just written."""
    os.utime(path, ns=(time.time_ns() - 10**10,) * 2)


@pytest.fixture
def tokenizer(tmp_path: Path, text: Path) -> Path:
    return prepare(Corpus.find([str(text)]), PrepareOptions(tmp_path / "bpe" / "p", bpe_vocab_size=300)).tokenizer


@pytest.fixture
def ask(tmp_path: Path, tokenizer: Path):
    def run(*inputs: object, options: ReadOptions | None = None) -> Path:
        run.said = []
        return cached_tokens([str(one) for one in inputs], tokenizer, tmp_path / "cache", options, run.said.append)

    run.said = []
    return run


def test_tokens_are_those_of_the_data_tool_and_made_once(ask, text, tokenizer, tmp_path):
    prefix = ask(text)
    assert "once" in ask.said[0] and len(ask.said) == 2
    prepare(Corpus.find([str(text)]), PrepareOptions(tmp_path / "plain", tokenizer=tokenizer))
    for suffix in (".bin", ".idx"):
        assert Path(f"{prefix}{suffix}").read_bytes() == (tmp_path / f"plain{suffix}").read_bytes()
    info = json.loads(Path(f"{prefix}.json").read_text())
    assert (prefix.parent / info["tokenizer"]["path"]).read_bytes() == tokenizer.read_bytes()
    before = Path(f"{prefix}.bin").stat()
    assert ask(text) == prefix and ask.said == []
    assert Path(f"{prefix}.bin").stat() == before


def test_what_counts_is_the_content(ask, text, tmp_path):
    prefix = ask(text)
    copy = tmp_path / "elsewhere.jsonl"
    shutil.copyfile(text, copy)
    assert ask(copy) == prefix and ask.said == []
    copy.write_text(copy.read_text() + '{"text": "one more"}\n')
    more = ask(copy)
    assert more != prefix and len(IndexedDataset(more)) == 201
    # The same length, and the same time as before.
    state = copy.stat()
    copy.write_text(copy.read_text().replace("one more", "one less"))
    os.utime(copy, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert ask(copy) != more
    assert ask(text.parent) == prefix  # a folder of it alone


def test_another_tokenizer_or_field_makes_other_tokens(ask, text, tokenizer, tmp_path):
    prefix = ask(text)
    text.write_text('{"text": "a", "body": "b"}\n')
    assert ask(text, options=ReadOptions(field="body")) != ask(text) != prefix
    other = tmp_path / "other.json"
    other.write_text(tokenizer.read_text().replace("<|endoftext|>", "</s>"))
    assert cached_tokens([str(text)], other, tmp_path / "cache", None, ask.said.append) != ask(text)


def test_what_was_changed_in_the_cache_is_not_used(ask, text):
    prefix = ask(text)
    binary = Path(f"{prefix}.bin")
    good = binary.read_bytes()
    binary.write_bytes(good[:-2] + bytes([good[-2] ^ 1, good[-1]]))
    assert ask(text) == prefix
    assert "is not what was written there" in ask.said[0]
    assert binary.read_bytes() == good


def test_a_run_that_is_killed_leaves_nothing_that_counts(ask, text, tokenizer, tmp_path):
    rng = np.random.default_rng(0)
    big = tmp_path / "big.txt"
    big.write_text(" ".join(str(n) for n in rng.integers(0, 10**9, 400_000)))
    command = [sys.executable, "-m", "galvatron.data", "cache", str(big), "--tokenizer", str(tokenizer)]
    job = subprocess.Popen(
        [*command, "--cache", str(tmp_path / "cache")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cache").glob(".*/tokens.bin.tmp*")):
        assert time.monotonic() < deadline and job.poll() is None, job.communicate()
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    assert list((tmp_path / "cache").glob(".*-*"))
    assert not list((tmp_path / "cache").glob("*/tokens.idx"))
    prefix = ask(big)
    assert len(IndexedDataset(prefix)) == 1
    assert not list((tmp_path / "cache").glob(".*-*"))


def test_processes_that_start_together_make_it_once(text, tokenizer, tmp_path):
    command = [sys.executable, "-m", "galvatron.data", "cache", str(text.parent), "--tokenizer", str(tokenizer)]
    jobs = [
        subprocess.Popen(
            [*command, "--cache", str(tmp_path / "cache")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ends = [job.communicate(timeout=60) for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4, ends
    assert len({out for out, _ in ends}) == 1
    assert sum("made" in err for _, err in ends) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"body": "x"}\n', "has no field 'text': it has body; choose one with --text-field"),
        ("no json\n", "is not valid JSON"),
        ("", "the input holds no text"),
    ],
)
def test_what_is_no_text_is_said_in_one_sentence(tokenizer, tmp_path, content, words):
    (tmp_path / "bad.jsonl").write_text(content)
    command = [sys.executable, "-m", "galvatron.data", "cache", "bad.jsonl", "--tokenizer", str(tokenizer)]
    done = subprocess.run([*command, "--cache", "cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and words in done.stdout
    assert done.stdout.count("\n") == 1
    assert not list((tmp_path / "cache").glob("*/"))[1:]  # the checksums alone


def test_a_cache_that_cannot_be(tokenizer, text, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make the cache"):
        cached_tokens([str(text)], tokenizer, tmp_path / "file" / "cache")

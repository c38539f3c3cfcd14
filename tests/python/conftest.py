"""What the tests of the Python side share."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from galvatron.data import cli

if TYPE_CHECKING:
    from hf_models import Reference


@pytest.fixture(scope="session")
def references(tmp_path_factory) -> Callable[..., Reference]:
    """(name, double) -> transformers' side, computed once."""
    import hf_models

    made: dict[tuple[str, bool], Reference] = {}

    def get(name: str, double: bool = False) -> Reference:
        if (name, double) not in made:
            made[name, double] = hf_models.make_reference(name, tmp_path_factory.mktemp(name) / "hf", double)
        return made[name, double]

    return get


@pytest.fixture
def data_tool(capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs galvatron-data in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse's own
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def text_of_words() -> Callable[[int, int], str]:
    """Reproducible text: (seed, number of words)."""

    def make(seed: int, count: int) -> str:
        chooser = random.Random(seed)
        words = ["the", "of", "parallel", "layer", "Müller", "été", "日本語", "x = 1", "\n", "gradient"]
        return " ".join(chooser.choice(words) for _ in range(count))

    return make


@pytest.fixture
def tokenizer_file(tmp_path: Path, text_of_words) -> Path:
    """A small byte-level BPE that was saved with truncation and padding on, as inference tokenizers are."""
    from galvatron.data import tokenizer as tok

    trained = tok.train_bpe(iter([text_of_words(0, 2000)]), vocab_size=300, show_progress=False)
    trained.enable_truncation(max_length=8)
    trained.enable_padding(length=8)
    path = tmp_path / "tokenizer" / "tokenizer.json"
    path.parent.mkdir()
    trained.save(str(path))
    return path

"""Hugging Face tokenizer files: loading, training a byte-level BPE, and the end-of-document token."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galvatron.command_line import ConfigError
from galvatron.files import is_lfs_pointer, lfs_sentence

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TRAINED_END_TOKEN = "<|endoftext|>"
SMALLEST_BPE = 257  # every byte and the end-of-document token
# How well-known tokenizers spell the end of a text, tried in this order when nothing names it.
_USUAL_END_TOKENS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>", "[SEP]")
# Files beside it that say how a document ends.
END_TOKEN_FILES = ("tokenizer_config.json", "special_tokens_map.json", "config.json")
# Files of tokenizers that transformers turns into a tokenizer.json.
_OTHER_TOKENIZERS = (
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "tokenizer.tiktoken",
)


@dataclass(frozen=True)
class EndToken:
    text: str
    id: int


def tokenizer_file(path: Path) -> Path:
    """The tokenizer.json that `path` means: a file, or a folder that holds one. Raises ConfigError."""
    file = path / "tokenizer.json" if path.is_dir() else path
    if file.is_file():
        if is_lfs_pointer(file):
            raise ConfigError(lfs_sentence(file))
        return file
    if path.is_dir():
        others = [name for name in _OTHER_TOKENIZERS if (path / name).exists()]
        hint = f" (only {others[0]}: load it with transformers and save_pretrained() it again)" if others else ""
        raise ConfigError(f"the folder {path} holds no tokenizer.json{hint}")
    raise ConfigError(
        f"there is no tokenizer at {path}; give a Hugging Face tokenizer.json, a folder that holds one, "
        f"or train one with --train-bpe 32000"
    )


def load_tokenizer(file: Path) -> Tokenizer:
    """Raises ConfigError when `file` is no tokenizer."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8-sig"))
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"{file} is no Hugging Face tokenizer file: {error}") from None
    # A tokenizer saved for inference may cut or pad what it is given.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def train_bpe(texts: Iterator[str], vocab_size: int, show_progress: bool) -> Tokenizer:
    """A byte-level BPE as GPT-2's, trained on `texts`; the end-of-document token is id 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if vocab_size < SMALLEST_BPE:
        raise ConfigError(
            f"--train-bpe {vocab_size} is too small: a byte-level BPE needs at least {SMALLEST_BPE} tokens"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[TRAINED_END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=show_progress,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def vocab_size_of(tokenizer: Tokenizer) -> int:
    """How many rows an embedding needs: the largest id plus one, which exceeds the count where ids have holes."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


def find_end_token(tokenizer: Tokenizer, file: Path, wanted: str | None) -> EndToken:
    """`wanted`, else what the files beside `file` say, else a usual one. Raises ConfigError."""
    candidates = [wanted] if wanted is not None else [*_configured_end_token(tokenizer, file), *_USUAL_END_TOKENS]
    for text in candidates:
        if (id := tokenizer.token_to_id(text)) is not None:
            return EndToken(text, id)
    if wanted is not None:
        raise ConfigError(f"the tokenizer {file} has no token '{wanted}' to end documents with")
    raise ConfigError(f"the tokenizer {file} does not say which token ends a document; name it with --end-token")


def _configured_end_token(tokenizer: Tokenizer, file: Path) -> list[str]:
    """What the files beside say, the nearest first: the text of the token, or the model's eos_token_id."""
    out = []
    *token_files, model_file = END_TOKEN_FILES
    for name in token_files:
        value = _json_beside(file, name).get("eos_token")
        text = value.get("content") if isinstance(value, dict) else value
        out += [text] if isinstance(text, str) else []
    ids = _json_beside(file, model_file).get("eos_token_id")
    id_ = ids[0] if isinstance(ids, list) and ids else ids
    known = tokenizer.id_to_token(id_) if isinstance(id_, int) and id_ >= 0 else None
    return out if known is None else [*out, known]


def _json_beside(file: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((file.parent / name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def use_threads(count: int | None) -> None:
    """Must run before the first use of a tokenizer: its thread pool is made once."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    if count is not None:
        os.environ["RAYON_NUM_THREADS"] = str(count)

"""From documents to PREFIX.bin, PREFIX.idx and PREFIX.json."""

from __future__ import annotations

import datetime
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from tqdm import tqdm

from galvatron import __version__
from galvatron.command_line import ConfigError
from galvatron.data import tokenizer as tok
from galvatron.data.indexed_dataset import IndexedDatasetWriter, token_dtype
from galvatron.data.sources import Corpus, Document
from galvatron.files import AtomicFiles, sha256_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

T = TypeVar("T")
INFO_FORMAT = "galvatron-data"
INFO_VERSION = 1
# Text handed to the tokenizer's threads at once; longer documents are cut into pieces at line ends.
BATCH_CHARACTERS = 4 << 20
PIECE_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class PrepareOptions:
    output: Path  # PREFIX
    tokenizer: Path | None = None  # a tokenizer.json or a folder with one; None: train a BPE
    bpe_vocab_size: int = 0
    bpe_train_bytes: int = 512 << 20  # text that the BPE is trained on: the first so many characters
    tokenizer_output: Path | None = None  # of a trained BPE; None: tokenizer.json beside the output
    end_token: str | None = None  # None: the tokenizer's own
    show_progress: bool = False


@dataclass
class Summary:
    """What was written, for the terminal and for PREFIX.json."""

    prefix: Path
    tokenizer: Path
    vocab_size: int
    end_token: tok.EndToken
    dtype: np.dtype
    files: int
    text_bytes: int
    documents: int
    empty_documents: int  # left out
    tokens: int
    seconds: float


def with_suffix(prefix: Path, suffix: str) -> Path:
    """PREFIX.bin of PREFIX: a dot in the prefix is part of its name."""
    return prefix.with_name(prefix.name + suffix)


def prepare(corpus: Corpus, options: PrepareOptions) -> Summary:
    """Writes the pair, its description and, where one was trained, the tokenizer: all of them or none.

    Raises ConfigError for a missing tokenizer, unreadable input, or input without text.
    """
    started = time.monotonic()
    with AtomicFiles() as files:
        bin_path = files.path(with_suffix(options.output, ".bin"))
        tokenizer_path, tokenizer, checksum = _get_tokenizer(corpus, options, files)
        end = tok.find_end_token(tokenizer, tokenizer_path, options.end_token)
        vocab_size = tok.vocab_size_of(tokenizer)
        writer = IndexedDatasetWriter(bin_path, token_dtype(vocab_size))
        try:
            text_bytes, empty = _write_tokens(corpus, tokenizer, end, writer, options.show_progress)
            if writer.num_documents == 0:
                raise ConfigError(f"the input holds no text: {len(corpus.files)} files, {empty} empty documents")
            info_path = with_suffix(options.output, ".json")
            files.path(info_path)
            writer.finish(files.path(with_suffix(options.output, ".idx")))
        finally:
            writer.close()
        summary = Summary(
            prefix=options.output,
            tokenizer=tokenizer_path,
            vocab_size=vocab_size,
            end_token=end,
            dtype=token_dtype(vocab_size),
            files=len(corpus.files),
            text_bytes=text_bytes,
            documents=writer.num_documents,
            empty_documents=empty,
            tokens=writer.num_tokens,
            seconds=time.monotonic() - started,
        )
        files.write_text(info_path, json.dumps(_describe(summary, corpus, checksum), indent=2) + "\n")
        # From here to the end of commit() the old index would describe new tokens.
        with_suffix(options.output, ".idx").unlink(missing_ok=True)
        files.commit()
    return summary


def _get_tokenizer(corpus: Corpus, options: PrepareOptions, files: AtomicFiles) -> tuple[Path, Tokenizer, str]:
    """Its place, the tokenizer, and the checksum of its file."""
    if options.tokenizer is not None:
        path = tok.tokenizer_file(options.tokenizer)
        return path, tok.load_tokenizer(path), sha256_of(path)
    path = options.tokenizer_output or options.output.with_name("tokenizer.json")
    _check_ours_to_replace(path, options)
    with _Progress(
        "training the tokenizer", min(corpus.size, options.bpe_train_bytes), options.show_progress
    ) as progress:
        texts = _training_texts(progress.watch(corpus.documents()), options.bpe_train_bytes)
        tokenizer = tok.train_bpe(texts, options.bpe_vocab_size, show_progress=False)
    tokenizer.save(str(files.path(path)))
    return path, tokenizer, sha256_of(files.path(path))


def _check_ours_to_replace(path: Path, options: PrepareOptions) -> None:
    if not path.exists():
        return
    try:
        described = json.loads(with_suffix(options.output, ".json").read_text(encoding="utf-8"))["tokenizer"]["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        described = None
    if described != sha256_of(path):
        raise ConfigError(
            f"{path} is already there and belongs to something else; write elsewhere with --tokenizer-output, "
            f"or use it with --tokenizer {path}"
        )


def _training_texts(documents: Iterator[Document], limit: int) -> Iterator[str]:
    for document in documents:
        if limit <= 0:
            return
        yield document.text[:limit]
        limit -= len(document.text)


def _write_tokens(
    corpus: Corpus,
    tokenizer: Tokenizer,
    end: tok.EndToken,
    writer: IndexedDatasetWriter,
    show_progress: bool,
) -> tuple[int, int]:
    """Returns the bytes of text written and the number of empty documents left out."""
    text_bytes = empty = 0
    total = min(corpus.size, corpus.options.max_bytes or corpus.size)
    with _Progress("tokenizing", total, show_progress) as progress:
        for batch in _batches(progress.watch(corpus.documents()), lambda document: len(document.text)):
            texts = [document.text for document in batch if document.text and not document.text.isspace()]
            empty += len(batch) - len(texts)
            text_bytes += sum(len(text.encode("utf-8")) for text in texts)
            for ids in _encode(tokenizer, texts):
                writer.add_document(np.append(ids, end.id))
            progress.say(f"{writer.num_tokens:,} tokens")
    return text_bytes, empty


def _encode(tokenizer: Tokenizer, texts: list[str]) -> Iterator[np.ndarray]:
    """Token ids of each text. Long texts are tokenized in pieces, so that they too use all threads."""
    ids: list[list[np.ndarray]] = [[] for _ in texts]
    pieces = ((i, piece) for i, text in enumerate(texts) for piece in _pieces(text))
    for group in _batches(pieces, lambda piece: len(piece[1])):
        encodings = tokenizer.encode_batch_fast([piece for _, piece in group], add_special_tokens=False)
        for (i, _), encoding in zip(group, encodings, strict=True):
            ids[i].append(np.asarray(encoding.ids, dtype=np.int32))
    return map(np.concatenate, ids)


def _pieces(text: str) -> Iterator[str]:
    begin = 0
    while len(text) - begin > PIECE_CHARACTERS:
        end = text.find("\n", begin + PIECE_CHARACTERS) + 1
        if end == 0:
            break
        yield text[begin:end]
        begin = end
    if begin < len(text) or begin == 0:
        yield text[begin:]


def _batches(items: Iterable[T], characters_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of neighbours of about BATCH_CHARACTERS each."""
    batch: list[T] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += characters_of(item) + 100  # empty documents fill a batch too
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _Progress:
    """A bar over the bytes of the input, drawn on stderr."""

    def __init__(self, title: str, total: int, show: bool) -> None:
        self._bar = tqdm(
            total=total,
            desc=title,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            disable=not show,
            leave=False,
        )

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def watch(self, documents: Iterator[Document]) -> Iterator[Document]:
        for document in documents:
            yield document
            self._bar.update(document.input_bytes)

    def say(self, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)


def _describe(summary: Summary, corpus: Corpus, tokenizer_checksum: str) -> dict:
    """PREFIX.json. The tokenizer's path is relative to its folder, so that a corpus can be moved as a whole."""
    import tokenizers

    folder = summary.prefix.parent.resolve()
    place = summary.tokenizer.resolve()
    return {
        "format": INFO_FORMAT,
        "version": INFO_VERSION,
        "vocab_size": summary.vocab_size,
        "dtype": summary.dtype.name,
        "documents": summary.documents,
        "empty_documents_left_out": summary.empty_documents,
        "tokens": summary.tokens,
        "text_bytes": summary.text_bytes,
        "end_of_document": {"token": summary.end_token.text, "id": summary.end_token.id},
        "tokenizer": {
            "path": os.path.relpath(place, folder) if place.is_relative_to(folder) else str(place),
            "sha256": tokenizer_checksum,
        },
        "sources": {"inputs": list(corpus.inputs), "files": summary.files, "bytes": corpus.size},
        "versions": {
            "galvatron": __version__,
            "tokenizers": tokenizers.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }

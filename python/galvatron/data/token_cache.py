"""Token file pairs of texts, made once: what `galvatron train --data text.jsonl --tokenizer DIR` asks for.

An entry is a folder whose name is the fingerprint of all that decides its tokens: the bytes of the texts in their
order, the tokenizer's bytes, how the texts are read, and the version of the library that tokenizes. It appears whole,
and before it is used again its own bytes are held against what was written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from galvatron.command_line import ConfigError, bytes_text
from galvatron.data.compressed import compression_of
from galvatron.data.sources import Corpus, ReadOptions
from galvatron.data.tokenizer import END_TOKEN_FILES, tokenizer_file
from galvatron.files import sha256_of

_LAYOUT = 1  # of an entry
_PREFIX = "tokens"
_SUFFIXES = (".bin", ".idx", ".json")
_CHECKS = "checks.json"
# A file that was written a moment ago may change once more without another time.
_SETTLED_SECONDS = 2.0

Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def cached_tokens(
    inputs: list[str], tokenizer: Path, cache: Path, options: ReadOptions | None = None, say: Say = say_on_stderr
) -> Path:
    """PREFIX of the token pair of the inputs, which is made where the cache has none that is whole.

    Processes that ask for the same at the same time wait for the one that makes it. ConfigError for inputs and a
    tokenizer that cannot be read, and for a cache that cannot be written.
    """
    corpus = Corpus.find(inputs, options)
    file = tokenizer_file(tokenizer)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the cache {cache}: {error.strerror}; name another with --data-cache") from None
    sums = Checksums(cache / "checksums")
    waits = lambda: say(f"{_words(inputs)}: another process makes its tokens; waiting")  # noqa: E731
    # Ranks that start together read the text once.
    paths = json.dumps([str(one.path.resolve()) for one in corpus.files])
    with _only_one(cache / f"{hashlib.sha256(paths.encode()).hexdigest()[:32]}.lock", waits):
        name = _fingerprint(corpus, file, sums)
    entry = cache / name
    with _only_one(cache / f"{name}.lock", waits):
        if entry.is_dir() and not _is_whole(entry, sums):
            say(f"{entry} is not what was written there: its tokens are made again")
            shutil.rmtree(entry)
        if not entry.is_dir():
            _make(corpus, file, entry, say)
    return entry / _PREFIX


class Checksums:
    """SHA-256 of files, of which those that have not been touched since are not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, path: Path) -> str:
        place = str(path.resolve())
        state = _state_of(path)
        note = self._folder / hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:32]
        known = _read_json(note)
        if known.get("state") == state and isinstance(known.get("sha256"), str):
            return known["sha256"]
        checksum = sha256_of(path)
        if state == _state_of(path) and time.time_ns() - state[1] > _SETTLED_SECONDS * 1e9:
            _write_whole(note, json.dumps({"path": place, "state": state, "sha256": checksum}))
        return checksum


def _state_of(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _fingerprint(corpus: Corpus, tokenizer: Path, sums: Checksums) -> str:
    try:
        facts = {
            "layout": _LAYOUT,
            "texts": [[file.format, compression_of(file.path.name), sums.of(file.path)] for file in corpus.files],
            "reading": [corpus.options.field, corpus.options.column, corpus.options.lines_are_documents],
            "tokenizer": sums.of(tokenizer),
            "end": _end_of_document(tokenizer),
            "tokenizers": version("tokenizers"),
        }
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from None
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _end_of_document(tokenizer: Path) -> str:
    """What decides it beside the tokenizer's own file."""
    beside = (tokenizer.with_name(name) for name in END_TOKEN_FILES)
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in beside if file.is_file())


def _make(corpus: Corpus, tokenizer: Path, entry: Path, say: Say) -> None:
    from galvatron.data.corpus_writer import PrepareOptions, prepare

    for half in entry.parent.glob(f".{entry.name}-*"):  # of a process that was killed: we hold the lock
        shutil.rmtree(half, ignore_errors=True)
    need = 2 * corpus.size
    say(
        f"making tokens of {_words(list(corpus.inputs))} ({bytes_text(corpus.size)}) with {tokenizer}, "
        f"once; they are kept in {entry.parent}"
    )
    free = shutil.disk_usage(entry.parent).free
    if free < need:
        say(f"{entry.parent} has {bytes_text(free)} free; up to {bytes_text(need)} may be needed")
    half = entry.with_name(f".{entry.name}-{os.getpid()}")
    try:
        half.mkdir()
        own = half / "tokenizer.json"
        shutil.copyfile(tokenizer, own)
        for name in END_TOKEN_FILES:
            if (beside := tokenizer.with_name(name)).is_file():
                shutil.copyfile(beside, half / name)
        summary = prepare(
            corpus, PrepareOptions(output=half / _PREFIX, tokenizer=own, show_progress=sys.stderr.isatty())
        )
        checks = {name: sha256_of(half / name) for name in _names()}
        (half / _CHECKS).write_text(json.dumps(checks))
        _take_place(half, entry)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    say(
        f"made {summary.tokens:,} tokens of {summary.documents:,} documents in {summary.seconds:.1f} s: "
        f"{entry / _PREFIX}"
    )


def _take_place(half: Path, entry: Path) -> None:
    try:
        half.rename(entry)
    except OSError:  # where there are no locks somebody may have been faster
        if not entry.is_dir():
            raise


def _names() -> list[str]:
    return [_PREFIX + suffix for suffix in _SUFFIXES]


def _is_whole(entry: Path, sums: Checksums) -> bool:
    checks = _read_json(entry / _CHECKS)
    try:
        return all(checks.get(name) == sums.of(entry / name) for name in _names())
    except OSError:
        return False


@contextlib.contextmanager
def _only_one(lock: Path, waits: Callable[[], None]) -> Iterator[None]:
    """The system takes the lock from a process that dies. Where a file system has none, entries still appear whole."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            pass
        yield


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_whole(path: Path, text: str) -> None:
    """What cannot be noted is found out again."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def _words(inputs: list[str]) -> str:
    return ", ".join(inputs)

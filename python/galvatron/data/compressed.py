"""Files as they lie on disk, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
from pathlib import Path
from typing import IO, Any, cast

from galvatron.command_line import ConfigError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
# "BZh" alone may begin a text.
_BEGINNINGS = {b"\x1f\x8b": "gz", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst"}


def without_compression(name: str) -> str:
    """`name` without what says how it is compressed."""
    return next((name[: -len(ending)] for ending in COMPRESSIONS if name.lower().endswith(ending)), name)


def compression_of(name: str) -> str:
    """ "gz" of "a.jsonl.gz", "" of what is not compressed."""
    return name[len(without_compression(name)) :].lower().lstrip(".")


def open_bytes(path: Path) -> IO[bytes]:
    """Uncompressed, as the name says, or the content where the name says nothing.

    ConfigError where nothing here reads this compression, OSError for what cannot be opened.
    """
    kind = compression_of(path.name)
    if not kind and path.is_file():  # a pipe is read once
        with path.open("rb") as file:
            begin = file.read(len(max(_BEGINNINGS, key=len)))
        kind = next((name for bytes_, name in _BEGINNINGS.items() if begin.startswith(bytes_)), "")
    match kind:
        case "gz":
            return cast(IO[bytes], gzip.open(path, "rb"))
        case "bz2":
            return cast(IO[bytes], bz2.open(path, "rb"))
        case "xz":
            return cast(IO[bytes], lzma.open(path, "rb"))
        case "zst":
            return cast(IO[bytes], _zstandard(path).open(path, "rb"))
    return path.open("rb")


def decompression_errors() -> tuple[type[Exception], ...]:
    """What reading damaged files raises beside OSError."""
    found: list[type[Exception]] = [EOFError, lzma.LZMAError]
    for module in _zstandard_modules():
        found.append(module.ZstdError)
    return tuple(found)


def _zstandard(path: Path) -> Any:
    for module in _zstandard_modules():
        return module
    raise ConfigError(f"{path} is compressed by Zstandard, which zstandard reads: pip install zstandard")


def _zstandard_modules() -> list[Any]:
    """Of Python 3.14, of its backport, or zstandard."""
    found = []
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            found.append(importlib.import_module(name))
        except ImportError:
            continue
    return found

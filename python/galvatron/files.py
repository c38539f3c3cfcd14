"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from galvatron.command_line import ConfigError


class AtomicFiles:
    """A set of output files, written beside their places and moved there together at the end.

    Used as a context manager: leaving it by an exception removes what was written. commit() moves the files in the
    order in which they were asked for, so the one that makes the set visible should come last.
    """

    def __init__(self) -> None:
        self._temporaries: dict[Path, Path] = {}

    def __enter__(self) -> AtomicFiles:
        return self

    def __exit__(self, *_) -> None:
        for temporary in self._temporaries.values():
            temporary.unlink(missing_ok=True)

    def path(self, final: Path) -> Path:
        """Where to write the file that will be `final`."""
        if final not in self._temporaries:
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"cannot make the folder {final.parent}: {error.strerror}") from None
            if final.is_dir():
                raise ConfigError(f"{final} is a folder; a file is to be written there")
            if not os.access(final.parent, os.W_OK):
                raise ConfigError(f"cannot write in the folder {final.parent}: permission denied")
            self._temporaries[final] = final.with_name(f"{final.name}.tmp{os.getpid()}")
        return self._temporaries[final]

    def write_text(self, final: Path, text: str) -> None:
        self.path(final).write_text(text, encoding="utf-8")

    def commit(self) -> None:
        for temporary in self._temporaries.values():
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        for final, temporary in self._temporaries.items():
            temporary.replace(final)
        self._temporaries.clear()


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_lfs_pointer(path: Path) -> bool:
    """Does Git LFS keep the content elsewhere, because nobody has pulled it?"""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS_BEGIN)) == _LFS_BEGIN
    except OSError:
        return False


def lfs_sentence(path: Path) -> str:
    return f"{path} is a pointer of Git LFS, not the file: fetch it with git lfs pull"


_LFS_BEGIN = b"version https://git-lfs"

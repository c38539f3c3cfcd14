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

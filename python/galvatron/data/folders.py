"""Folders as they are unpacked, linked and mounted."""

from __future__ import annotations

import os
from pathlib import Path

from galvatron.command_line import ConfigError


def is_clutter(name: str) -> bool:
    """Hidden files, and what archives of a Mac bring along."""
    return name.startswith(".") or name == "__MACOSX"


def files_below(folder: Path) -> list[Path]:
    """Sorted, without clutter. Links to folders are followed; a folder that was met before is not read again.

    Links that lead nowhere are in the list. Raises ConfigError for a folder that cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    out = []

    def fail(error: OSError) -> None:
        raise ConfigError(f"cannot read the folder {error.filename}: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not is_clutter(name)]
        paths = (Path(place, name) for name in names if not is_clutter(name))
        out += [path for path in paths if path.is_file() or not path.exists()]
    return sorted(out)

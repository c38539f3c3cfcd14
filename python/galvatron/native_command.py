"""`galvatron`, the C++ binary, as a command of the installed package or of a checkout, and `galvatron-report`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from galvatron.errors import RuntimeFailure

PACKAGE = Path(__file__).resolve().parent


def find_binary() -> Path:
    """Inside an installed package; of a checkout, in its build folder. RuntimeFailure where it is not built."""
    build = Path(os.environ.get("GALVATRON_BINARY_DIR", PACKAGE.parents[1] / "build" / "release"))
    for candidate in (PACKAGE / "bin" / "galvatron", build / "bin" / "galvatron"):
        if candidate.is_file():
            return candidate
    raise RuntimeFailure(f"the binary is not built: run `make build` in {PACKAGE.parents[1]}, or `pip install .`")


def library_path() -> str | None:
    """LD_LIBRARY_PATH where torch lies elsewhere than beside the package, as in a virtual environment upon another."""
    torch = importlib.util.find_spec("torch")
    if torch is None or not torch.submodule_search_locations:
        return None
    folder = Path(torch.submodule_search_locations[0])
    if folder.parent == PACKAGE.parent:
        return None
    own = [str(folder / "lib"), str(folder.parent / "nvidia" / "nccl" / "lib")]
    return os.pathsep.join([*own, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])


def main() -> None:
    run_binary(sys.argv[1:])


def report() -> None:
    run_binary(["report", *sys.argv[1:]])


def run_binary(arguments: list[str]) -> None:
    try:
        binary = find_binary()
    except RuntimeFailure as failure:
        sys.exit(f"galvatron: {failure}")
    path = library_path() if PACKAGE in binary.parents else None
    environment = {**os.environ, "LD_LIBRARY_PATH": path} if path else dict(os.environ)
    environment.setdefault("GALVATRON_PYTHON", sys.executable)  # tokenizes text that is given as data
    os.execve(binary, [str(binary), *arguments], environment)

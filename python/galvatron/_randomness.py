"""Random state of torch, Python and NumPy that somebody else's code draws from: a user's samples."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import numpy as np
import torch


class Randomness:
    """Random state of its own for the code inside: the same on every rank, and nothing of the caller's is used up."""

    def __init__(self, seed: int) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(_set_random_state, _random_state())
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)
            self._inside = self._first = _random_state()

    def is_untouched(self) -> bool:
        """Has nothing been drawn?"""
        first, inside = self._first, self._inside
        return (
            torch.equal(first[0], inside[0])
            and first[1] == inside[1]
            and all(np.array_equal(a, b) for a, b in zip(first[2], inside[2], strict=True))
        )

    @property
    def state(self) -> tuple[Any, ...]:
        """In plain types."""
        ours, pythons, numpys = self._inside
        return ours, pythons, (numpys[0], numpys[1].tolist(), *numpys[2:])

    @state.setter
    def state(self, state: tuple[Any, ...]) -> None:
        ours, pythons, numpys = state
        self._inside = ours, pythons, (numpys[0], np.array(numpys[1], dtype=np.uint32), *numpys[2:])

    def __enter__(self) -> None:
        self._outside = _random_state()
        _set_random_state(self._inside)

    def __exit__(self, *_: object) -> None:
        self._inside = _random_state()
        _set_random_state(self._outside)


def _random_state() -> tuple[Any, ...]:
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def _set_random_state(state: tuple[Any, ...]) -> None:
    torch.set_rng_state(state[0])
    random.setstate(state[1])
    np.random.set_state(state[2])

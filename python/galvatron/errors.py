"""What can go wrong, as exceptions whose text is one sentence with the values and the way out."""

from __future__ import annotations


class ConfigError(ValueError):
    """Something that was given is impossible. The commands exit with code 2."""


class RuntimeFailure(RuntimeError):
    """A rank, a file system or a device failed while we ran. The commands exit with code 1."""


class InternalError(RuntimeError):
    """A promise of ours did not hold: please report the sentence. The commands exit with code 70."""


class NothingFits(Exception):
    """The search found no plan within the memory. The attributes are those of the plan that needs the least."""

    def __init__(
        self,
        sentence: str,
        *,
        needed_bytes: int,
        memory_bytes: int,
        pp_degree: int,
        num_microbatches: int,
        global_batch: int,
    ) -> None:
        super().__init__(sentence)
        self.needed_bytes = needed_bytes
        """What it needs on its fullest device, the reserve included."""
        self.memory_bytes = memory_bytes
        """What each device may use."""
        self.pp_degree = pp_degree
        self.num_microbatches = num_microbatches
        self.global_batch = global_batch

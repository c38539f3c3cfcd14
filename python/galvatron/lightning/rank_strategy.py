"""What a strategy of several processes is to Lightning, whatever runs in them: devices, ranks, a process group."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from galvatron.lightning._lightning import fabric, part

ParallelStrategy: Any = part("strategies").ParallelStrategy
rank_zero: Any = part("utilities.rank_zero")
rank_zero_utilities: Any = importlib.import_module("lightning_utilities.core.rank_zero")
distributed: Any = fabric("utilities.distributed")


class RankStrategy(ParallelStrategy):
    num_nodes = 1
    _backend: str | None = None

    @property
    def copies_of_a_part(self) -> int:
        """Ranks that read the same part of a batch."""
        return 1

    @property
    def root_device(self) -> torch.device:
        assert self.parallel_devices is not None
        return self.parallel_devices[self.local_rank]

    @property
    def num_processes(self) -> int:
        return len(self.parallel_devices or ())

    def set_world_ranks(self) -> None:
        if self.cluster_environment is not None:
            self.cluster_environment.set_global_rank(self.node_rank * self.num_processes + self.local_rank)
            self.cluster_environment.set_world_size(self.num_nodes * self.num_processes)
        for speaker in (rank_zero, rank_zero_utilities):
            speaker.rank_zero_only.rank = self.global_rank

    def setup_environment(self) -> None:
        super().setup_environment()
        self.set_world_ranks()
        backend = self._backend or distributed._get_default_process_group_backend_for_device(self.root_device)
        distributed._init_dist_connection(self.cluster_environment, backend, timeout=timedelta(minutes=30))

    # --- collectives of Lightning's ---

    def barrier(self, name: str | None = None) -> None:
        if not torch.distributed.is_initialized():
            return
        if torch.distributed.get_backend() == "nccl":
            torch.distributed.barrier(device_ids=[self.root_device.index])
        else:
            torch.distributed.barrier()

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        if not torch.distributed.is_initialized():
            return obj
        box = [obj]
        torch.distributed.broadcast_object_list(box, src)
        return box[0]

    def reduce(self, tensor: Any, group: Any = None, reduce_op: Any = "mean") -> Any:
        """A sum is that over the parts of a batch, each counted once: several ranks may have read the same."""
        if not isinstance(tensor, Tensor):
            return tensor
        out = distributed._sync_ddp_if_available(tensor, group, reduce_op=reduce_op)
        is_sum = str(reduce_op).lower().split(".")[-1] == "sum"
        if group is None and is_sum:
            copies = self.copies_of_a_part
            out = out / copies if out.is_floating_point() else out // copies
        return out

    def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
        count = torch.tensor(int(decision), device=self.root_device)
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(count)
        return bool(count == self.world_size) if all else bool(count)

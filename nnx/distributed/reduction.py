"""Adding up what all ranks have, in an order fixed beforehand.

Every rank sums one slice of the vector: all send it their parts of that slice, it adds them in the order of the
ranks, and all receive the sums. Each rank sends and receives 2 (R - 1) / R of the vector whatever the number R of
ranks, as much as the best of the all-reduces of MPI, of which none promises an order. The sums are the same bits on
all ranks, since each was made on one of them, and the same bits again in the next run.

Source: Thakur, Rabenseifner & Gropp 2005, "Optimization of collective communication operations in MPICH": this is a
reduce-scatter followed by an all-gather.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nnx.distributed.group import Group
from nnx.interface import Array, Backend

DEVICE_BUFFERS = "NNX_MPI_DEVICE_BUFFERS"
"""Set to 1 where MPI takes arrays of the device, such as one that is built for CUDA."""


class Sum:
    """Replaces a vector by the sum of those of all ranks, in place.

    Where the vector lies in the host's memory, or MPI reads the device's, it is sent from there; otherwise a
    copy of it on the host is.
    """

    def __init__(self, group: Group, backend: Backend, length: int, dtype: str) -> None:
        """Make room for vectors of this length."""
        self._group, self._backend, self._dtype = group, backend, dtype
        self._direct = backend.on_host or os.environ.get(DEVICE_BUFFERS) == "1"
        width = -(-length // group.size)
        self._sent, self._parts = self._room(group.size, width), self._room(group.size, width)
        self._total, self._sums = self._room(width), self._room(group.size, width)
        flatten = backend.xp.reshape if self._direct else np.reshape
        self._flat_sent, self._flat_sums = flatten(self._sent, (-1,)), flatten(self._sums, (-1,))
        self._sent[...] = 0  # what is beyond the vector's end is added too

    def _room(self, *shape: int) -> Array:
        if self._direct:
            return self._backend.empty(shape, self._dtype)
        return np.empty(shape, self._dtype)

    def __call__(self, vector: Array) -> None:
        """Add up; all ranks must call this."""
        comm, length = self._group.comm, vector.shape[0]
        self._flat_sent[:length] = vector if self._direct else self._backend.to_numpy(vector)
        self._wait()
        comm.Alltoall(self._sent, self._parts)
        self._total[...] = self._parts[0, ...]
        for rank in range(1, self._group.size):
            self._total += self._parts[rank, ...]
        self._wait()
        comm.Allgather(self._total, self._sums)
        sums = self._flat_sums[:length]
        vector[...] = sums if self._direct else self._backend.asarray(sums, self._dtype)

    def _wait(self) -> None:
        """MPI knows nothing of a device's queue."""
        if self._direct:
            self._backend.synchronize()


def ordered_sum(parts: Any) -> Any:
    """Return the sum over the first axis, added one after another."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total

"""Two buffers of examples on the device: one that the steps run on, one that is being filled."""

from __future__ import annotations

from typing import cast

import numpy as np

from nnx.border import Host
from nnx.inputs import DeviceExamples, Examples, host_parts, transfer
from nnx.interface import Array
from nnx.ops import Ops
from nnx.stored.examples import StoredExamples
from nnx.stored.plan import Rows, Run


class Buffers:
    """Both buffers in one array each, (2 R, ...), one half per buffer, so that one recording serves both.

    Where arrays of the device are NumPy's, a half is read into directly; otherwise into memory of the host, from
    which `show` sends it. `fill` uses no device, so that a thread may call it.

    Attributes:
        examples: both halves.
        order: (2 R,) int64, where in these arrays the rows stand, in the order in which they come.
    """

    def __init__(self, ops: Ops, stored: StoredExamples, rows: int) -> None:
        """Make room for twice so many rows."""
        self._ops, self._stored, self._rows = ops, stored, rows
        first = stored.first()
        sample = transfer(first, ops)
        self.examples = DeviceExamples(*(None if part is None else self._zeros(part) for part in sample))
        self.order = ops.backend.zeros((2 * rows,), "int64")
        kinds = zip(sample, host_parts(first), strict=True)
        self._staged = [
            None if device is None or host is None else self._staging(device, host) for device, host in kinds
        ]
        place = self._hosts(0)[1]
        fits = place is not None and place.dtype == stored.y.dtype and place.shape[1:] == stored.y.shape[1:]
        self._targets = None if fits else stored.y.room(rows)
        for half in (0, 1):  # a row to compute for processes that have none of a batch
            self._write(half, first)

    def _zeros(self, part: Array) -> Array:
        backend = self._ops.backend
        return backend.zeros((2 * self._rows, *part.shape[1:]), backend.dtype_name(part))

    def _staging(self, device: Array, host: Host) -> Host | None:
        if self._ops.backend.on_host:
            return None
        return np.empty((self._rows, *host.shape[1:]), self._ops.backend.dtype_name(device))

    def _hosts(self, half: int) -> list[Host | None]:
        """Return where the host writes the parts of a half."""
        if not self._ops.backend.on_host:
            return self._staged
        begin, end = half * self._rows, (half + 1) * self._rows
        return [None if part is None else part[begin:end] for part in self.examples]

    def fill(self, runs: list[Run], half: int) -> None:
        """Read ranges of rows into a half; raises as `StoredExamples.read`."""
        if not runs:
            return
        hosts = self._hosts(half)
        targets = hosts[1] if self._targets is None else self._targets
        self._write(half, self._stored.read(runs, cast(Host, hosts[0]), cast(Host, targets)))  # neither is None

    def _write(self, half: int, examples: Examples) -> None:
        """Write to a half what has not been read into its place."""
        for host, part in zip(self._hosts(half), host_parts(examples), strict=True):
            if host is not None and part is not None and not np.may_share_memory(host, part):
                host[: len(part)] = part

    def show(self, half: int, order: Rows) -> None:
        """Send a half that has been filled to the device, with the order of its rows."""
        begin, count = half * self._rows, len(order)
        self.order[begin : begin + count] = self._ops.asarray(begin + order, "int64")
        for part, host in zip(self.examples, self._staged, strict=True):
            if part is not None and host is not None:
                part[begin : begin + count, ...] = self._ops.asarray(
                    host[:count], self._ops.backend.dtype_name(part)
                )

"""Who has which rows of a batch, and the batches of one rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnx.distributed.group import Group
from nnx.distributed.normalization import batch_norm, batch_norm_backward
from nnx.inputs import DeviceExamples, Examples
from nnx.interface import Array
from nnx.ops import Ops
from nnx.steps import Batches


@dataclass(frozen=True)
class RankShare:
    """The rows that each rank has of one batch, contiguous and in the order of the ranks; see `layers.Share`.

    A rank that has none, as in a batch of fewer rows than there are ranks, computes a row all the same, so that
    every rank runs the same kernels in the same order; what comes of that row counts for nothing anywhere.

    Attributes:
        group: the ranks.
        bounds: (R + 1,) rank r has the rows bounds[r] to bounds[r + 1] - 1.
        present: how many rows this rank computes.
    """

    group: Group
    bounds: tuple[int, ...]
    present: int

    @staticmethod
    def of(group: Group, rows: int) -> RankShare:
        """Share a batch of so many rows as evenly as can be."""
        bounds = tuple(rows * rank // group.size for rank in range(group.size + 1))
        return RankShare(group, bounds, max(bounds[group.rank + 1] - bounds[group.rank], 1))

    @property
    def first(self) -> int:
        """The number of this rank's first row."""
        return self.bounds[self.group.rank]

    @property
    def rows(self) -> int:
        """How many rows this rank has."""
        return self.bounds[self.group.rank + 1] - self.first

    @property
    def part(self) -> float:
        """Which part of the batch this rank has, in [0, 1]."""
        return self.rows / self.bounds[-1]

    def counts(self, rows: int) -> NDArray[np.float64]:
        """Return how many rows each rank has of an array of which this one has `rows`."""
        return np.diff(self.bounds).astype(np.float64) * (rows / self.present)

    def folded(self, times: int) -> RankShare:
        """See `layers.Share`."""
        return replace(self, bounds=tuple(times * bound for bound in self.bounds), present=times * self.present)

    def batch_norm(
        self,
        ops: Ops,
        x: Array,
        scale: tuple[Array, Array],
        running: tuple[Array, Array],
        momentum: float,
        eps: float,
    ) -> tuple[Array, Array, Array]:
        """See `layers.Share`."""
        return batch_norm(self, ops, x, scale, running, momentum, eps)

    def batch_norm_backward(
        self,
        ops: Ops,
        x: Array,
        gamma: Array,
        statistics: tuple[Array, Array],
        dy: Array,
        into: tuple[Array, Array],
        wants_dx: bool,
    ) -> Array | None:
        """See `layers.Share`."""
        return batch_norm_backward(self, ops, x, gamma, statistics, dy, into, wants_dx)


class RankBatches(Batches):
    """The batches of `Batches`, of which this rank gathers its shares; all that is counted is of the whole ones."""

    def __init__(self, group: Group, ops: Ops, examples: Examples, size: int) -> None:
        """Begin with batch 0 in the given order."""
        super().__init__(ops, examples, size)
        self._group, self._width = group, -(-self.size // group.size)
        if self.steps == 1:
            share = self.share(self.count)
            rows = slice(min(share.first, self.count - 1), min(share.first, self.count - 1) + share.present)
            parts = (None if part is None else part[rows] for part in self.examples)
            self.examples = DeviceExamples(*parts)
        self.order = ops.asarray(self._own(self._host_order), "int64")

    def share(self, rows: int) -> RankShare:
        """Return who has which of the rows of a batch."""
        return RankShare.of(self._group, rows)

    def reorder(self, order: NDArray[np.int64]) -> None:
        """See `Batches.reorder`."""
        if self.steps > 1:
            self._host_order = order
            self.order[...] = self.ops.asarray(self._own(order), "int64")

    def _own(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(own_places(self._group, order, self.size), 0)

    def gather(self, rows: int) -> DeviceExamples:
        """Return this rank's share of the next batch of so many rows."""
        if rows == self.count:
            return self.examples
        present = self.share(rows).present
        return DeviceExamples(*(self._take_share(source, present) for source in self.examples))

    def _take_share(self, source: Array | None, rows: int) -> Array | None:
        if source is None:
            return None
        return self.ops.take_rows(source, self.order, self.number, rows, self._width)


def own_places(group: Group, order: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return what this rank has of an order that is cut into batches of `size`, as `take_rows` finds it.

    Each batch has as many places as the largest share, (batches * places,); -1 stands where there is nothing.
    """
    starts = range(0, len(order), size)
    own = np.full((len(starts), -(-size // group.size)), -1)
    for places, start in zip(own, starts, strict=True):
        batch = order[start : start + size]
        share = RankShare.of(group, len(batch))
        places[: share.rows] = batch[share.first : share.first + share.rows]
    return own.reshape(-1)

"""Batches of examples that stay in a file, of which each rank reads the rows that it computes, and no others."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from nnx.distributed.group import Group
from nnx.distributed.shares import RankBatches, RankShare, own_places
from nnx.errors import DataError, DtypeError, NnxError, ShapeError, StorageError
from nnx.inputs import DeviceExamples, Examples
from nnx.ops import Ops
from nnx.stored import AnyExamples, StoredBatches, StoredExamples
from nnx.stored.batches import Wanted
from nnx.stored.plan import Plan, Rows
from nnx.stored.reading import Ahead

_TOLD: tuple[type[NnxError], ...] = (DataError, DtypeError, ShapeError, StorageError)
"""What reading raises. Each is made of one sentence, so that it can be made again of what another rank has sent."""


def told_as(failure: NnxError) -> type[NnxError]:
    """Return as what all ranks raise an error of one of them, whose own kind may be made of other things."""
    return next((kind for kind in _TOLD if isinstance(failure, kind)), NnxError)


class StoredRankBatches(StoredBatches):
    """The batches of `StoredBatches`, of which this rank reads its shares; what is counted is of the whole ones.

    The order is that of one process. Each rank draws all of it, and holds no rows but its own.
    """

    def __init__(
        self, group: Group, ops: Ops, examples: StoredExamples, size: int, plan: Plan, repeated: bool
    ) -> None:
        """Begin in the order of the file; see `StoredBatches`."""
        super().__init__(ops, examples, size, plan, repeated, width=-(-size // group.size))
        self._group = group

    def share(self, rows: int) -> RankShare:
        """Return who has which of the rows of a batch."""
        return RankShare.of(self._group, rows)

    def gather(self, rows: int) -> DeviceExamples:
        """Return this rank's share of the next batch of so many rows."""
        return super().gather(self.share(rows).present)

    def _fill(self, wanted: Wanted, half: int) -> Rows:
        places = own_places(self._group, self._plan.order(*wanted), self.size)
        held = np.sort(places[places >= 0])
        self._buffers.fill(self._plan.runs_of(*wanted, held), half)
        return np.where(places >= 0, np.searchsorted(held, places), 0)

    def _arrived(self, ahead: Ahead[Rows]) -> Rows:
        """See `StoredBatches`; what one rank cannot train on, all of them refuse in the same words.

        Raises:
            DataError, DtypeError, ShapeError, StorageError: the first that a rank has found, in their order.
            NnxError: another error that a rank has met in nnx, in its words.
        """
        failure: NnxError | None = None
        try:
            order = ahead.result()
        except NnxError as error:
            failure = error
        found = self._group.collect(None if failure is None else (told_as(failure), str(failure)))
        for told in found:
            if told is not None:
                kind, text = told
                raise self._group.agree_on(kind(text)) from failure
        return order


AnyRankBatches: TypeAlias = RankBatches | StoredRankBatches


def make_rank_batches(
    group: Group, ops: Ops, examples: AnyExamples, size: int, repeated: bool = True
) -> AnyRankBatches:
    """Return batches of examples; see `nnx.steps.make_batches`."""
    size = min(size, examples.count)
    if isinstance(examples, Examples):
        return RankBatches(group, ops, examples, size)
    plan = examples.plan(size, np.dtype(ops.dtype).itemsize)
    if plan.buffers == 1:
        return RankBatches(group, ops, examples.all(), size)
    return StoredRankBatches(group, ops, examples, size, plan, repeated)

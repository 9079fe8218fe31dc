"""Batches of examples that stay in a file, handed to the same steps as those in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx.inputs import DeviceExamples
from nnx.interface import Array
from nnx.ops import Ops
from nnx.stored.buffers import Buffers
from nnx.stored.examples import StoredExamples
from nnx.stored.plan import Plan, Rows, Shuffle
from nnx.stored.reading import Ahead

Wanted = tuple[Shuffle | None, int]
"""A buffer of an epoch."""


class StoredBatches:
    """What `nnx.steps.Batches` is for examples in memory, with the same attributes and methods.

    A step finds its batch by `place`, its number within both buffers. While steps run on one buffer, a thread reads
    the next, at the end of an epoch the first one of the epoch after it, whose order is known.
    """

    def __init__(
        self,
        ops: Ops,
        examples: StoredExamples,
        size: int,
        plan: Plan,
        repeated: bool,
        width: int | None = None,
    ) -> None:
        """Begin in the order of the file.

        Args:
            ops: of the model.
            examples: more than one buffer of them.
            size: examples per batch.
            plan: in what order they come.
            repeated: whether another epoch is likely to follow, whose beginning is read ahead.
            width: how many examples of a batch are held here at most; all of them by default.
        """
        self.ops, self.size, self.count = ops, size, examples.count
        self.steps = -(-self.count // size)
        self.rows = np.minimum(size, self.count - size * np.arange(self.steps))
        self.padded = examples.lengths is not None and examples.stretch is not None
        self.number, self.place = ops.backend.zeros((), "int64"), ops.backend.zeros((), "int64")
        self._plan, self._repeated = plan, repeated
        self._width = size if width is None else width
        self._outputs = examples.real_outputs()
        self._buffers = Buffers(ops, examples, plan.buffer // size * self._width)
        self._shuffle: Shuffle | None = None
        self._half = 1
        self._shown: Wanted | None = None
        self._ahead: tuple[Wanted, Ahead[Rows]] | None = None

    @property
    def examples(self) -> DeviceExamples:
        """Both buffers, on the device."""
        return self._buffers.examples

    @property
    def counters(self) -> tuple[Array, ...]:
        """What a step counts up, 0-d on the device."""
        return self.number, self.place

    def shuffle(self, seed: int, epoch: int) -> None:
        """Take the order of an epoch."""
        self._shuffle = Shuffle(seed, epoch)

    def restart(self, batch: int = 0) -> None:
        """Go to a batch."""
        self.number[...] = batch
        self._go_to(batch)

    def ranges(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the batches start to stop - 1 in ranges (first, last), each when its buffer is there.

        Raises:
            DataError, DtypeError, StorageError: the thread that reads found what cannot be trained on.
        """
        width = self._plan.buffer // self.size
        while start < stop:
            last = min(stop, (start // width + 1) * width)
            self._go_to(start)
            yield start, last
            start = last

    def _go_to(self, batch: int) -> None:
        number, within = divmod(batch, self._plan.buffer // self.size)
        if number < self._plan.buffers:
            self._show((self._shuffle, number))
        self.place[...] = self._half * (self._plan.buffer // self.size) + within

    def _show(self, wanted: Wanted) -> None:
        if self._shown == wanted:
            return
        if self._ahead is None or self._ahead[0] != wanted:
            self._begin(wanted)
        assert self._ahead is not None
        order = self._arrived(self._ahead[1])
        self._half, self._shown = 1 - self._half, wanted
        self._buffers.show(self._half, order)
        self._ahead = None
        following = self._following(wanted)
        if following is not None:
            self._begin(following)

    def _arrived(self, ahead: Ahead[Rows]) -> Rows:
        """Wait for a buffer; return where in it the rows stand, in the order in which they come."""
        return ahead.result()

    def _begin(self, wanted: Wanted) -> None:
        """Begin to read a buffer into the half that is not in use."""
        self.close()
        half = 1 - self._half
        self._ahead = wanted, Ahead(lambda: self._fill(wanted, half))

    def _fill(self, wanted: Wanted, half: int) -> Rows:
        """Read a buffer into a half; return as `_arrived` does."""
        self._buffers.fill(self._plan.runs(*wanted), half)
        return self._plan.order(*wanted)

    def _following(self, shown: Wanted) -> Wanted | None:
        shuffle, number = shown
        if number + 1 < self._plan.buffers:
            return shuffle, number + 1
        if not self._repeated:
            return None
        return None if shuffle is None else Shuffle(shuffle.seed, shuffle.epoch + 1), 0

    def close(self) -> None:
        """Wait for what is being read: nothing is left that goes on by itself."""
        if self._ahead is not None:
            self._ahead[1].wait()
            self._ahead = None

    def real_outputs(self, start: int, stop: int) -> int:
        """Return how many outputs the batches start to stop - 1 hold, one per real step of every example."""
        if isinstance(self._outputs, int):
            return self._outputs * int(self.rows[start:stop].sum())
        width, found = self._plan.buffer // self.size, 0
        for number in range(start // width, -(-stop // width)):
            rows = self._plan.rows(self._shuffle, number)
            first, last = (max(batch - number * width, 0) * self.size for batch in (start, stop))
            found += int(self._outputs[rows[first:last]].sum())
        return found

    def gather(self, rows: int) -> DeviceExamples:
        """Return the next batch, from the buffer that is in use."""
        batch = DeviceExamples(*(self._take(source, rows) for source in self._buffers.examples))
        self.ops.call(self.ops.backend.increment, self.place)
        return batch

    def _take(self, source: Array | None, rows: int) -> Array | None:
        if source is None:
            return None
        return self.ops.take_rows(source, self._buffers.order, self.place, rows, self._width)

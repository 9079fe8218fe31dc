"""Gathers, counters and counts."""

from __future__ import annotations

import functools
import operator

import numpy as np

from nnx.interface import Array
from nnx_cupy.kernels import C_TYPES, Group, Instance
from nnx_cupy.launch import Launcher

ADD = Group("indexing", ("add",))
TAKE_ROWS = Group("indexing", ("take_rows",))
JOIN = Group("indexing", ("join", "split"))
LOAD_AT = Group("indexing", ("load_at",))
STORE_AT = Group("indexing", ("store_at",))
INCREMENT = Group("indexing", ("increment",))
ARGMAX = Group("indexing", ("argmax", "count_correct"))
COUNT_BINARY = Group("indexing", ("count_correct_binary",))

ITEMS = {1: "uchar1", 2: "ushort1", 4: "uint1", 8: "uint2", 16: "uint4"}
"""CUDA's vector types by size: what elements of any dtype are moved as."""

_LARGEST_ITEM = max(ITEMS)


def item_size(*lengths_and_addresses: int) -> int:
    """Return how many bytes may be moved at once: what divides rows and addresses."""
    common = functools.reduce(operator.or_, lengths_and_addresses, _LARGEST_ITEM)
    return common & -common


class Indexing(Launcher):
    """Kernels that gather, store and count."""

    def add(self, a: Array, b: Array, out: Array) -> None:
        """One grid-stride pass."""
        kernel, size = ADD.of("add", out.dtype), np.int64(out.size)
        self.launch_elements(kernel, self.packs(out), self.contiguous(a), self.contiguous(b), out, size)

    def take_rows(self, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
        """One thread per item, an item being as many bytes as divide rows and addresses; no dtypes."""
        source, order = self.contiguous(source), self.contiguous(order)
        row = out.nbytes // max(out.shape[0], 1)
        item = item_size(row, self.runtime.address(source), self.runtime.address(out))
        kernel = Instance(TAKE_ROWS, "take_rows", ITEMS[item])
        numbers = np.int64(out.nbytes // item), np.int64(row // item), np.int64(batch_size)
        self.launch_elements(kernel, out.nbytes // item, source, order, batch, out, *numbers)

    def join(self, a: Array, b: Array, out: Array) -> None:
        """One thread per item, as in `take_rows`."""
        a, b = self.contiguous(a), self.contiguous(b)
        self._halves("join", out, a, b, a, b, out)

    def split(self, x: Array, a: Array, b: Array) -> None:
        """One thread per item, as in `take_rows`."""
        x = self.contiguous(x)
        self._halves("split", x, a, b, x, a, b)

    def _halves(self, name: str, whole: Array, a: Array, b: Array, *arrays: Array) -> None:
        rows = [part.shape[1] * part.itemsize for part in (a, b)]
        item = item_size(*rows, *map(self.runtime.address, arrays))
        numbers = (np.int64(bytes_ // item) for bytes_ in (whole.nbytes, *rows))
        self.launch_elements(Instance(JOIN, name, ITEMS[item]), whole.nbytes // item, *arrays, *numbers)

    def load_at(self, source: Array, index: Array, out: Array) -> None:
        """One thread."""
        kernel = Instance(LOAD_AT, "load_at", ITEMS[out.dtype.itemsize])
        self.launch_elements(kernel, 1, self.contiguous(source), index, out)

    def store_at(self, value: Array, index: Array, out: Array) -> None:
        """One thread."""
        kernel = STORE_AT.of("store_at", value.dtype, C_TYPES[out.dtype])
        self.launch_elements(kernel, 1, value, index, out, np.int64(out.size))

    def increment(self, counter: Array) -> None:
        """One thread."""
        self.launch_elements(INCREMENT.of("increment", counter.dtype), 1, counter)

    def argmax(self, x: Array, out: Array) -> None:
        """A team of threads per row."""
        self.launch_rows(ARGMAX.of("argmax", x.dtype), x.shape, self.contiguous(x), out)

    def count_correct(self, logits: Array, labels: Array, count: Array) -> None:
        """A team of threads per row."""
        kernel = ARGMAX.of("count_correct", logits.dtype)
        arguments = self.contiguous(logits), self.contiguous(labels), count
        self.sum_rows(kernel, logits.shape, *arguments, dtype=count.dtype)

    def count_correct_binary(self, logits: Array, targets: Array, count: Array) -> None:
        """One grid-stride pass."""
        kernel = COUNT_BINARY.of("count_correct_binary", logits.dtype)
        arguments = self.contiguous(logits), self.contiguous(targets), count, np.int64(logits.size)
        self.sum_elements(kernel, logits.size, *arguments, dtype=count.dtype)

"""Moving rows, adding and counting."""

from __future__ import annotations

from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.ops.core import OpsCore


class Indexing(OpsCore):
    """Operations that gather and count."""

    def add(self, a: Array, b: Array) -> Array:
        """Add elementwise."""
        self.same("add", a=a, b=b)
        out = self.like(a)
        self.call(self.backend.add, a, b, out)
        return out

    def join(self, a: Array, b: Array) -> Array:
        """Lay two arrays side by side along the last axis: (..., A), (..., B) -> (..., A + B)."""
        if a.shape[:-1] != b.shape[:-1]:
            raise ShapeError(f"join expects arrays alike but for the last axis, got {a.shape} and {b.shape}.")
        out = self.empty(*a.shape[:-1], a.shape[-1] + b.shape[-1])
        self.call(self.backend.join, self.rows(a), self.rows(b), self.rows(out))
        return out

    def split(self, x: Array, width: int) -> tuple[Array, Array]:
        """Cut the last axis after `width` elements: (..., F) -> (..., width), (..., F - width)."""
        a, b = self.empty(*x.shape[:-1], width), self.empty(*x.shape[:-1], x.shape[-1] - width)
        self.call(self.backend.split, self.rows(x), self.rows(a), self.rows(b))
        return a, b

    def take_rows(self, source: Array, order: Array, batch: Array, rows: int, batch_size: int) -> Array:
        """Gather `rows` rows of batch number `batch`: (M, ...) -> (rows, ...)."""
        out = self.backend.empty((rows, *source.shape[1:]), self.backend.dtype_name(source))
        self.call(self.backend.take_rows, source, order, batch, out, batch_size)
        return out

    def argmax(self, x: Array) -> Array:
        """Index of the largest element of each row: (N, C) -> (N,) int64."""
        out = self.empty(x.shape[0], dtype="int64")
        self.call(self.backend.argmax, x, out)
        return out

    def count_correct(self, logits: Array, labels: Array) -> Array:
        """Number of rows whose argmax is the label: a 0-d int64 array."""
        count = self.scalar("int64")
        self.call(self.backend.count_correct, logits, labels, count)
        return count

    def count_correct_binary(self, logits: Array, targets: Array) -> Array:
        """Number of elements on the right side of zero: a 0-d int64 array."""
        count = self.scalar("int64")
        self.call(self.backend.count_correct_binary, logits, targets, count)
        return count

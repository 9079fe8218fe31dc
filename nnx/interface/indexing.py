"""Moving rows and scalars, adding, and counting."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays


class Indexing(Arrays):
    """Kernels that gather, store and count. All but `add` are exact copies or integers."""

    def add(self, a: Array, b: Array, out: Array) -> None:
        """Add elementwise.

            out = a + b

        Shapes: a, b, out alike.
        """
        reference.add(self.xp, a, b, out)

    def take_rows(self, source: Array, order: Array, batch: Array, out: Array, batch_size: int) -> None:
        """Gather one batch, row i of out after row i.

            out[i] = source[order[batch batch_size + i]]

        Shapes: source (M, ...), order (M,) int64, batch () int64, out (N, ...) with N <= batch_size. source
        and out are of any one dtype. The last, ragged batch of an epoch has N < batch_size.
        """
        reference.take_rows(self.xp, source, order, batch, out, batch_size)

    def join(self, a: Array, b: Array, out: Array) -> None:
        """Lay two matrices side by side: out = [a, b].

        Shapes: a (N, A), b (N, B), out (N, A + B).
        """
        reference.join(self.xp, a, b, out)

    def split(self, x: Array, a: Array, b: Array) -> None:
        """Take them apart again: [a, b] = x.

        Shapes: x (N, A + B), a (N, A), b (N, B).
        """
        reference.split(self.xp, x, a, b)

    def load_at(self, source: Array, index: Array, out: Array) -> None:
        """Read one element: out = source[index].

        Shapes: source (S,), index () int64, out () of the dtype of source.
        """
        reference.load_at(self.xp, source, index, out)

    def store_at(self, value: Array, index: Array, out: Array) -> None:
        """Write one element, in place, and leave all others: out[index] = value, converted to the dtype of out.

        Shapes: value (), index () int64, out (S,).
        """
        reference.store_at(self.xp, value, index, out)

    def increment(self, counter: Array) -> None:
        """Add one, in place: counter = counter + 1.

        Shapes: counter () int64.
        """
        reference.increment(self.xp, counter)

    def argmax(self, x: Array, out: Array) -> None:
        """Find the largest element of each row; the first of equals, and the first NaN where there is one.

        Shapes: x (N, C), C >= 1; out (N,) int64.
        """
        reference.argmax(self.xp, x, out)

    def count_correct(self, logits: Array, labels: Array, count: Array) -> None:
        """Count the rows whose `argmax` is the label.

        Shapes: logits (N, C), labels (N,) int64, count () int64.
        """
        reference.count_correct(self.xp, logits, labels, count)

    def count_correct_binary(self, logits: Array, targets: Array, count: Array) -> None:
        """Count the elements where (logits > 0) equals (targets > 0.5); a NaN logit counts as not > 0.

        Shapes: logits, targets (N, O), count () int64.
        """
        reference.count_correct_binary(self.xp, logits, targets, count)

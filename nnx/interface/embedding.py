"""Looking tokens up in a table of vectors."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays


class Embedding(Arrays):
    """Kernels on tables. Letters: V rows of the table, E features, N tokens."""

    def embedding(self, tokens: Array, table: Array, y: Array) -> None:
        """Look every token up.

            y[i] = table[tokens[i]]

        Shapes: tokens (N,) int64 in 0..V-1, table (V, E), y (N, E).
        """
        reference.embedding(self.xp, tokens, table, y)

    def embedding_backward(self, tokens: Array, dy: Array, dtable: Array) -> None:
        """Gradient of `embedding`.

            dtable[v] = sum dy[i]    over all i with tokens[i] = v; 0 where there is none

        What a NaN or an infinity in dy does to the rows of other tokens is left open: a product with one-hot rows,
        which is one way to compute this, spreads it as NaN.

        Shapes: tokens (N,) int64 in 0..V-1, dy (N, E), dtable (V, E).
        """
        reference.embedding_backward(self.xp, tokens, dy, dtable)

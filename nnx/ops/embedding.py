"""Looking tokens up in a table of vectors."""

from __future__ import annotations

from nnx.interface import Array
from nnx.ops.core import OpsCore


class Embedding(OpsCore):
    """Operations on tables."""

    def embedding(self, tokens: Array, table: Array) -> Array:
        """Look every token up: tokens (...) int64, each from 0 to V - 1, table (V, E) -> (..., E).

        Raises:
            DtypeError: the tokens are not int64.
        """
        self.whole_numbers("embedding", tokens=tokens)
        y = self.empty(*tokens.shape, table.shape[1])
        self.call(self.backend.embedding, self.flat(tokens), table, self.rows(y))
        return y

    def embedding_backward(self, tokens: Array, dy: Array, dtable: Array) -> None:
        """Write the gradient of the table into dtable (V, E), given that of y, dy (..., E).

        Raises:
            DtypeError: the tokens are not int64, or dy has another dtype than dtable.
            ShapeError: dy holds not one vector for each token.
        """
        self.whole_numbers("embedding_backward", tokens=tokens)
        self.fit("embedding_backward", (*tokens.shape, dtable.shape[1]), dtable, dy=dy)
        self.call(self.backend.embedding_backward, self.flat(tokens), self.rows(dy), dtable)

"""Tables of vectors: gathers, and gradients by blocks that look for the tokens of their rows."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_cupy.indexing import ITEMS, item_size
from nnx_cupy.kernels import Group, Instance
from nnx_cupy.launch import BLOCK, WARP, Launcher

EMBEDDING = Group("embedding", ("embedding",))
EMBEDDING_BACKWARD = Group("embedding", ("embedding_backward",))

_SUMS_BYTES = 16384
"""Shared memory of a block for its rows of the table: see embedding.cu."""

_SHORT = 512
"""Tokens below which blocks do not share them: their sums would take as long to join."""


class Embedding(Launcher):
    """Kernels on tables."""

    def embedding(self, tokens: Array, table: Array, y: Array) -> None:
        """One thread per item, as in `take_rows`."""
        tokens, table = self.contiguous(tokens), self.contiguous(table)
        row = table.shape[1] * table.itemsize
        item = item_size(row, self.runtime.address(table), self.runtime.address(y))
        numbers = np.int64(y.nbytes // item), np.int64(row // item)
        kernel = Instance(EMBEDDING, "embedding", ITEMS[item])
        self.launch_elements(kernel, y.nbytes // item, tokens, table, y, *numbers)

    def embedding_backward(self, tokens: Array, dy: Array, dtable: Array) -> None:
        """Blocks share the table, and the tokens where it is small; sums in the order of the tokens."""
        (rows, features), count = dtable.shape, int(tokens.size)
        width = max(WARP, min(BLOCK, 1 << max(features - 1, 0).bit_length()))
        held = _SUMS_BYTES // dtable.itemsize
        tiles = -(-rows // (held // width)) * -(-features // width)
        slices = max(1, min(self.busy // max(tiles, 1), count // _SHORT))
        share = -(-count // slices)
        scratch = self.scratch(dtable.dtype, tiles * slices * held if slices > 1 else 1, tiles)
        sizes = (np.int64(number) for number in (count, rows, features))
        numbers = *sizes, np.int32(width), np.int64(tiles), np.int64(slices), np.int64(share)
        kernel = EMBEDDING_BACKWARD.of("embedding_backward", dtable.dtype)
        arrays = self.contiguous(tokens), self.contiguous(dy), dtable
        self.launch(kernel, (tiles * slices,), (*arrays, *numbers, *scratch))

"""Random bits that depend on where they are used, never on when, and dropout made of them."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays

LANES = 16
"""Random lanes of 16 bits in one Philox block of four 64-bit words."""


class Dropout(Arrays):
    """Kernels on counter-based random bits. Letters: N rows (samples), F features."""

    def random_bits(self, step: Array, out: Array, seed: int, stream: int) -> None:
        """Fill out with random integers 0..65535, the same on every backend, bit for bit.

        out[i, f] is lane f % 16 of the Philox4x64-10 block with key (seed, stream) and counter
        (f // 16, i, step, 0), lowest word first; lane l is bits 16 (l % 4) to 16 (l % 4) + 15 of word l // 4.

        Shapes: step () int64, counted from 0; out (N, F) int32.
        Attributes: seed and stream, 0 to 2^64 - 1.
        Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
        """
        reference.random_bits(self.xp, step, out, seed, stream)

    def dropout(
        self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """Inverted dropout.

            y = x 65536 / threshold    where the random bits are below threshold
            y = 0    elsewhere

        The bits are those of `random_bits`, so forward and backward (the same kernel on dy) agree without a
        stored mask. A dropped element is 0 even where x is infinite or NaN. Row i has the bits of row sample + i of
        `random_bits`: processes that share a batch each hold some of its rows.

        Shapes: x, y (N, F); step () int64.
        Attributes: threshold, 1 to 65536: the probability of keeping an element times 65536; sample, at least 0:
        the number of the first row in the batch.
        Source: Srivastava et al. 2014.
        """
        reference.dropout(self.xp, x, step, y, seed, stream, threshold, sample)

    def channel_dropout(
        self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """`dropout` of whole channels: all places of a channel share the random bits of (row, channel).

        Shapes: x, y (N, P, C), P places, C channels; step () int64. The bits are those of an (N, C) array.
        Attributes: as in `dropout`.
        Source: Tompson et al. 2015.
        """
        reference.channel_dropout(self.xp, x, step, y, seed, stream, threshold, sample)

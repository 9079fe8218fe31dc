"""Recurrent networks, one file each in `sequences`."""

from __future__ import annotations

from nnx_numba.sequences.gru import Gru
from nnx_numba.sequences.lstm import Lstm
from nnx_numba.sequences.simple_rnn import SimpleRnn


class Recurrent(SimpleRnn, Lstm, Gru):
    """Kernels that go through sequences step by step."""

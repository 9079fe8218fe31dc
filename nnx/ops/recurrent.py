"""Sequences, and the tables of vectors that they often begin with."""

from __future__ import annotations

import math
from typing import NamedTuple

from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.ops.core import OpsCore


class LstmRun(NamedTuple):
    """What `lstm` leaves behind: y, gates and cells of every step, and the last states."""

    y: Array
    gates: Array
    cells: Array
    h_last: Array
    c_last: Array


class GruRun(NamedTuple):
    """What `gru` leaves behind: y and gates of every step, and the last state."""

    y: Array
    gates: Array
    h_last: Array


class Recurrent(OpsCore):
    """Operations on sequences (N, T, F); lengths, h0, c0 and reverse as in `nnx.interface.recurrent`."""

    def simple_rnn(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> tuple[Array, Array]:
        """Return y (N, T, H) and the last state (N, H)."""
        y, h_last = self._states("simple_rnn", xw, u, 1, lengths, h0)
        self.call(self.backend.simple_rnn, xw, u, lengths, h0, y, h_last, activation, alpha, reverse)
        return y, h_last

    def simple_rnn_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        dy: Array | None,
        dh_last: Array | None,
        du: Array,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> tuple[Array, Array | None]:
        """Write the gradient of u into du; return those of xw, and of h0 if there is one."""
        dxw, dh0 = self.like(y), None if h0 is None else self.like(h0)
        arrays = (u, lengths, h0, y, dy, dh_last, dxw, du, dh0)
        self.call(self.backend.simple_rnn_backward, *arrays, activation, alpha, reverse)
        return dxw, dh0

    def lstm(
        self, xw: Array, u: Array, lengths: Array | None, h0: Array | None, c0: Array | None, reverse: bool
    ) -> LstmRun:
        """Run long short-term memory over xw (N, T, 4 H)."""
        y, h_last = self._states("lstm", xw, u, 4, lengths, h0, c0)
        run = LstmRun(y, self.like(xw), self.like(y), h_last, self.like(h_last))
        self.call(self.backend.lstm, xw, u, lengths, h0, c0, *run, reverse)
        return run

    def lstm_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        run: LstmRun,
        dy: Array | None,
        dh_last: Array | None,
        dc_last: Array | None,
        du: Array,
        reverse: bool,
    ) -> tuple[Array, Array | None, Array | None]:
        """Write the gradient of u into du; return those of xw, and of h0 and c0 where there are any."""
        dxw = self.like(run.gates)
        dh0, dc0 = (None if given is None else self.like(given) for given in (h0, c0))
        arrays = (u, lengths, h0, c0, run.y, run.gates, run.cells, dy, dh_last, dc_last, dxw, du, dh0, dc0)
        self.call(self.backend.lstm_backward, *arrays, reverse)
        return dxw, dh0, dc0

    def gru(
        self, xw: Array, u: Array, b: Array | None, lengths: Array | None, h0: Array | None, reverse: bool
    ) -> GruRun:
        """Run gated recurrent units over xw (N, T, 3 H)."""
        y, h_last = self._states("gru", xw, u, 3, lengths, h0)
        run = GruRun(y, self.empty(*y.shape[:2], 4 * y.shape[2]), h_last)
        self.call(self.backend.gru, xw, u, b, lengths, h0, *run, reverse)
        return run

    def gru_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        run: GruRun,
        dy: Array | None,
        dh_last: Array | None,
        du: Array,
        db: Array | None,
        reverse: bool,
    ) -> tuple[Array, Array | None]:
        """Write the gradients of u and b into du and db; return those of xw, and of h0 if there is one."""
        shape = (*run.y.shape[:2], u.shape[1])
        dxw, dhu, dh0 = self.empty(*shape), self.empty(*shape), None if h0 is None else self.like(h0)
        arrays = (u, lengths, h0, run.y, run.gates, dy, dh_last, dxw, dhu, du, db, dh0)
        self.call(self.backend.gru_backward, *arrays, reverse)
        return dxw, dh0

    def _states(
        self, operation: str, xw: Array, u: Array, gates: int, lengths: Array | None, *states: Array | None
    ) -> tuple[Array, Array]:
        """Check a call, and allocate y and the last state."""
        units = u.shape[0]
        if xw.ndim != 3 or xw.shape[2] != gates * units:
            raise ShapeError(f"{operation} expects sequences (N, T, {gates * units}), got {tuple(xw.shape)}.")
        count, steps, _ = xw.shape
        if lengths is not None and tuple(lengths.shape) != (count,):
            raise ShapeError(f"{operation} expects one length for each of {count} sequences, got {lengths.shape}.")
        for state in states:
            if state is not None and tuple(state.shape) != (count, units):
                raise ShapeError(f"{operation} expects states ({count}, {units}), got {tuple(state.shape)}.")
        return self.empty(count, steps, units), self.empty(count, units)

    def embedding(self, tokens: Array, table: Array) -> Array:
        """Look tokens up: (...) int64 -> (..., E)."""
        y = self.empty(*tokens.shape, table.shape[1])
        self.call(self.backend.embedding, self._flat(tokens), table, self.rows(y))
        return y

    def embedding_backward(self, tokens: Array, dy: Array, dtable: Array) -> None:
        """Write the gradient of the table into dtable."""
        self.call(self.backend.embedding_backward, self._flat(tokens), self.rows(dy), dtable)

    def _flat(self, tokens: Array) -> Array:
        return self.reshape(tokens, (math.prod(tokens.shape),))

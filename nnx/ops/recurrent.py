"""Recurrent networks over whole sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.ops.core import OpsCore


class LstmRun(NamedTuple):
    """What `lstm` leaves behind.

    Attributes:
        y, cells: (N, T, H), the states h and c after each step.
        gates: (N, T, 4 H).
        h_last, c_last: (N, H), the last states.
    """

    y: Array
    gates: Array
    cells: Array
    h_last: Array
    c_last: Array


class GruRun(NamedTuple):
    """What `gru` leaves behind.

    Attributes:
        y: (N, T, H), the state after each step.
        gates: (N, T, 4 H).
        h_last: (N, H), the last state.
    """

    y: Array
    gates: Array
    h_last: Array


class Recurrent(OpsCore):
    """Operations on sequences. Letters: N sequences, T steps, H units of state, G gates.

    Everywhere: xw (N, T, G H), u (H, G H), lengths (N,) int64 in 0..T or None for T; h0, c0 (N, H) or None for
    zeros, each for itself; y, dy (N, T, H); dh_last, dc_last (N, H), like dy None where nothing depends on them;
    du (H, G H). G is 1, 4 (i, f, g, o) and 3 (z, r, n). Meaning as in `nnx.interface.recurrent`.

    Everywhere, before the kernel runs:
        ShapeError: an array has another shape than that.
        DtypeError: lengths are not int64, or another array has another dtype than u; one is no array at all.
        BackendError: an array lives on another backend.
    """

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
        """Run the network of Elman; return y and the last state (N, H).

        Raises:
            ShapeError, DtypeError, BackendError: see the class.
        """
        y, h_last = self._results("simple_rnn", xw, u, 1, lengths, h0=h0)
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
        """Write the gradient of u into du; return those of xw, and of h0 if there is one.

        Raises:
            ShapeError, DtypeError, BackendError: see the class.
        """
        operation = "simple_rnn_backward"
        self._check_gradients(operation, y, u, 1, du, dy, lengths, h0=h0, dh_last=dh_last)
        dxw, dh0 = self.like(y), None if h0 is None else self.like(h0)
        arrays = (u, lengths, h0, y, dy, dh_last, dxw, du, dh0)
        self.call(self.backend.simple_rnn_backward, *arrays, activation, alpha, reverse)
        return dxw, dh0

    def lstm(
        self, xw: Array, u: Array, lengths: Array | None, h0: Array | None, c0: Array | None, reverse: bool
    ) -> LstmRun:
        """Run long short-term memory.

        Raises:
            ShapeError, DtypeError, BackendError: see the class.
        """
        y, h_last = self._results("lstm", xw, u, 4, lengths, h0=h0, c0=c0)
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
        """Write the gradient of u into du; return those of xw, and of h0 and c0 where there are any.

        Raises:
            ShapeError, DtypeError, BackendError: see the class.
        """
        operation, states = "lstm_backward", {"h0": h0, "c0": c0, "dh_last": dh_last, "dc_last": dc_last}
        self._check_gradients(operation, run.y, u, 4, du, dy, lengths, **states)
        self.fit(operation, tuple(run.y.shape), u, cells=run.cells)
        self.fit(operation, (*run.y.shape[:2], u.shape[1]), u, gates=run.gates)
        dxw = self.like(run.gates)
        dh0, dc0 = (None if given is None else self.like(given) for given in (h0, c0))
        arrays = (u, lengths, h0, c0, run.y, run.gates, run.cells, dy, dh_last, dc_last, dxw, du, dh0, dc0)
        self.call(self.backend.lstm_backward, *arrays, reverse)
        return dxw, dh0, dc0

    def gru(
        self, xw: Array, u: Array, b: Array | None, lengths: Array | None, h0: Array | None, reverse: bool
    ) -> GruRun:
        """Run gated recurrent units; b (3 H,), which h U has added, or None.

        Raises:
            ShapeError, DtypeError, BackendError: see the class.
        """
        y, h_last = self._results("gru", xw, u, 3, lengths, h0=h0)
        self.fit("gru", (u.shape[1],), u, b=b)
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
        """Write the gradients of u and b into du and db (3 H,); return those of xw, and of h0 if there is one.

        Raises:
            ShapeError, DtypeError, BackendError: see the class.
        """
        operation = "gru_backward"
        self._check_gradients(operation, run.y, u, 3, du, dy, lengths, h0=h0, dh_last=dh_last)
        self.fit(operation, (*run.y.shape[:2], 4 * u.shape[0]), u, gates=run.gates)
        self.fit(operation, (u.shape[1],), u, db=db)
        shape = (*run.y.shape[:2], u.shape[1])
        dxw, dhu, dh0 = self.empty(*shape), self.empty(*shape), None if h0 is None else self.like(h0)
        arrays = (u, lengths, h0, run.y, run.gates, dy, dh_last, dxw, dhu, du, db, dh0)
        self.call(self.backend.gru_backward, *arrays, reverse)
        return dxw, dh0

    def _results(
        self, operation: str, xw: Array, u: Array, gates: int, lengths: Array | None, **states: Array | None
    ) -> tuple[Array, Array]:
        """Check a call, and allocate y and the last state."""
        units = u.shape[0]
        if xw.ndim != 3 or xw.shape[2] != gates * units:
            raise ShapeError(f"{operation} expects sequences (N, T, {gates * units}), got {tuple(xw.shape)}.")
        self.like_weights(operation, u, xw=xw)
        count, steps, _ = xw.shape
        if lengths is not None:
            self._check_lengths(operation, lengths, count)
        self.fit(operation, (units, gates * units), u, u=u)
        self._check_states(operation, u, (count, units), states)
        return self.empty(count, steps, units), self.empty(count, units)

    def _check_lengths(self, operation: str, lengths: Array, count: int) -> None:
        self.whole_numbers(operation, lengths=lengths)
        if tuple(lengths.shape) != (count,):
            shape = tuple(lengths.shape)
            raise ShapeError(f"{operation} expects one length for each of {count} sequences, got {shape}.")

    def _check_states(
        self, operation: str, u: Array, shape: tuple[int, int], states: Mapping[str, Array | None]
    ) -> None:
        given = {name: state for name, state in states.items() if state is not None}
        self.like_weights(operation, u, **given)
        self.fit(operation, shape, u, **given)

    def _check_gradients(
        self,
        operation: str,
        y: Array,
        u: Array,
        gates: int,
        du: Array,
        dy: Array | None,
        lengths: Array | None,
        **states: Array | None,
    ) -> None:
        units = u.shape[0]
        self.fit(operation, (units, gates * units), u, u=u, du=du)
        if y.ndim != 3 or y.shape[2] != units:
            raise ShapeError(f"{operation} expects y (N, T, {units}), got {tuple(y.shape)}.")
        self.fit(operation, tuple(y.shape), u, y=y, dy=dy)
        if lengths is not None:
            self._check_lengths(operation, lengths, y.shape[0])
        self._check_states(operation, u, (y.shape[0], units), states)

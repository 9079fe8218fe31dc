"""Recurrent networks: blocks of sequences, each through all of its steps on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx.interface import FUSED, Array
from nnx_numba.cells import GRU, LSTM, simple
from nnx_numba.hostarrays import plain
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.launches import scratch
from nnx_numba.linear import Linear, sum_rows
from nnx_numba.lines import REGISTER_BYTES
from nnx_numba.recurrence import forward, height, pack_gates
from nnx_numba.recurrence_backward import HEIGHT, LINES, backward, pack_turned
from nnx_numba.sequences import padded

_GRAIN = 60_000  # products of lines that are worth a thread: some ten microseconds
_LSTM_HEIGHT, _GRU_HEIGHT, _SIMPLE_HEIGHT = (height(parts) for parts in (4, 3, 1))


@kernel
def pack_forward(first: int, last: int, u: Array, panels: Array) -> None:
    """Units are lines of units of the state."""
    pack_gates(first, last, u, panels, u.shape[1] // u.shape[0])


@kernel
def pack_backward(first: int, last: int, u: Array, panels: Array) -> None:
    """Units are panels."""
    pack_turned(first, last, u, panels)


def _simple(activation: str) -> tuple[Kernel, Kernel]:
    """Make the kernels of one activation; units are tiles of sequences, as in all that follow."""
    cell = simple(activation)
    run, run_back = forward(cell), backward(cell)

    def simple_rnn(
        first: int,
        last: int,
        xw: Array,
        panels: Array,
        none: Array,
        lengths: Array,
        h0: Array,
        y: Array,
        h_last: Array,
        gates: Array,
        states: Array,
        reverse: bool,
        alpha: float,
    ) -> None:
        begin, stop = first * _SIMPLE_HEIGHT, min(last * _SIMPLE_HEIGHT, y.shape[0])
        run(begin, stop, (xw, panels, none, (h0,), (y,), (h_last,), gates), lengths, states, reverse, alpha)

    def simple_rnn_backward(
        first: int,
        last: int,
        panels: Array,
        lengths: Array,
        h0: Array,
        y: Array,
        gates: Array,
        dy: Array,
        dh_last: Array,
        dxw: Array,
        before: Array,
        dh0: Array,
        states: Array,
        slopes: Array,
        reverse: bool,
        alpha: float,
    ) -> None:
        begin, stop = first * HEIGHT, min(last * HEIGHT, y.shape[0])
        arrays = (panels, (h0,), (y,), gates, dy, (dh_last,), (dxw,), before, (dh0,))
        run_back(begin, stop, arrays, lengths, (states, slopes), reverse, alpha)

    return Kernel(simple_rnn, activation), Kernel(simple_rnn_backward, activation)


_SIMPLE = {activation: _simple(activation) for activation in FUSED}
_lstm, _lstm_backward = forward(LSTM), backward(LSTM)
_gru, _gru_backward = forward(GRU), backward(GRU)


@kernel
def lstm(
    first: int,
    last: int,
    xw: Array,
    panels: Array,
    none: Array,
    lengths: Array,
    h0: Array,
    c0: Array,
    y: Array,
    cells: Array,
    h_last: Array,
    c_last: Array,
    gates: Array,
    states: Array,
    reverse: bool,
) -> None:
    """Sums begin with 0: the bias is in xw."""
    begin, stop = first * _LSTM_HEIGHT, min(last * _LSTM_HEIGHT, y.shape[0])
    arrays = (xw, panels, none, (h0, c0), (y, cells), (h_last, c_last), gates)
    _lstm(begin, stop, arrays, lengths, states, reverse, 0.0)


@kernel
def lstm_backward(
    first: int,
    last: int,
    panels: Array,
    lengths: Array,
    h0: Array,
    c0: Array,
    y: Array,
    cells: Array,
    gates: Array,
    dy: Array,
    dh_last: Array,
    dc_last: Array,
    dxw: Array,
    before: Array,
    dh0: Array,
    dc0: Array,
    states: Array,
    slopes: Array,
    reverse: bool,
) -> None:
    """All but du."""
    begin, stop = first * HEIGHT, min(last * HEIGHT, y.shape[0])
    arrays = (panels, (h0, c0), (y, cells), gates, dy, (dh_last, dc_last), (dxw,), before, (dh0, dc0))
    _lstm_backward(begin, stop, arrays, lengths, (states, slopes), reverse, 0.0)


@kernel
def gru(
    first: int,
    last: int,
    xw: Array,
    panels: Array,
    b: Array,
    lengths: Array,
    h0: Array,
    y: Array,
    h_last: Array,
    gates: Array,
    states: Array,
    reverse: bool,
) -> None:
    """Sums begin with the bias."""
    begin, stop = first * _GRU_HEIGHT, min(last * _GRU_HEIGHT, y.shape[0])
    _gru(begin, stop, (xw, panels, b, (h0,), (y,), (h_last,), gates), lengths, states, reverse, 0.0)


@kernel
def gru_backward(
    first: int,
    last: int,
    panels: Array,
    lengths: Array,
    h0: Array,
    y: Array,
    gates: Array,
    dy: Array,
    dh_last: Array,
    dxw: Array,
    dhu: Array,
    before: Array,
    dh0: Array,
    states: Array,
    slopes: Array,
    reverse: bool,
) -> None:
    """All but du and db."""
    begin, stop = first * HEIGHT, min(last * HEIGHT, y.shape[0])
    arrays = (panels, (h0,), (y,), gates, dy, (dh_last,), (dxw, dhu), before, (dh0,))
    _gru_backward(begin, stop, arrays, lengths, (states, slopes), reverse, 0.0)


_NO_LENGTHS = np.empty(0, np.int64)
_NOTHING = {(kind, ndim): np.empty((0,) * ndim, kind) for kind in ("f", "d") for ndim in (1, 2, 3)}


def _or_nothing(like: Array, ndim: int, *arrays: Array | None) -> list[Array]:
    """Return plain arrays, one without rows for None: it is no type of its own, for which to compile."""
    nothing = _NOTHING[like.dtype.char, ndim]
    return [nothing if array is None else plain(array) for array in arrays]


def _times(lengths: Array | None) -> Array:
    return _NO_LENGTHS if lengths is None else plain(lengths)


def _rooms(kind: Any, *shapes: tuple[int, ...]) -> list[Array]:
    """Return working memory of several shapes, each from a 64-byte boundary on."""
    sizes = [-(-int(np.prod(shape)) * kind.itemsize // 64) * 64 for shape in shapes]
    memory = scratch((sum(sizes) + 64) // 8).view(np.uint8)
    first = -memory.ctypes.data % 64
    starts = [first + sum(sizes[:n]) for n in range(len(sizes))]
    return [
        memory[start : start + int(np.prod(shape)) * kind.itemsize].view(kind).reshape(shape)
        for start, shape in zip(starts, shapes, strict=True)
    ]


def _rows(steps: Array) -> Array:
    """Show (N, T, F) as (N T, F)."""
    return steps.reshape(steps.shape[0] * steps.shape[1], steps.shape[2])


@dataclass(frozen=True)
class _Plan:
    """How a call is dealt out: tiles of sequences, and how many of them are worth a thread."""

    count: int
    grain: int


def _plan(y: Array, parts: int, rows: int) -> _Plan:
    count, steps, units = y.shape
    lines = -(-units * y.itemsize // REGISTER_BYTES)
    return _Plan(-(-count // rows), max(1, _GRAIN // max(1, steps * units * parts * lines * rows)))


class Recurrent(Linear):
    """Forward and backward through time."""

    def simple_rnn(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        h_last: Array,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> None:
        """All steps in one kernel."""
        panels, states = _forward_rooms(u, y, 1)
        plan, none, gates = _plan(y, 1, _SIMPLE_HEIGHT), *_or_nothing(y, 1, None), *_or_nothing(y, 3, None)
        _SIMPLE[activation][0](
            *(plan.count, plan.grain, plain(xw), panels, none, _times(lengths), *_or_nothing(y, 2, h0)),
            *(y, h_last, gates, states, bool(reverse), float(alpha)),
        )

    def simple_rnn_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        dy: Array | None,
        dh_last: Array | None,
        dxw: Array,
        du: Array,
        dh0: Array | None,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> None:
        """All steps in one kernel, then du as one product."""
        panels, states, slopes, before = _backward_rooms(u, y, 1)
        plan, (gates, asked) = _plan(y, 1, HEIGHT), _or_nothing(y, 3, None, dy)
        first, dlast, dfirst = _or_nothing(y, 2, h0, dh_last, dh0)
        _SIMPLE[activation][1](
            *(plan.count, plan.grain, panels, _times(lengths), first, plain(y), gates, asked, dlast),
            *(dxw, before, dfirst, states, slopes, bool(reverse), float(alpha)),
        )
        self._weights(before, dxw, du)

    def lstm(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        y: Array,
        gates: Array,
        cells: Array,
        h_last: Array,
        c_last: Array,
        reverse: bool,
    ) -> None:
        """All steps in one kernel."""
        panels, states = _forward_rooms(u, y, 2)
        plan, none = _plan(y, 4, _LSTM_HEIGHT), *_or_nothing(y, 1, None)
        lstm(
            *(plan.count, plan.grain, plain(xw), panels, none, _times(lengths), *_or_nothing(y, 2, h0, c0)),
            *(y, cells, h_last, c_last, gates, states, bool(reverse)),
        )

    def lstm_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        y: Array,
        gates: Array,
        cells: Array,
        dy: Array | None,
        dh_last: Array | None,
        dc_last: Array | None,
        dxw: Array,
        du: Array,
        dh0: Array | None,
        dc0: Array | None,
        reverse: bool,
    ) -> None:
        """All steps in one kernel, then du as one product."""
        panels, states, slopes, before = _backward_rooms(u, y, 2)
        plan = _plan(y, 4, HEIGHT)
        first, c_first, dlast, dc, dfirst, dc_first = _or_nothing(y, 2, h0, c0, dh_last, dc_last, dh0, dc0)
        lstm_backward(
            *(plan.count, plan.grain, panels, _times(lengths), first, c_first, plain(y), plain(cells)),
            *(plain(gates), *_or_nothing(y, 3, dy), dlast, dc, dxw, before, dfirst, dc_first),
            *(states, slopes, bool(reverse)),
        )
        self._weights(before, dxw, du)

    def gru(
        self,
        xw: Array,
        u: Array,
        b: Array | None,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        gates: Array,
        h_last: Array,
        reverse: bool,
    ) -> None:
        """All steps in one kernel."""
        panels, states = _forward_rooms(u, y, 1)
        plan, bias = _plan(y, 3, _GRU_HEIGHT), *_or_nothing(y, 1, b)
        gru(
            *(plan.count, plan.grain, plain(xw), panels, bias, _times(lengths), *_or_nothing(y, 2, h0)),
            *(y, h_last, gates, states, bool(reverse)),
        )

    def gru_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        gates: Array,
        dy: Array | None,
        dh_last: Array | None,
        dxw: Array,
        dhu: Array,
        du: Array,
        db: Array | None,
        dh0: Array | None,
        reverse: bool,
    ) -> None:
        """All steps in one kernel, then du as one product, and db."""
        panels, states, slopes, before = _backward_rooms(u, y, 1)
        plan, (asked,) = _plan(y, 3, HEIGHT), _or_nothing(y, 3, dy)
        first, dlast, dfirst = _or_nothing(y, 2, h0, dh_last, dh0)
        gru_backward(
            *(plan.count, plan.grain, panels, _times(lengths), first, plain(y), plain(gates), asked, dlast),
            *(dxw, dhu, before, dfirst, states, slopes, bool(reverse)),
        )
        self._weights(before, dhu, du)
        if db is not None:
            sum_rows(_rows(dhu), db)

    def _weights(self, before: Array, slopes: Array, du: Array) -> None:
        """du = before.T @ slopes over all sequences and steps."""
        self.matmul(_rows(before), _rows(slopes), du, True, False)


def _forward_rooms(u: Array, y: Array, states: int) -> list[Array]:
    """Return packed weights and memory for the states; h has two places."""
    (count, _, units), lanes = y.shape, REGISTER_BYTES // y.itemsize
    lines = -(-units // lanes)
    rooms = _rooms(y.dtype, (lines * lanes, u.shape[1]), (states + 1, count, padded(units, lanes)))
    pack_forward(lines, max(1, _GRAIN // max(1, u.shape[1])), plain(u), rooms[0])
    return rooms


def _backward_rooms(u: Array, y: Array, states: int) -> list[Array]:
    """Return packed weights, and memory for states and their gradients, a step's slopes, and h before each step."""
    (count, _, units), lanes = y.shape, REGISTER_BYTES // y.itemsize
    lines = -(-units // lanes)
    rooms = _rooms(
        *(y.dtype, (lines * lanes, u.shape[1]), (2 * states, count, padded(units, lanes))),
        *((count, padded(u.shape[1], lanes)), y.shape),
    )
    pack_backward(-(-lines // LINES), max(1, _GRAIN // max(1, u.shape[1])), plain(u), rooms[0])
    return rooms

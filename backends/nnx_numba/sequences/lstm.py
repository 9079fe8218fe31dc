"""Long short-term memory: units are tiles of sequences, each through all steps on one thread."""

from __future__ import annotations

from nnx.interface import Array
from nnx_numba.hostarrays import or_nothing, plain
from nnx_numba.kernel import kernel
from nnx_numba.linear import Linear
from nnx_numba.sequences.backward import HEIGHT, backward
from nnx_numba.sequences.cells import LSTM
from nnx_numba.sequences.forward import forward, height
from nnx_numba.sequences.rooms import backward_rooms, dealt_out, forward_rooms, rows_of, times

_HEIGHT = height(LSTM.parts)
_lstm, _lstm_backward = forward(LSTM), backward(LSTM)


@kernel
def lstm(
    first: int,
    last: int,
    xw: Array,
    panels: Array,
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
    begin, stop = first * _HEIGHT, min(last * _HEIGHT, y.shape[0])
    arrays = (xw, panels, (), (h0, c0), (y, cells), (h_last, c_last), (gates,))
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
    arrays = (panels, (h0, c0), (y, cells), (gates,), dy, (dh_last, dc_last), (dxw,), before, (dh0, dc0))
    _lstm_backward(begin, stop, arrays, lengths, (states, slopes), reverse, 0.0)


class Lstm(Linear):
    """Forward and backward through time."""

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
        panels, states = forward_rooms(u, y, 2)
        plan = dealt_out(y, 4, _HEIGHT)
        lstm(
            *(*plan, plain(xw), panels, times(lengths), *or_nothing(y, 2, h0, c0)),
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
        panels, states, slopes, before = backward_rooms(u, y, 2)
        plan = dealt_out(y, 4, HEIGHT)
        first, c_first, dlast, dc, dfirst, dc_first = or_nothing(y, 2, h0, c0, dh_last, dc_last, dh0, dc0)
        lstm_backward(
            *(*plan, panels, times(lengths), first, c_first, plain(y), plain(cells)),
            *(plain(gates), *or_nothing(y, 3, dy), dlast, dc, dxw, before, dfirst, dc_first),
            *(states, slopes, bool(reverse)),
        )
        self.matmul(rows_of(before), rows_of(dxw), du, True, False)

"""Gated recurrent units: units are tiles of sequences, each through all steps on one thread."""

from __future__ import annotations

from nnx.interface import Array
from nnx_numba.hostarrays import or_nothing, plain
from nnx_numba.kernel import kernel
from nnx_numba.linear import Linear, sum_rows
from nnx_numba.sequences.backward import HEIGHT, backward
from nnx_numba.sequences.cells import GRU
from nnx_numba.sequences.forward import forward, height
from nnx_numba.sequences.rooms import backward_rooms, dealt_out, forward_rooms, rows_of, times

_HEIGHT = height(GRU.parts)
_gru, _gru_backward = forward(GRU), backward(GRU)


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
    begin, stop = first * _HEIGHT, min(last * _HEIGHT, y.shape[0])
    _gru(begin, stop, (xw, panels, (b,), (h0,), (y,), (h_last,), (gates,)), lengths, states, reverse, 0.0)


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
    arrays = (panels, (h0,), (y,), (gates,), dy, (dh_last,), (dxw, dhu), before, (dh0,))
    _gru_backward(begin, stop, arrays, lengths, (states, slopes), reverse, 0.0)


class Gru(Linear):
    """Forward and backward through time."""

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
        panels, states = forward_rooms(u, y, 1)
        plan, (bias,) = dealt_out(y, 3, _HEIGHT), or_nothing(y, 1, b)
        gru(
            *(*plan, plain(xw), panels, bias, times(lengths), *or_nothing(y, 2, h0)),
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
        panels, states, slopes, before = backward_rooms(u, y, 1)
        plan, (asked,) = dealt_out(y, 3, HEIGHT), or_nothing(y, 3, dy)
        first, dlast, dfirst = or_nothing(y, 2, h0, dh_last, dh0)
        gru_backward(
            *(*plan, panels, times(lengths), first, plain(y), plain(gates), asked, dlast),
            *(dxw, dhu, before, dfirst, states, slopes, bool(reverse)),
        )
        self.matmul(rows_of(before), rows_of(dhu), du, True, False)
        if db is not None:
            sum_rows(rows_of(dhu), db)

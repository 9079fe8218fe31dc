"""The network of Elman: units are tiles of sequences, each through all steps on one thread."""

from __future__ import annotations

from nnx.interface import FUSED, Array
from nnx_numba.hostarrays import or_nothing, plain
from nnx_numba.kernel import Kernel
from nnx_numba.linear import Linear
from nnx_numba.sequences.backward import HEIGHT, backward
from nnx_numba.sequences.cells import simple
from nnx_numba.sequences.forward import forward, height
from nnx_numba.sequences.rooms import backward_rooms, dealt_out, forward_rooms, rows_of, times

_HEIGHT = height(1)


def _forward(activation: str) -> Kernel:
    """Make the kernel of one activation; units are tiles of sequences, as in the one below."""
    run = forward(simple(activation))

    def simple_rnn(
        first: int,
        last: int,
        xw: Array,
        panels: Array,
        lengths: Array,
        h0: Array,
        y: Array,
        h_last: Array,
        states: Array,
        reverse: bool,
        alpha: float,
    ) -> None:
        begin, stop = first * _HEIGHT, min(last * _HEIGHT, y.shape[0])
        run(begin, stop, (xw, panels, (), (h0,), (y,), (h_last,), ()), lengths, states, reverse, alpha)

    return Kernel(simple_rnn, activation)


def _backward(activation: str) -> Kernel:
    run = backward(simple(activation))

    def simple_rnn_backward(
        first: int,
        last: int,
        panels: Array,
        lengths: Array,
        h0: Array,
        y: Array,
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
        arrays = (panels, (h0,), (y,), (), dy, (dh_last,), (dxw,), before, (dh0,))
        run(begin, stop, arrays, lengths, (states, slopes), reverse, alpha)

    return Kernel(simple_rnn_backward, activation)


FORWARD, BACKWARD = ({name: make(name) for name in FUSED} for make in (_forward, _backward))
"""The kernels of every activation."""


class SimpleRnn(Linear):
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
        panels, states = forward_rooms(u, y, 1)
        FORWARD[activation](
            *(*dealt_out(y, 1, _HEIGHT), plain(xw), panels, times(lengths), *or_nothing(y, 2, h0)),
            *(y, h_last, states, bool(reverse), float(alpha)),
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
        panels, states, slopes, before = backward_rooms(u, y, 1)
        plan, (asked,) = dealt_out(y, 1, HEIGHT), or_nothing(y, 3, dy)
        first, dlast, dfirst = or_nothing(y, 2, h0, dh_last, dh0)
        BACKWARD[activation](
            *(*plan, panels, times(lengths), first, plain(y), asked, dlast),
            *(dxw, before, dfirst, states, slopes, bool(reverse), float(alpha)),
        )
        self.matmul(rows_of(before), rows_of(dxw), du, True, False)

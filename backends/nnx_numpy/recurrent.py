"""Recurrent networks: whole sequences as one list of primitive calls."""

from __future__ import annotations

from nnx import interface
from nnx.interface import Array
from nnx_numpy.gru import gru, gru_backward
from nnx_numpy.lstm import lstm, lstm_backward
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.simple_rnn import simple_rnn, simple_rnn_backward


class Recurrent(interface.recurrent.Recurrent):
    """Kernels that carry a state from step to step: one product and a few passes over contiguous memory each."""

    @kernel
    def simple_rnn(
        self,
        plan: Plan,
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
        """See `nnx_numpy.simple_rnn`."""
        simple_rnn(plan, xw, u, lengths, h0, y, h_last, activation, alpha, reverse)

    @kernel
    def simple_rnn_backward(
        self,
        plan: Plan,
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
        """See `nnx_numpy.simple_rnn`."""
        simple_rnn_backward(*(plan, u, lengths, h0, y, dy, dh_last, dxw, du, dh0, activation, alpha, reverse))

    @kernel
    def lstm(
        self,
        plan: Plan,
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
        """See `nnx_numpy.lstm`."""
        lstm(plan, xw, u, lengths, h0, c0, y, gates, cells, h_last, c_last, reverse)

    @kernel
    def lstm_backward(
        self,
        plan: Plan,
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
        """See `nnx_numpy.lstm`."""
        lstm_backward(
            *(plan, u, lengths, h0, c0, y, gates, cells, dy, dh_last, dc_last, dxw, du, dh0, dc0, reverse)
        )

    @kernel
    def gru(
        self,
        plan: Plan,
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
        """See `nnx_numpy.gru`."""
        gru(plan, xw, u, b, lengths, h0, y, gates, h_last, reverse)

    @kernel
    def gru_backward(
        self,
        plan: Plan,
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
        """See `nnx_numpy.gru`."""
        gru_backward(plan, u, lengths, h0, y, gates, dy, dh_last, dxw, dhu, du, db, dh0, reverse)

"""Recurrent networks: whole sequences as one list of primitive calls."""

from __future__ import annotations

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.activations import FORWARD, FROM_OUTPUT
from nnx_numpy.gru import gru, gru_backward
from nnx_numpy.lstm import lstm, lstm_backward
from nnx_numpy.plan import Plan, kernel
from nnx_numpy.sequences import (
    Padding,
    carry,
    clear,
    deliver,
    gradient_of_states,
    in_order,
    padding,
    states,
    states_before,
    weight_gradient,
)
from nnx_numpy.workspace import BLOCK, Numbers


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
        """Product, sum and activation in the row of the new state."""
        masks, source = padding(plan, lengths, y, reverse), in_order(xw, reverse)
        h, weights = states(plan, "states h", h0, y), plan.flat("weights", u).reshape(u.shape)
        for step in range(y.shape[1]):
            new = h[step + 1]
            plan(h[step].dot, weights, new)  # (N, H) @ (H, H)
            plan(np.add, new, source[step], new)
            if activation != "identity":
                FORWARD[activation](plan, new.reshape(-1), new.reshape(-1), alpha)
            carry(plan, masks, step, new, h[step])
        deliver(plan, masks, h[1:], in_order(y, reverse))
        plan.copy(h[-1], h_last)

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
        """The slopes of all steps first, in dxw; then step by step; then du as one product."""
        masks = padding(plan, lengths, y, reverse)
        _slopes(plan, y, dxw, activation, alpha)
        dh = _through_time(plan, u, masks, dy, dh_last, dxw, reverse)
        clear(plan, masks, dxw, reverse)
        weight_gradient(plan, states_before(plan, "before", y, h0, masks, reverse), dxw, du)
        if dh0 is not None:
            plan.copy(dh, dh0)

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


def _slopes(plan: Plan, y: Array, dxw: Array, activation: str, alpha: float) -> None:
    """dxw = f'(z)."""
    flat, out = plan.flat("flat states", y), dxw.reshape(-1)
    if activation == "identity":
        plan.copy(1, out)
        return
    for start in range(0, out.size, BLOCK):
        part = out[start : start + BLOCK]
        FROM_OUTPUT[activation](plan, flat[start : start + BLOCK], plan.filled(1.0, part.size, y.dtype), part, alpha)


def _through_time(
    plan: Plan,
    u: Array,
    masks: Padding | None,
    dy: Array | None,
    dh_last: Array | None,
    dxw: Array,
    reverse: bool,
) -> Numbers:
    """dxw = its slopes times the gradient of the state; return that of the first state, in scratch."""
    dh, new_dh = gradient_of_states(plan, "dh", dh_last, dxw)
    dnew, rows = plan.like("dnew", dh), in_order(dxw, reverse)
    back = plan.flat("weights back", u.T).reshape(u.T.shape)
    for step in reversed(range(rows.shape[0])):
        if dy is None:
            dnew = dh
        else:
            plan(np.add, dh, in_order(dy, reverse)[step], dnew)
        plan(np.multiply, rows[step], dnew, rows[step])
        plan(np.matmul, rows[step], back, new_dh)  # (N, H) @ (H, H)
        carry(plan, masks, step, new_dh, dh)
        dh, new_dh = new_dh, dh
    return dh

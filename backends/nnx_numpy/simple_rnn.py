"""The network of Elman, step by step on contiguous scratch."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_numpy.activations import FORWARD, FROM_OUTPUT
from nnx_numpy.plan import Plan
from nnx_numpy.sequences import (
    Padding,
    asked_for,
    carry,
    clear,
    copied,
    deliver,
    gates_of,
    gradient_of_outputs,
    gradient_of_states,
    in_order,
    padding,
    states,
    states_before,
    transposed,
    weight_gradient,
)
from nnx_numpy.workspace import BLOCK, Numbers


def simple_rnn(
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


def simple_rnn_backward(
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
    """The slopes of all steps first; then step by step; then du as one product."""
    masks, dy = padding(plan, lengths, y, reverse), gradient_of_outputs(plan, dy, reverse)
    dz = copied(plan, "dz", in_order(y, reverse))
    _slopes(plan, dz.reshape(-1), activation, alpha)
    after = gradient_of_states(plan, "dh", dh_last, y)
    dh = _through_time(plan, transposed(plan, u), masks, dy, after, dz)
    clear(plan, masks, gates_of(dz, 1))
    plan.copy(dz, in_order(dxw, reverse))
    weight_gradient(plan, states_before(plan, "before", y, h0, masks, reverse), dz, du)
    if dh0 is not None:
        plan.copy(dh, dh0)


def _slopes(plan: Plan, states: Numbers, activation: str, alpha: float) -> None:
    """states = f'(z), in place."""
    if activation == "identity":
        plan.copy(1, states)
        return
    for start in range(0, states.size, BLOCK):
        part = states[start : start + BLOCK]
        slope = plan.like("slope", part)
        FROM_OUTPUT[activation](plan, part, plan.filled(1.0, part.size, part.dtype), slope, alpha)
        plan.copy(slope, part)


def _through_time(
    plan: Plan,
    back: Numbers,
    masks: Padding | None,
    dy: Numbers | None,
    after: tuple[Numbers, Numbers],
    dz: Numbers,
) -> Numbers:
    """dz = itself times the gradient of the state; return that of the first state, in scratch."""
    dh, new_dh = after
    for step in reversed(range(dz.shape[0])):
        plan(np.multiply, dz[step], asked_for(plan, dh, dy, step), dz[step])
        plan(dz[step].dot, back, new_dh)  # (N, H) @ (H, H)
        carry(plan, masks, step, new_dh, dh)
        dh, new_dh = new_dh, dh
    return dh

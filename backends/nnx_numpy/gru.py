"""Gated recurrent units, step by step on contiguous scratch."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_numpy.blocks import column_sums
from nnx_numpy.columns import as_matrix
from nnx_numpy.plan import Plan
from nnx_numpy.sequences import (
    Padding,
    asked_for,
    carry,
    clear,
    copied,
    deliver,
    gate_weights,
    gates_of,
    gradient_of_outputs,
    gradient_of_states,
    in_order,
    padding,
    sigmoids_of,
    some_steps,
    states,
    states_before,
    transposed,
    weight_gradient,
)
from nnx_numpy.workspace import Numbers

_ORDER = (0, 1, 2)


def gru(
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
    """See `nnx.interface.recurrent`; the products of all steps stay in scratch, their last part being m."""
    masks, weights = padding(plan, lengths, y, reverse), gate_weights(plan, u, _ORDER, 2)
    z = copied(plan, "gates", gates_of(in_order(xw, reverse), 3))
    product, h = plan.like("products", z), states(plan, "states h", h0, y)
    bias = None if b is None else _bias(plan, b, y)
    for step in range(y.shape[1]):
        plan(np.matmul, h[step], weights, product[step])  # (N, H) @ (3, H, H) -> (3, N, H)
        if bias is not None:
            plan(np.add, product[step], bias, product[step])
        _state(plan, z[step], product[step], h[step], h[step + 1])
        carry(plan, masks, step, h[step + 1], h[step])
    destination = gates_of(in_order(gates, reverse), 4)
    deliver(plan, masks, z, destination[:, :3])
    deliver(plan, masks, product[:, 2], destination[:, 3])
    deliver(plan, masks, h[1:], in_order(y, reverse))
    plan.copy(h[-1], h_last)


def _bias(plan: Plan, b: Array, y: Array) -> Numbers:
    """Return (3, N, H) in scratch, negated like the weights."""
    count, _, units = y.shape
    bias, split = plan.take("bias", (3, count, units), y.dtype), gates_of(b[None], 3)  # (3 H,) -> (3, 1, H)
    plan(np.negative, split[:2], bias[:2])
    plan.copy(split[2], bias[2])
    return bias


def _state(plan: Plan, z: Numbers, product: Numbers, h: Numbers, new: Numbers) -> None:
    """z = the gates z, r, n after their functions; new = (1 - z) n + z h."""
    term = plan.like("term", h)
    sigmoids_of(plan, product[:2], z[:2])
    plan(np.multiply, z[1], product[2], term)
    plan(np.add, z[2], term, z[2])
    plan(np.tanh, z[2], z[2])
    plan(np.subtract, 1, z[0], term)
    plan(np.multiply, term, z[2], term)
    plan(np.multiply, z[0], h, new)
    plan(np.add, new, term, new)


def gru_backward(
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
    """What does not depend on later steps first, for all steps together; then step by step; then du at once."""
    masks, dy = padding(plan, lengths, y, reverse), gradient_of_outputs(plan, dy, reverse)
    kept = copied(plan, "gates", gates_of(in_order(gates, reverse), 4))
    before = states_before(plan, "before", y, h0, masks, reverse)
    slopes, last = _slopes(plan, kept, before)
    through = plan.like("through", in_order(dhu, reverse))
    after = gradient_of_states(plan, "dh", dh_last, y)
    dh = _through_time(plan, transposed(plan, u), masks, kept[:, 0], slopes, last, dy, after, through)
    split, inputs = gates_of(through, 3), gates_of(in_order(dxw, reverse), 3)
    clear(plan, masks, split)
    plan.copy(through, in_order(dhu, reverse))
    plan.copy(split[:, :2], inputs[:, :2])
    deliver(plan, masks, last, inputs[:, 2])
    weight_gradient(plan, before, through, du)
    if db is not None:
        column_sums(plan, as_matrix(through), db)
    if dh0 is not None:
        plan.copy(dh, dh0)


def _slopes(plan: Plan, gates: Numbers, before: Numbers) -> tuple[Numbers, Numbers]:
    """Return ((h - n) z (1 - z), s m r (1 - r), s r) and s = (1 - z) (1 - n^2), in scratch."""
    slopes, last = plan.like("slopes", gates[:, :3]), plan.like("last", before)
    for steps in some_steps(gates):
        part, h, s = gates[steps], before[steps], last[steps]
        z, r, n, m = (part[:, gate] for gate in range(4))
        dz, dr, dn = (slopes[steps, gate] for gate in range(3))
        rest = plan.like("rest", h)
        plan(np.subtract, 1, z, rest)
        plan(np.multiply, n, n, s)
        plan(np.subtract, 1, s, s)
        plan(np.multiply, s, rest, s)
        plan(np.subtract, h, n, dz)
        plan(np.multiply, rest, z, rest)
        plan(np.multiply, dz, rest, dz)
        plan(np.multiply, s, r, dn)
        plan(np.subtract, 1, r, dr)
        plan(np.multiply, dr, dn, dr)
        plan(np.multiply, dr, m, dr)
    return slopes, last


def _through_time(
    plan: Plan,
    back: Numbers,
    masks: Padding | None,
    update: Numbers,
    slopes: Numbers,
    last: Numbers,
    dy: Numbers | None,
    after: tuple[Numbers, Numbers],
    through: Numbers,
) -> Numbers:
    """through = slopes, and last *= itself, times the gradient of the state; return that of the first state."""
    dh, new_dh = after
    direct = plan.like("direct", dh)
    for step in reversed(range(through.shape[0])):
        dnew = asked_for(plan, dh, dy, step)
        plan(np.multiply, slopes[step], dnew, gates_of(through[step], 3))
        plan(np.multiply, last[step], dnew, last[step])
        plan(np.multiply, dnew, update[step], direct)
        plan(through[step].dot, back, new_dh)  # (N, 3 H) @ (3 H, H) -> (N, H)
        plan(np.add, new_dh, direct, new_dh)
        carry(plan, masks, step, new_dh, dh)
        dh, new_dh = new_dh, dh
    return dh

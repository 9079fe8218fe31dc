"""Gated recurrent units, step by step on contiguous scratch."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
from nnx_numpy.blocks import column_sums
from nnx_numpy.columns import as_matrix
from nnx_numpy.plan import Plan
from nnx_numpy.sequences import (
    Padding,
    carry,
    clear,
    deliver,
    gate_weights,
    gates_in_order,
    gradient_of_states,
    in_order,
    padding,
    sigmoid_of_negated,
    states,
    states_before,
    weight_gradient,
)
from nnx_numpy.workspace import Numbers, row_blocks


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
    """See `nnx.interface.recurrent`; what the sigmoids are taken of is computed negated."""
    masks = padding(plan, lengths, y, reverse)
    source = gates_in_order(xw, 3, reverse)
    z, product = (plan.take(slot, source.shape, xw.dtype) for slot in ("gates", "products"))
    plan(np.negative, source[:, :2], z[:, :2])
    plan.copy(source[:, 2], z[:, 2])
    weights, bias = gate_weights(plan, u, 3, 2), None if b is None else _bias(plan, b, y)
    h, term = states(plan, "states h", h0, y), plan.take("term", (y.shape[0], y.shape[2]), y.dtype)
    for step in range(y.shape[1]):
        plan(np.matmul, h[step], weights, product[step])  # (N, H) @ (3, H, H) -> (3, N, H)
        if bias is not None:
            plan(np.add, product[step], bias, product[step])
        _state(plan, z[step], product[step], h[step], h[step + 1], term)
        carry(plan, masks, step, h[step + 1], h[step])
    destination = gates_in_order(gates, 4, reverse)
    deliver(plan, masks, z, destination[:, :3])
    deliver(plan, masks, product[:, 2], destination[:, 3])
    deliver(plan, masks, h[1:], in_order(y, reverse))
    plan.copy(h[-1], h_last)


def _bias(plan: Plan, b: Array, y: Array) -> Numbers:
    """Return (3, N, H) in scratch."""
    count, _, units = y.shape
    bias, split = plan.take("bias", (3, count, units), y.dtype), b.reshape(3, 1, units, copy=False)
    plan(np.negative, split[:2], bias[:2])
    plan.copy(split[2:], bias[2:])
    return bias


def _state(plan: Plan, z: Numbers, product: Numbers, h: Numbers, new: Numbers, term: Numbers) -> None:
    """z = the gates z, r, n after their functions; new = (1 - z) n + z h."""
    plan(np.add, z[:2], product[:2], z[:2])
    sigmoid_of_negated(plan, z[:2])
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
    """What does not depend on later steps first, for all steps together, into dxw and dhu; then step by step."""
    masks, units = padding(plan, lengths, y, reverse), y.shape[2]
    before = states_before(plan, "before", y, h0, masks, reverse)
    _slopes(plan, gates, before, dxw, dhu)
    dh = _through_time(plan, u, masks, gates, dy, dh_last, dxw, dhu, reverse)
    clear(plan, masks, dhu, reverse)
    clear(plan, masks, dxw[..., 2 * units :], reverse)
    plan.copy(dhu[..., : 2 * units], dxw[..., : 2 * units])
    weight_gradient(plan, before, dhu, du)
    if db is not None:
        column_sums(plan, as_matrix(dhu), db)
    if dh0 is not None:
        plan.copy(dh, dh0)


def _slopes(plan: Plan, gates: Array, before: Numbers, dxw: Array, dhu: Array) -> None:
    """dhu = ((h - n) z (1 - z), s m r (1 - r), s r) with s = (1 - z) (1 - n^2); dxw = s, in its last part."""
    units = before.shape[2]
    source = plan.flat("flat gates", gates).reshape(gates.shape)
    flat = [as_matrix(array) for array in (source, before, dxw, dhu)]
    for rows in row_blocks(*flat[0].shape):
        part, h, dx, dw = (array[rows] for array in flat)
        z, r, n, m = (part[:, gate * units : (gate + 1) * units] for gate in range(4))
        dz, dr, dn = (dw[:, gate * units : (gate + 1) * units] for gate in range(3))
        s, rest = dx[:, 2 * units :], plan.like("rest", h)
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


def _through_time(
    plan: Plan,
    u: Array,
    masks: Padding | None,
    gates: Array,
    dy: Array | None,
    dh_last: Array | None,
    dxw: Array,
    dhu: Array,
    reverse: bool,
) -> Numbers:
    """dhu, dxw = their slopes times the gradients of the states; return that of the first state, in scratch."""
    dh, new_dh = gradient_of_states(plan, "dh", dh_last, dhu[..., : u.shape[0]])
    dnew, direct = plan.like("dnew", dh), plan.like("direct", dh)
    rows, split = in_order(dhu, reverse), gates_in_order(dhu, 3, reverse)
    last, update = gates_in_order(dxw, 3, reverse)[:, 2], gates_in_order(gates, 4, reverse)[:, 0]
    back = plan.flat("weights back", u.T).reshape(u.T.shape)
    for step in reversed(range(rows.shape[0])):
        if dy is None:
            dnew = dh
        else:
            plan(np.add, dh, in_order(dy, reverse)[step], dnew)
        plan(np.multiply, split[step], dnew, split[step])
        plan(np.multiply, last[step], dnew, last[step])
        plan(np.matmul, rows[step], back, new_dh)  # (N, 3 H) @ (3 H, H) -> (N, H)
        plan(np.multiply, dnew, update[step], direct)
        plan(np.add, new_dh, direct, new_dh)
        carry(plan, masks, step, new_dh, dh)
        dh, new_dh = new_dh, dh
    return dh

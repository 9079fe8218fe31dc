"""Long short-term memory, step by step on contiguous scratch."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
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

_ORDER = (0, 1, 3, 2)
"""The gates i, f, o, g in scratch: the sigmoids side by side."""


def lstm(
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
    """See `nnx.interface.recurrent`."""
    masks = padding(plan, lengths, y, reverse)
    z, weights = _prepare(plan, xw, u, reverse)
    h, c = states(plan, "states h", h0, y), states(plan, "states c", c0, y)
    product, term = plan.like("product", z[:1]), plan.like("term", h[0])
    for step in range(y.shape[1]):
        plan(np.matmul, h[step], weights, product[0])  # (N, H) @ (4, H, H) -> (4, N, H)
        plan(np.add, product[0], z[step], z[step])
        _cell(plan, z[step], c[step], c[step + 1], term)
        plan(np.tanh, c[step + 1], term)
        plan(np.multiply, z[step, 2], term, h[step + 1])
        carry(plan, masks, step, h[step + 1], h[step])
        carry(plan, masks, step, c[step + 1], c[step])
    destination = gates_in_order(gates, 4, reverse)
    for gate, place in enumerate(_ORDER):
        deliver(plan, masks, z[:, gate], destination[:, place])
    deliver(plan, masks, h[1:], in_order(y, reverse))
    deliver(plan, masks, c[1:], in_order(cells, reverse))
    plan.copy(h[-1], h_last)
    plan.copy(c[-1], c_last)


def _prepare(plan: Plan, xw: Array, u: Array, reverse: bool) -> tuple[Numbers, Numbers]:
    """Return the inputs (T, 4, N, H) and weights (4, H, H) in scratch, those of the sigmoids negated."""
    source = gates_in_order(xw, 4, reverse)
    z = plan.take("gates", source.shape, xw.dtype)
    plan(np.negative, source[:, :2], z[:, :2])
    plan(np.negative, source[:, 3], z[:, 2])
    plan.copy(source[:, 2], z[:, 3])
    units = u.shape[0]
    split = u.reshape(units, 4, units, copy=False).swapaxes(0, 1)
    weights = plan.take("gate weights", (4, units, units), u.dtype)
    plan(np.negative, split[:2], weights[:2])
    plan(np.negative, split[3], weights[2])
    plan.copy(split[2], weights[3])
    return z, weights


def _cell(plan: Plan, z: Numbers, c: Numbers, new: Numbers, term: Numbers) -> None:
    """z = the gates after their functions; new = f c + i g."""
    sigmoid_of_negated(plan, z[:3])
    plan(np.tanh, z[3], z[3])
    plan(np.multiply, z[1], c, new)
    plan(np.multiply, z[0], z[3], term)
    plan(np.add, new, term, new)


def lstm_backward(
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
    """What does not depend on later steps first, for all steps together, into dxw; then step by step."""
    masks = padding(plan, lengths, y, reverse)
    opening = plan.like("opening", y)
    _slopes(plan, gates, cells, states_before(plan, "before", cells, c0, masks, reverse), dxw, opening)
    dh, dc = _through_time(plan, u, masks, gates, dy, dh_last, dc_last, dxw, opening, reverse)
    clear(plan, masks, dxw, reverse)
    weight_gradient(plan, states_before(plan, "before", y, h0, masks, reverse), dxw, du)
    for destination, gradient in ((dh0, dh), (dc0, dc)):
        if destination is not None:
            plan.copy(gradient, destination)


def _slopes(plan: Plan, gates: Array, cells: Array, before: Numbers, dxw: Array, opening: Numbers) -> None:
    """dxw = (g i (1 - i), c f (1 - f), i (1 - g^2), m o (1 - o)) and opening = o (1 - m^2), with m = tanh(c')."""
    units = cells.shape[2]
    flat = [
        as_matrix(plan.flat(slot, array).reshape(array.shape))
        for slot, array in (("flat gates", gates), ("flat cells", cells), ("", before), ("", dxw), ("", opening))
    ]
    for rows in row_blocks(*flat[0].shape):
        source, cell, c, out, share = (array[rows] for array in flat)
        i, f, g, o = (source[:, gate * units : (gate + 1) * units] for gate in range(4))
        di, df, dg, do = (out[:, gate * units : (gate + 1) * units] for gate in range(4))
        m = plan.like("m", cell)
        plan(np.tanh, cell, m)
        plan(np.subtract, 1, source, out)
        plan(np.multiply, out, source, out)  # s (1 - s)
        for slope, factor in ((di, g), (df, c), (do, m)):
            plan(np.multiply, slope, factor, slope)
        plan(np.multiply, g, g, dg)
        plan(np.subtract, 1, dg, dg)
        plan(np.multiply, dg, i, dg)
        plan(np.multiply, m, m, share)
        plan(np.subtract, 1, share, share)
        plan(np.multiply, share, o, share)


def _through_time(
    plan: Plan,
    u: Array,
    masks: Padding | None,
    gates: Array,
    dy: Array | None,
    dh_last: Array | None,
    dc_last: Array | None,
    dxw: Array,
    opening: Numbers,
    reverse: bool,
) -> tuple[Numbers, Numbers]:
    """dxw = its slopes times the gradients of the states; return those of the first states, in scratch."""
    dh, new_dh = gradient_of_states(plan, "dh", dh_last, opening)
    dc, new_dc = gradient_of_states(plan, "dc", dc_last, opening)
    dnew, dcell = plan.like("dnew", dh), plan.like("dcell", dc)
    shares, dz = in_order(opening, reverse), in_order(dxw, reverse)
    split, forget = gates_in_order(dxw, 4, reverse), gates_in_order(gates, 4, reverse)[:, 1]
    back = plan.flat("weights back", u.T).reshape(u.T.shape)
    for step in reversed(range(dz.shape[0])):
        if dy is None:
            dnew = dh
        else:
            plan(np.add, dh, in_order(dy, reverse)[step], dnew)
        plan(np.multiply, dnew, shares[step], dcell)
        plan(np.add, dcell, dc, dcell)
        plan(np.multiply, split[step, :3], dcell, split[step, :3])
        plan(np.multiply, split[step, 3], dnew, split[step, 3])
        plan(np.matmul, dz[step], back, new_dh)  # (N, 4 H) @ (4 H, H) -> (N, H)
        plan(np.multiply, dcell, forget[step], new_dc)
        carry(plan, masks, step, new_dh, dh)
        carry(plan, masks, step, new_dc, dc)
        (dh, new_dh), (dc, new_dc) = (new_dh, dh), (new_dc, dc)
    return dh, dc

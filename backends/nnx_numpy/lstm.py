"""Long short-term memory, step by step on contiguous scratch."""

from __future__ import annotations

import numpy as np

from nnx.interface import Array
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

_ORDER = (0, 1, 3, 2)
"""The gates i, f, o, g in the scratch of the forward pass: the sigmoids side by side."""


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
    masks, weights = padding(plan, lengths, y, reverse), gate_weights(plan, u, _ORDER, 3)
    source, destination = (gates_of(in_order(array, reverse), 4) for array in (xw, gates))
    z = plan.like("gates", source)
    for place, gate in enumerate(_ORDER):
        plan.copy(source[:, gate], z[:, place])
    h, c = states(plan, "states h", h0, y), states(plan, "states c", c0, y)
    product, term = plan.take("product", z.shape[1:], z.dtype), plan.like("term", h[0])
    for step in range(y.shape[1]):
        plan(np.matmul, h[step], weights, product)  # (N, H) @ (4, H, H) -> (4, N, H)
        _cell(plan, z[step], product, c[step], c[step + 1], term)
        plan(np.tanh, c[step + 1], term)
        plan(np.multiply, z[step, 2], term, h[step + 1])
        carry(plan, masks, step, h[step + 1], h[step])
        carry(plan, masks, step, c[step + 1], c[step])
    for place, gate in enumerate(_ORDER):
        deliver(plan, masks, z[:, place], destination[:, gate])
    for state, out, last in ((h, y, h_last), (c, cells, c_last)):
        deliver(plan, masks, state[1:], in_order(out, reverse))
        plan.copy(state[-1], last)


def _cell(plan: Plan, z: Numbers, product: Numbers, c: Numbers, new: Numbers, term: Numbers) -> None:
    """z = the gates after their functions; new = f c + i g."""
    sigmoids_of(plan, product[:3], z[:3])
    plan(np.add, product[3], z[3], z[3])
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
    """What does not depend on later steps first, for all steps together; then step by step; then du at once."""
    masks, dy = padding(plan, lengths, y, reverse), gradient_of_outputs(plan, dy, reverse)
    kept = copied(plan, "gates", gates_of(in_order(gates, reverse), 4))
    slopes, opening = _slopes(
        *(plan, kept, copied(plan, "cells", in_order(cells, reverse))),
        states_before(plan, "before", cells, c0, masks, reverse),
    )
    dz = plan.like("dz", in_order(dxw, reverse))
    after = gradient_of_states(plan, "dh", dh_last, y), gradient_of_states(plan, "dc", dc_last, y)
    first = _through_time(plan, transposed(plan, u), masks, kept[:, 1], slopes, opening, dy, after, dz)
    clear(plan, masks, gates_of(dz, 4))
    plan.copy(dz, in_order(dxw, reverse))
    weight_gradient(plan, states_before(plan, "before", y, h0, masks, reverse), dz, du)
    for destination, gradient in zip((dh0, dc0), first, strict=True):
        if destination is not None:
            plan.copy(gradient, destination)


def _slopes(plan: Plan, gates: Numbers, cells: Numbers, before: Numbers) -> tuple[Numbers, Numbers]:
    """Return (g i (1 - i), c f (1 - f), i (1 - g^2), m o (1 - o)) and o (1 - m^2) with m = tanh(c'), in scratch."""
    slopes, opening = plan.like("slopes", gates), plan.like("opening", cells)
    for steps in some_steps(gates):
        part, out, share = gates[steps], slopes[steps], opening[steps]
        i, g, o = part[:, 0], part[:, 2], part[:, 3]
        m = plan.like("m", share)
        plan(np.tanh, cells[steps], m)
        plan(np.subtract, 1, part, out)
        plan(np.multiply, out, part, out)  # s (1 - s)
        for gate, factor in ((0, g), (1, before[steps]), (3, m)):
            plan(np.multiply, out[:, gate], factor, out[:, gate])
        plan(np.multiply, g, g, out[:, 2])
        plan(np.subtract, 1, out[:, 2], out[:, 2])
        plan(np.multiply, out[:, 2], i, out[:, 2])
        plan(np.multiply, m, m, share)
        plan(np.subtract, 1, share, share)
        plan(np.multiply, share, o, share)
    return slopes, opening


def _through_time(
    plan: Plan,
    back: Numbers,
    masks: Padding | None,
    forget: Numbers,
    slopes: Numbers,
    opening: Numbers,
    dy: Numbers | None,
    after: tuple[tuple[Numbers, Numbers], tuple[Numbers, Numbers]],
    dz: Numbers,
) -> tuple[Numbers, Numbers]:
    """dz = slopes times the gradients of the states; return those of the first states, in scratch."""
    (dh, new_dh), (dc, new_dc) = after
    dcell = plan.like("dcell", dc)
    for step in reversed(range(dz.shape[0])):
        dnew, split = asked_for(plan, dh, dy, step), gates_of(dz[step], 4)
        plan(np.multiply, dnew, opening[step], dcell)
        plan(np.add, dcell, dc, dcell)
        plan(np.multiply, slopes[step, :3], dcell, split[:3])
        plan(np.multiply, slopes[step, 3], dnew, split[3])
        plan(np.multiply, dcell, forget[step], new_dc)
        plan(dz[step].dot, back, new_dh)  # (N, 4 H) @ (4 H, H) -> (N, H)
        carry(plan, masks, step, new_dh, dh)
        carry(plan, masks, step, new_dc, dc)
        (dh, new_dh), (dc, new_dc) = (new_dh, dh), (new_dc, dc)
    return dh, dc

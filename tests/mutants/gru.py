"""Wrong versions of gated recurrent units."""

from __future__ import annotations

import numpy as np

from mutants.sequences import going, swapped
from mutants.table import mutant


@mutant("gru")
def swaps_update_and_reset_gates(run, a):
    run(xw=swapped(a.xw, 0, 1, 3), u=swapped(a.u, 0, 1, 3))


@mutant("gru")
def lets_the_new_state_through_where_z_is_large(run, a):
    """h' = z n + (1 - z) h: the other convention of the literature. sigmoid(-x) = 1 - sigmoid(x)."""
    sign = np.ones(a.u.shape[1], a.u.dtype)
    sign[: len(a.u)] = -1
    run(xw=a.xw * sign, u=a.u * sign, b=None if a.b is None else a.b * sign)
    a.gates[..., : len(a.u)] = np.where(going(a, a.gates), 1 - a.gates[..., : len(a.u)], 0)


@mutant("gru")
def forgets_the_bias(run, _a):
    run(b=None)


@mutant("gru")
def adds_the_bias_of_n_outside_of_the_reset_gate(run, a):
    if a.b is None:
        run()
        return
    units = len(a.u)
    outside = np.concatenate([np.zeros(2 * units, a.b.dtype), a.b[2 * units :]])
    run(xw=a.xw + outside, b=a.b - outside)


@mutant("gru")
def stores_m_before_the_bias(run, a):
    run()
    if a.b is not None:
        a.gates[..., -len(a.u) :] -= a.b[-len(a.u) :] * going(a, a.gates)


@mutant("gru_backward")
def gives_dxw_for_dhu(run, a):
    run()
    a.dhu[...] = a.dxw


@mutant("gru_backward")
def forgets_what_z_lets_through(run, a):
    units = len(a.u)
    gates = a.gates.copy()
    gates[..., :units] = 1 - gates[..., :units]
    run(gates=gates)


@mutant("gru_backward")
def sums_db_of_dxw(run, a):
    run()
    if a.db is not None:
        a.db[...] = a.dxw.sum((0, 1))

"""Wrong versions of the kernels of `nnx.interface.recurrent`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant

FORWARD = ("simple_rnn", "lstm", "gru")
BACKWARD = tuple(f"{kernel}_backward" for kernel in FORWARD)
PER_SEQUENCE = ("lengths", "h0", "c0", "y", "gates", "cells", "dy", "dh_last", "dc_last", "dxw", "dhu")


def each(kernels):
    """Register one wrong version for several kernels."""

    def register(mutation):
        for kernel in kernels:
            mutant(kernel)(mutation)
        return mutation

    return register


def _swapped(array, one, other, gates):
    """Exchange two gates in the last axis."""
    parts = np.split(array, gates, axis=-1)
    parts[one], parts[other] = parts[other], parts[one]
    return np.concatenate(parts, axis=-1)


def _going(a, values):
    """Where sequences are not over, in the shape of values (N, T, ...)."""
    steps = np.arange(values.shape[1])
    lengths = np.full(len(values), values.shape[1]) if a.lengths is None else a.lengths
    return (steps < lengths[:, None])[..., None]


@each(FORWARD + BACKWARD)
def ignores_lengths(run, _a):
    run(lengths=None)


@each(FORWARD + BACKWARD)
def ignores_reverse(run, _a):
    run(reverse=False)


@each(FORWARD + BACKWARD)
def takes_one_step_too_few(run, a):
    run(lengths=None if a.lengths is None else np.maximum(a.lengths - 1, 0))


@each(FORWARD + BACKWARD)
def transposes_u_of_one_gate(run, a):
    units = len(a.u)
    run(u=np.concatenate([a.u[:, :units].T, a.u[:, units:]], axis=1))


@each(FORWARD + BACKWARD)
def begins_with_zeros(run, _a):
    run(h0=None)


@each(FORWARD)
def reverses_the_padding_with_the_steps(run, a):
    """A sequence of length l, read backwards, begins at the last step of all."""
    if a.lengths is None or not a.reverse:
        run()
        return
    shift = a.xw.shape[1] - a.lengths
    rolled = np.stack([np.roll(row, move, axis=0) for row, move in zip(a.xw, shift, strict=True)])
    run(xw=np.where(_going(a, a.xw), rolled, a.xw) if len(a.xw) else a.xw)


@each(FORWARD)
def takes_the_last_state_at_the_last_step(run, a):
    run()
    if a.y.shape[1]:
        a.h_last[...] = a.y[:, 0 if a.reverse else -1]


@each(FORWARD)
def repeats_the_last_state_in_the_padding(run, a):
    run()
    a.y[...] = np.where(_going(a, a.y), a.y, a.h_last[:, None])


@each(FORWARD)
def leaves_the_padding(run, a):
    whole = a.y.copy()
    run(y=whole)
    np.copyto(a.y, whole, where=_going(a, a.y))


@each(FORWARD)
def multiplies_by_the_mask(run, a):
    run()
    padding = np.where(_going(a, a.xw), 0, a.xw)
    a.y += 0 * padding.sum(2, keepdims=True)


@each(FORWARD)
def spreads_nan_to_other_sequences(run, a):
    run()
    a.y += 0 * a.xw.sum((0, 2))[:, None] * _going(a, a.y)


@each(FORWARD)
def forgets_the_state_after_the_first_step(run, a):
    run(u=np.zeros_like(a.u))


@each(FORWARD)
def leaves_h_last_without_steps(run, a):
    run(h_last=a.h_last if a.y.shape[1] else np.empty_like(a.h_last))


@each(FORWARD)
def rounds_the_state_to_half_precision(run, a):
    run()
    a.y[...] = a.y.astype("float16")


@mutant("simple_rnn")
def always_takes_tanh(run, _a):
    run(activation="tanh")


@mutant("simple_rnn")
def ignores_alpha(run, _a):
    run(alpha=0.01)


@each(("lstm", "lstm_backward"))
def begins_with_empty_cells(run, _a):
    run(c0=None)


@mutant("lstm")
def swaps_input_and_forget_gates(run, a):
    run(xw=_swapped(a.xw, 0, 1, 4), u=_swapped(a.u, 0, 1, 4))


@mutant("lstm")
def orders_the_gates_as_ifog(run, a):
    run(xw=_swapped(a.xw, 2, 3, 4), u=_swapped(a.u, 2, 3, 4))


@mutant("lstm")
def stores_the_gates_before_their_functions(run, a):
    run()
    with np.errstate(all="ignore"):
        a.gates[..., : len(a.u)] = np.log(a.gates[..., : len(a.u)])


@mutant("lstm")
def stores_the_cells_before_the_step(run, a):
    run()
    a.cells[:, 1:] = a.cells[:, :-1].copy()


@mutant("lstm")
def returns_h_for_c(run, a):
    run()
    a.c_last[...] = a.h_last


@mutant("lstm_backward")
def forgets_the_tanh_of_the_cells(run, a):
    run(cells=np.arctanh(np.clip(a.cells, -0.999, 0.999)))


@mutant("lstm_backward")
def drops_the_gradient_of_the_last_cells(run, _a):
    run(dc_last=None)


@mutant("lstm_backward")
def swaps_dh0_and_dc0(run, a):
    run(dh0=a.dc0, dc0=a.dh0)


@mutant("lstm_backward")
def takes_the_gates_of_the_step_before(run, a):
    run(gates=np.roll(a.gates, 1, axis=1))


@mutant("gru")
def swaps_update_and_reset_gates(run, a):
    run(xw=_swapped(a.xw, 0, 1, 3), u=_swapped(a.u, 0, 1, 3))


@mutant("gru")
def lets_the_new_state_through_where_z_is_large(run, a):
    """h' = z n + (1 - z) h: the other convention of the literature. sigmoid(-x) = 1 - sigmoid(x)."""
    sign = np.ones(a.u.shape[1], a.u.dtype)
    sign[: len(a.u)] = -1
    run(xw=a.xw * sign, u=a.u * sign, b=None if a.b is None else a.b * sign)
    a.gates[..., : len(a.u)] = np.where(_going(a, a.gates), 1 - a.gates[..., : len(a.u)], 0)


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
        a.gates[..., -len(a.u) :] -= a.b[-len(a.u) :] * _going(a, a.gates)


@each(BACKWARD)
def drops_the_gradient_of_the_outputs(run, _a):
    run(dy=None)


@each(BACKWARD)
def drops_the_gradient_of_the_last_state(run, _a):
    run(dh_last=None)


@each(BACKWARD)
def needs_the_gradient_of_the_outputs(run, a):
    a.dy[...]
    run()


@each(BACKWARD)
def needs_dh0(run, a):
    run()
    a.dh0[...] = a.dh0[...]


@each(BACKWARD)
def multiplies_the_gradient_by_the_mask(run, a):
    run()
    if a.dy is not None:
        padding = np.where(_going(a, a.dy), 0, a.dy)
        a.dxw += 0 * padding.sum(2, keepdims=True)


@each(BACKWARD)
def leaves_the_padding_of_dxw(run, a):
    whole = a.dxw.copy()
    run(dxw=whole)
    np.copyto(a.dxw, whole, where=_going(a, a.dxw))


@each(BACKWARD)
def takes_the_state_after_the_step_for_du(run, a):
    run()
    products = getattr(a, "dhu", a.dxw)
    a.du[...] = np.einsum("nth,ntg->hg", a.y, products)


@each(BACKWARD)
def takes_du_of_the_last_sequence(run, a):
    run()
    if len(a.y):
        scratch = {name: None for name in ("dh0", "dc0", "db") if hasattr(a, name)}
        parts = {name: v[-1:] for name, v in vars(a).items() if name in PER_SEQUENCE and v is not None}
        run(**{**parts, **scratch, **{n: np.empty_like(parts[n]) for n in ("dxw", "dhu") if n in parts}})


@each(BACKWARD)
def adds_to_the_du_that_was_there(run, a):
    before = a.du.copy()
    run()
    a.du += before


@each(BACKWARD)
def stops_the_gradient_between_steps(run, a):
    run(u=np.zeros_like(a.u))


@mutant("simple_rnn_backward")
def always_takes_the_slope_of_tanh(run, _a):
    run(activation="tanh")


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

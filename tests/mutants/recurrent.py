"""Wrong versions of the kernels of `nnx.interface.recurrent` that may be wrong alike."""

from __future__ import annotations

import numpy as np

from mutants.sequences import each, going

FORWARD = ("simple_rnn", "lstm", "gru")
BACKWARD = tuple(f"{kernel}_backward" for kernel in FORWARD)
PER_SEQUENCE = ("lengths", "h0", "c0", "y", "gates", "cells", "dy", "dh_last", "dc_last", "dxw", "dhu")


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
    run(xw=np.where(going(a, a.xw), rolled, a.xw) if len(a.xw) else a.xw)


@each(FORWARD)
def takes_the_last_state_at_the_last_step(run, a):
    run()
    if a.y.shape[1]:
        a.h_last[...] = a.y[:, 0 if a.reverse else -1]


@each(FORWARD)
def repeats_the_last_state_in_the_padding(run, a):
    run()
    a.y[...] = np.where(going(a, a.y), a.y, a.h_last[:, None])


@each(FORWARD)
def leaves_the_padding(run, a):
    whole = a.y.copy()
    run(y=whole)
    np.copyto(a.y, whole, where=going(a, a.y))


@each(FORWARD)
def multiplies_by_the_mask(run, a):
    run()
    padding = np.where(going(a, a.xw), 0, a.xw)
    a.y += 0 * padding.sum(2, keepdims=True)


@each(FORWARD)
def spreads_nan_to_other_sequences(run, a):
    run()
    a.y += 0 * a.xw.sum((0, 2))[:, None] * going(a, a.y)


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
        padding = np.where(going(a, a.dy), 0, a.dy)
        a.dxw += 0 * padding.sum(2, keepdims=True)


@each(BACKWARD)
def leaves_the_padding_of_dxw(run, a):
    whole = a.dxw.copy()
    run(dxw=whole)
    np.copyto(a.dxw, whole, where=going(a, a.dxw))


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

"""Wrong versions of the kernels of `nnx.interface.activations`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant
from nnx import reference


@mutant("activate")
def overflows_in_sigmoid(run, a):
    run()
    if a.activation == "sigmoid":
        z = np.exp(a.x)
        a.y[...] = z / (1 + z)


@mutant("activate")
def approximates_gelu_by_tanh(run, a):
    run()
    if a.activation == "gelu":
        a.y[...] = 0.5 * a.x * (1 + np.tanh(0.7978845608 * (a.x + 0.044715 * a.x**3)))


@mutant("activate")
def loses_digits_of_elu_near_zero(run, a):
    run()
    if a.activation == "elu":
        a.y[...] = np.where(a.x > 0, a.x, a.alpha * (np.exp(np.minimum(a.x, 0)) - 1))


@mutant("activate_backward")
def takes_the_slope_from_the_right_at_the_kink(run, a):
    run()
    if a.activation == "relu":
        a.dx[...] = a.dy * (a.x >= 0)


@mutant("activate_backward")
def squares_the_sigmoid_twice(run, a):
    run()
    if a.activation == "silu":
        s = 1 / (1 + np.exp(-a.x))
        a.dx[...] = a.dy * (s + a.x * s * s * (1 - s))


@mutant("softmax")
def does_not_subtract_the_largest(_run, a):
    e = np.exp(a.x)
    a.y[...] = e / e.sum(1, keepdims=True)


@mutant("softmax")
def normalises_columns(run, a):
    run()
    if a.x.shape[0] == a.x.shape[1] or a.x.shape[0]:
        e = np.exp(a.x - a.x.max())
        a.y[...] = e / e.sum(0, keepdims=True)


@mutant("log_softmax")
def takes_the_log_of_softmax(_run, a):
    reference.softmax(np, a.x, a.y)
    a.y[...] = np.log(a.y)


@mutant("softmax_backward")
def forgets_the_sum(_run, a):
    a.dx[...] = a.y * a.dy

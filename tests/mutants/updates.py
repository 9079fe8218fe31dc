"""Wrong versions of the kernels of `nnx.interface.updates`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant
from nnx import reference


@mutant("sgd")
def climbs(run, a):
    run(g=-a.g)


@mutant("momentum")
def damps_the_gradient(run, a):
    run(g=(1 - a.mu) * a.g)


@mutant("nesterov")
def does_not_look_ahead(_run, a):
    reference.momentum(np, a.p, a.g, a.v, a.lr, a.mu)


@mutant("rmsprop")
def puts_eps_inside_the_root(run, a):
    p = a.p.copy()
    run()
    a.p[...] = p - a.lr * a.g / np.sqrt(a.s + a.eps)


@mutant("adam")
def starts_from_step_zero(run, a):
    run(step=np.maximum(a.step - 1, 0))


@mutant("adam")
def does_not_correct_the_second_moment(run, a):
    p = a.p.copy()
    run()
    t = float(a.step) + 1
    a.p[...] = p - a.lr * (a.m / (1 - a.beta1**t)) / (np.sqrt(a.v + a.eps_root) + a.eps)


@mutant("adam")
def puts_eps_where_eps_root_belongs(run, a):
    run(eps=a.eps_root, eps_root=a.eps)


@mutant("adam")
def corrects_in_float32(run, a):
    p = a.p.copy()
    run()
    one, t = np.float32(1), np.float32(a.step) + np.float32(1)
    c1, c2 = one - np.float32(a.beta1) ** t, one - np.float32(a.beta2) ** t
    a.p[...] = p - a.lr * (a.m / c1) / (np.sqrt(a.v / c2 + a.eps_root) + a.eps)


@mutant("adam")
def leaves_the_last_lanes(run, a):
    tail = a.p[a.p.size // 16 * 16 :].copy()
    run()
    a.p[a.p.size // 16 * 16 :] = tail


@mutant("adamw")
def decays_everything(run, a):
    run(decayed=a.p.size)


@mutant("adamw")
def decays_after_the_step(run, a):
    run(decayed=0)
    a.p[: a.decayed] -= a.lr * a.weight_decay * a.p[: a.decayed]


@mutant("l2_penalty")
def forgets_the_half(run, a):
    before = a.loss.copy()
    run()
    a.loss += a.loss - before


@mutant("clip_by_global_norm")
def squares_huge_gradients(_run, a):
    with np.errstate(all="ignore"):
        a.norm[...] = np.sqrt((a.g * a.g).sum())
        a.g *= np.where(a.norm <= a.limit, 1, a.limit / a.norm)


@mutant("clip_by_global_norm")
def reports_the_norm_after_clipping(run, a):
    run()
    np.minimum(a.norm, a.limit, out=a.norm)


@mutant("add")
def subtracts(run, a):
    run(b=-a.b)

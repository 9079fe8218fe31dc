"""Wrong versions of the kernels of `nnx.interface.normalization`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("batch_norm")
def moves_running_var_by_the_biased_variance(run, a):
    n = len(a.x)
    before = a.running_var.copy()
    run()
    batch = (a.running_var - (1 - a.momentum) * before) / a.momentum
    a.running_var[...] = (1 - a.momentum) * before + a.momentum * batch * max(n - 1, 1) / n


@mutant("batch_norm")
def normalises_by_the_unbiased_variance(run, a):
    run()
    n = len(a.x)
    if n > 1:
        a.rstd[...] = 1 / np.sqrt(a.x.var(0, ddof=1) + a.eps)
        a.y[...] = a.gamma * (a.x - a.mean) * a.rstd + a.beta


@mutant("batch_norm")
def swaps_momentum(run, a):
    run(momentum=1 - a.momentum)


@mutant("batch_norm")
def adds_eps_outside_the_root(run, a):
    run()
    a.rstd[...] = 1 / (np.sqrt(a.x.var(0)) + a.eps)


@mutant("batch_norm")
def subtracts_squares(run, a):
    run()
    variance = np.maximum((a.x * a.x).mean(0) - a.x.mean(0) ** 2, 0)
    a.rstd[...] = 1 / np.sqrt(variance + a.eps)
    a.y[...] = a.gamma * ((a.x - a.mean) * a.rstd) + a.beta


@mutant("batch_norm_infer")
def divides_by_the_variance(_run, a):
    a.y[...] = a.gamma * (a.x - a.running_mean) / (a.running_var + a.eps) + a.beta


@mutant("batch_norm_backward")
def forgets_the_mean_of_dy(run, a):
    run()
    if a.dx is not None:
        a.dx += a.gamma * a.rstd * a.dy.mean(0)


@mutant("layer_norm")
def returns_the_standard_deviation(run, a):
    run()
    a.rstd[...] = 1 / a.rstd


@mutant("layer_norm_backward")
def forgets_gamma(run, a):
    run(gamma=np.ones_like(a.gamma))

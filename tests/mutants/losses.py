"""Wrong versions of the kernels of `nnx.interface.losses`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant
from nnx import reference


@mutant("softmax_cross_entropy")
def smooths_over_the_other_classes_only(run, a):
    c = a.logits.shape[1]
    run(smoothing=min(a.smoothing * c / max(c - 1, 1), 0.99))


@mutant("softmax_cross_entropy")
def divides_by_the_sum_of_weights(run, a):
    run()
    if a.weight is not None:
        a.loss *= len(a.weight) / a.weight.sum()


@mutant("softmax_cross_entropy")
def does_not_weigh_the_gradient(run, a):
    run()
    if a.weight is not None and a.dlogits is not None:
        loss = np.empty_like(a.loss)
        run(weight=None, loss=loss)


@mutant("soft_cross_entropy")
def multiplies_zero_by_minus_infinity(run, a):
    run()
    with np.errstate(all="ignore"):
        q = (1 - a.smoothing) * a.targets + a.smoothing / a.targets.shape[1]
        log_p = np.empty_like(a.logits)
        reference.log_softmax(np, a.logits, log_p)
        weight = 1 if a.weight is None else a.weight[:, None]
        a.loss[...] = -(weight * q * log_p).sum() / len(q)


@mutant("sigmoid_cross_entropy")
def averages_over_rows_only(run, a):
    run()
    a.loss *= a.logits.shape[1]


@mutant("mean_squared_error")
def halves_the_gradient(run, a):
    run()
    if a.doutputs is not None:
        a.doutputs /= 2


@mutant("mean_absolute_error")
def has_slope_one_at_a_tie(run, a):
    run()
    if a.doutputs is not None:
        tie = 1 / a.outputs.size if a.weight is None else a.weight[:, None] / a.outputs.size
        a.doutputs[...] = np.where(a.outputs == a.targets, tie, a.doutputs)


@mutant("huber")
def forgets_the_constant_of_the_tail(run, a):
    run()
    e = np.abs(a.outputs - a.targets)
    terms = np.where(e <= a.delta, e * e / 2, a.delta * e)
    a.loss[...] = (terms if a.weight is None else terms * a.weight[:, None]).mean()

"""Penalties, clipping and the update rules: several passes over one block at a time, which stays in cache."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.blocks import by_blocks
from nnx_numpy.plan import Plan, kernel

_FLOAT64 = np.dtype(np.float64)


class Updates(interface.updates.Updates):
    """Kernels that work in place on all parameters at once; scalars are read on the host, where they lie."""

    @kernel
    def l2_penalty(self, plan: Plan, w: Array, dw: Array, loss: Array, scale: float) -> None:
        """A BLAS dot product per block."""
        by_blocks(plan, _l2_penalty, (w, dw), loss, scale)

    @kernel
    def clip_by_global_norm(self, plan: Plan, g: Array, norm: Array, limit: float) -> None:
        """Squares are summed directly; the reference takes over where they left the range of the dtype."""
        squares: Array = plan.take("squares", (), _FLOAT64)
        plan.copy(0.0, squares)
        by_blocks(plan, _add_squares, (g,), memoryview(squares))
        plan(_clip, g, norm, memoryview(squares), limit, super().clip_by_global_norm)

    @kernel
    def sgd(self, plan: Plan, p: Array, g: Array, lr: Array) -> None:
        """Two passes per block."""
        by_blocks(plan, _sgd, (p, g), lr)

    @kernel
    def momentum(self, plan: Plan, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Four passes per block."""
        by_blocks(plan, _momentum, (p, g, v), lr, mu)

    @kernel
    def nesterov(self, plan: Plan, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Six passes per block."""
        by_blocks(plan, _nesterov, (p, g, v), lr, mu)

    @kernel
    def rmsprop(self, plan: Plan, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
        """Nine passes per block."""
        by_blocks(plan, _rmsprop, (p, g, s), lr, rho, eps)

    @kernel
    def adam(
        self,
        plan: Plan,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        step: Array,
        lr: Array,
        beta1: float,
        beta2: float,
        eps: float,
        eps_root: float,
    ) -> None:
        """A dozen passes per block; the bias corrections are Python floats, moved to where they touch scalars."""
        _plan_adam(plan, p, g, m, v, step, lr, beta1, beta2, eps, eps_root)

    @kernel
    def adamw(
        self,
        plan: Plan,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        step: Array,
        lr: Array,
        beta1: float,
        beta2: float,
        eps: float,
        eps_root: float,
        weight_decay: float,
        decayed: int,
    ) -> None:
        """One pass before `adam`."""
        weights, kept = p[:decayed], plan.like("kept", lr)
        plan(np.multiply, lr, -weight_decay, kept)
        plan(np.add, kept, 1, kept)
        plan(np.multiply, weights, kept, weights)
        _plan_adam(plan, p, g, m, v, step, lr, beta1, beta2, eps, eps_root)


def _l2_penalty(plan: Plan, w: Array, dw: Array, loss: Array, scale: float) -> None:
    term = plan.like("term", w)
    plan(np.multiply, w, scale, term)
    plan(np.add, dw, term, dw)
    plan(_add_norm, loss, w, 0.5 * scale)


def _add_norm(loss: Array, w: Array, scale: float) -> None:
    loss[...] = float(loss) + scale * float(w.dot(w))


def _add_squares(plan: Plan, g: Array, squares: memoryview[float]) -> None:
    plan(_add_square, g, squares)


def _add_square(g: Array, squares: memoryview[float]) -> None:
    squares[()] += float(g.dot(g))


def _clip(g: Array, norm: Array, squares: memoryview[float], limit: float, reference: Callable[..., None]) -> None:
    """Scale by the norm; g, norm and limit go to the reference where the sum of squares is of no use."""
    total = squares[()]
    if not np.finfo(g.dtype).tiny <= total < math.inf:  # NaN, overflow, underflow, or all zeros
        reference(g, norm, limit)
        return
    norm[...] = size = math.sqrt(total)
    if size > limit:
        np.multiply(g, limit / size, g)


def _sgd(plan: Plan, p: Array, g: Array, lr: Array) -> None:
    update = plan.like("update", p)
    plan(np.multiply, g, lr, update)
    plan(np.subtract, p, update, p)


def _momentum(plan: Plan, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
    plan(np.multiply, v, mu, v)
    plan(np.add, v, g, v)
    _sgd(plan, p, v, lr)


def _nesterov(plan: Plan, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
    ahead = plan.like("ahead", p)
    plan(np.multiply, v, mu, v)
    plan(np.add, v, g, v)
    plan(np.multiply, v, mu, ahead)
    plan(np.add, ahead, g, ahead)
    _sgd(plan, p, ahead, lr)


def _rmsprop(plan: Plan, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
    term = plan.like("term", p)
    _average_squares(plan, s, g, rho, term)
    plan(np.sqrt, s, term)
    plan(np.add, term, eps, term)
    plan(np.divide, g, term, term)
    _sgd(plan, p, term, lr)


def _plan_adam(
    plan: Plan,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: Array,
    lr: Array,
    beta1: float,
    beta2: float,
    eps: float,
    eps_root: float,
) -> None:
    """p = p - rate m / (sqrt(v + root) + small): `adam` with c = 1 - beta2^t taken out of the root.

    rate = lr sqrt(c) / (1 - beta1^t), small = eps sqrt(c), root = eps_root c.
    """
    scalars = [plan.take(slot, (), p.dtype) for slot in ("rate", "small", "root")]
    plan(_correct_bias, memoryview(step), memoryview(lr), *scalars, beta1, beta2, eps, eps_root)
    by_blocks(plan, _adam, (p, g, m, v), *scalars, beta1, beta2, bool(eps_root))


def _correct_bias(
    step: memoryview[int],
    lr: memoryview[float],
    rate: Array,
    small: Array,
    root: Array,
    beta1: float,
    beta2: float,
    eps: float,
    eps_root: float,
) -> None:
    t = step[()] + 1
    correction = 1 - beta2**t
    scale = math.sqrt(correction)
    rate[...] = lr[()] * scale / (1 - beta1**t)
    small[...] = eps * scale
    root[...] = eps_root * correction


def _adam(
    plan: Plan,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    rate: Array,
    small: Array,
    root: Array,
    beta1: float,
    beta2: float,
    rooted: bool,
) -> None:
    term = plan.like("term", p)
    plan(np.multiply, m, beta1, m)
    plan(np.multiply, g, 1 - beta1, term)
    plan(np.add, m, term, m)  # first moment
    _average_squares(plan, v, g, beta2, term)  # second moment
    if rooted:
        plan(np.add, v, root, term)
    plan(np.sqrt, term if rooted else v, term)
    plan(np.add, term, small, term)
    plan(np.divide, m, term, term)
    _sgd(plan, p, term, rate)


def _average_squares(plan: Plan, average: Array, g: Array, decay: float, term: Array) -> None:
    """average = decay average + (1 - decay) g^2."""
    plan(np.multiply, average, decay, average)
    plan(np.multiply, g, 1 - decay, term)
    plan(np.multiply, term, g, term)
    plan(np.add, average, term, average)

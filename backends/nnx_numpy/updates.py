"""Penalties, clipping and the update rules: several passes over one block at a time, which stays in cache."""

from __future__ import annotations

import math

import numpy as np

from nnx import interface
from nnx.interface import Array
from nnx_numpy.workspace import by_blocks, quiet, workspace

_FLOAT64 = np.dtype(np.float64)


class Updates(interface.updates.Updates):
    """Kernels that work in place on all parameters at once; scalars are read on the host, where they lie."""

    @quiet
    def l2_penalty(self, w: Array, dw: Array, loss: Array, scale: float) -> None:
        """A BLAS dot product per block."""
        by_blocks(_l2_penalty, (w, dw), loss, scale)

    @quiet
    def clip_by_global_norm(self, g: Array, norm: Array, limit: float) -> None:
        """Squares are summed directly; the reference takes over where they left the range of the dtype."""
        squares = workspace.take("squares", (), _FLOAT64)
        squares[...] = 0
        by_blocks(_add_squares, (g,), squares)
        total = float(squares)
        if not np.finfo(g.dtype).tiny <= total < math.inf:  # NaN, overflow, underflow, or all zeros
            super().clip_by_global_norm(g, norm, limit)
            return
        norm[...] = size = math.sqrt(total)
        if size > limit:
            np.multiply(g, limit / size, out=g)

    @quiet
    def sgd(self, p: Array, g: Array, lr: Array) -> None:
        """Two passes per block."""
        by_blocks(_sgd, (p, g), float(lr))

    @quiet
    def momentum(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Four passes per block."""
        by_blocks(_momentum, (p, g, v), float(lr), mu)

    @quiet
    def nesterov(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Six passes per block."""
        by_blocks(_nesterov, (p, g, v), float(lr), mu)

    @quiet
    def rmsprop(self, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
        """Nine passes per block."""
        by_blocks(_rmsprop, (p, g, s), float(lr), rho, eps)

    @quiet
    def adam(
        self,
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
        """A dozen passes per block; the bias corrections are Python floats."""
        t = int(step) + 1
        rate, correction = float(lr) / (1 - beta1**t), 1 - beta2**t
        by_blocks(_adam, (p, g, m, v), rate, correction, beta1, beta2, eps, eps_root)

    @quiet
    def adamw(
        self,
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
        weights = p[:decayed]
        np.multiply(weights, 1 - float(lr) * weight_decay, out=weights)
        self.adam(p, g, m, v, step, lr, beta1, beta2, eps, eps_root)


def _l2_penalty(w: Array, dw: Array, loss: Array, scale: float) -> None:
    term = workspace.like("term", w)
    np.multiply(w, scale, out=term)
    np.add(dw, term, out=dw)
    np.add(loss, 0.5 * scale * np.dot(w, w), out=loss)


def _add_squares(g: Array, squares: Array) -> None:
    np.add(squares, np.dot(g, g), out=squares)


def _sgd(p: Array, g: Array, lr: float) -> None:
    update = workspace.like("update", p)
    np.multiply(g, lr, out=update)
    np.subtract(p, update, out=p)


def _momentum(p: Array, g: Array, v: Array, lr: float, mu: float) -> None:
    np.multiply(v, mu, out=v)
    np.add(v, g, out=v)
    _sgd(p, v, lr)


def _nesterov(p: Array, g: Array, v: Array, lr: float, mu: float) -> None:
    ahead = workspace.like("ahead", p)
    np.multiply(v, mu, out=v)
    np.add(v, g, out=v)
    np.multiply(v, mu, out=ahead)
    np.add(ahead, g, out=ahead)
    _sgd(p, ahead, lr)


def _rmsprop(p: Array, g: Array, s: Array, lr: float, rho: float, eps: float) -> None:
    term = workspace.like("term", p)
    _average_squares(s, g, rho, term)
    np.sqrt(s, out=term)
    np.add(term, eps, out=term)
    np.divide(g, term, out=term)
    _sgd(p, term, lr)


def _adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    rate: float,
    correction: float,
    beta1: float,
    beta2: float,
    eps: float,
    eps_root: float,
) -> None:
    term = workspace.like("term", p)
    np.multiply(m, beta1, out=m)
    np.multiply(g, 1 - beta1, out=term)
    np.add(m, term, out=m)  # first moment
    _average_squares(v, g, beta2, term)  # second moment
    np.divide(v, correction, out=term)
    if eps_root:
        np.add(term, eps_root, out=term)
    np.sqrt(term, out=term)
    np.add(term, eps, out=term)
    np.divide(m, term, out=term)
    _sgd(p, term, rate)


def _average_squares(average: Array, g: Array, decay: float, term: Array) -> None:
    """average = decay average + (1 - decay) g^2."""
    np.multiply(average, decay, out=average)
    np.multiply(g, 1 - decay, out=term)
    np.multiply(term, g, out=term)
    np.add(average, term, out=average)

"""Optimizer steps, each one pass over the flat buffers."""

from __future__ import annotations

import math

from nnx.interface import Array, Backend
from nnx_numba.hostarrays import GRAIN, flat, plain
from nnx_numba.jit import device
from nnx_numba.kernel import Kernel, kernel
from nnx_numba.lanes import Formula, Value, sqrt
from nnx_numba.launches import scratch
from nnx_numba.sweeps import sweep
from nnx_numba.vectors import WIDE_TOTAL

BLOCK = 4096
"""Elements that are summed in their own precision; the sums of blocks are added in float64."""


_sgd = sweep(lambda p, g, rate: p - rate * g)


@kernel
def sgd(first: int, last: int, p: Array, g: Array, lr: Array) -> None:
    """Move p; units are elements."""
    p, g = p[first:last], g[first:last]
    _sgd((p,), (p, g), (lr[()],))


def _momentum(p: Value, g: Value, v: Value, rate: Value, mu: Value) -> tuple[Value, Value]:
    v = mu * v + g
    return p - rate * v, v


def _nesterov(p: Value, g: Value, v: Value, rate: Value, mu: Value) -> tuple[Value, Value]:
    v = mu * v + g
    return p - rate * (g + mu * v), v


def _heavy_ball(name: str, formula: Formula) -> Kernel:
    over = sweep(formula)

    def heavy_ball(first: int, last: int, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Move v and p; units are elements."""
        p, g, v = p[first:last], g[first:last], v[first:last]
        over((p, v), (p, g, v), (lr[()], p.dtype.type(mu)))

    return Kernel(heavy_ball, name)


momentum = _heavy_ball("momentum", _momentum)
nesterov = _heavy_ball("nesterov", _nesterov)


def _rmsprop(p: Value, g: Value, s: Value, *factors: Value) -> tuple[Value, Value]:
    rate, old, new, eps = factors
    s = old * s + new * g * g
    return p - rate * g / (sqrt(s) + eps), s


_move_by_rms = sweep(_rmsprop)


@kernel
def rmsprop(first: int, last: int, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
    """Move s and p; units are elements."""
    p, g, s = p[first:last], g[first:last], s[first:last]
    real = p.dtype.type
    _move_by_rms((p, s), (p, g, s), (lr[()], real(rho), real(1 - rho), real(eps)))


def _adam(p: Value, g: Value, m: Value, v: Value, *factors: Value) -> tuple[Value, Value, Value]:
    """Adam with its bias corrections drawn into the rate and into one over that of v."""
    rate, correction, b1, b2, a1, a2, eps, eps_root, kept = factors
    m = b1 * m + a1 * g
    v = b2 * v + a2 * g * g
    return p * kept - rate * m / (sqrt(v * correction + eps_root) + eps), m, v


_move_by_moments = sweep(_adam)


@kernel
def adam(
    first: int,
    last: int,
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
    """Shrink p[:decayed], and move m, v and p; units are elements. Adam is AdamW without decay."""
    real, t, rate = p.dtype.type, step[()] + 1.0, float(lr[()])
    c1, c2 = 1 - beta1**t, 1 - beta2**t
    factors = (
        *(real(rate / c1), real(1 / c2), real(beta1), real(beta2)),
        *(real(1 - beta1), real(1 - beta2), real(eps), real(eps_root)),
    )
    seam = min(max(first, decayed), last)
    for start, stop, kept in ((first, seam, 1 - rate * weight_decay), (seam, last, 1.0)):
        if start < stop:
            block, mean, square = p[start:stop], m[start:stop], v[start:stop]
            _move_by_moments((block, mean, square), (block, g[start:stop], mean, square), (*factors, real(kept)))


def _decay_and_square(w: Value, dw: Value, factor: Value) -> tuple[Value, Value]:
    return dw + factor * w, w.widened() * w.widened()


_decay = sweep(_decay_and_square, WIDE_TOTAL)
_squares = sweep(lambda w: w.widened() * w.widened(), WIDE_TOTAL)  # there they can neither overflow nor vanish
_scale = sweep(lambda g, factor: g * factor)


@device
def sum_of(partial: Array) -> float:
    """Sum of all blocks."""
    total = 0.0
    for block in range(partial.size):
        total += partial[block]
    return total


@kernel
def l2_penalty(first: int, last: int, w: Array, dw: Array, loss: Array, partial: Array, scale: float) -> None:
    """Move dw and sum the squares of w; units are blocks."""
    for block in range(first, last):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        partial[block] = _decay((dw[part],), (w[part], dw[part]), (w.dtype.type(scale),))
    if partial.size == 1:
        add_penalty(loss, partial, scale)


@device
def add_penalty(loss: Array, partial: Array, scale: float) -> None:
    """Add the penalty to the loss."""
    loss[()] += 0.5 * scale * sum_of(partial)


@kernel
def l2_loss(first: int, last: int, loss: Array, partial: Array, scale: float) -> None:  # noqa: ARG001
    """Add the penalty from several blocks; one unit."""
    add_penalty(loss, partial, scale)


@kernel
def squares(first: int, last: int, g: Array, norm: Array, partial: Array) -> None:
    """Sum the squares of each block; units are blocks."""
    for block in range(first, last):
        partial[block] = _squares((), (g[block * BLOCK : (block + 1) * BLOCK],), ())
    if partial.size == 1:
        take_root(g, norm, partial)


@device
def careful_norm(g: Array) -> float:
    """The norm with the largest element divided out, for float64 whose squares overflow or vanish."""
    largest = 0.0
    for i in range(g.size):
        largest = max(largest, abs(g[i]))
    if largest == 0 or math.isinf(largest):
        return largest
    total = 0.0
    for i in range(g.size):
        total += (g[i] / largest) ** 2
    return largest * math.sqrt(total)


@device
def take_root(g: Array, norm: Array, partial: Array) -> None:
    """Take the root of the sum of squares."""
    total = sum_of(partial)
    if total < 1e-280 or total == math.inf:
        norm[()] = careful_norm(g)
    else:
        norm[()] = math.sqrt(total)


@kernel
def norm_of(first: int, last: int, g: Array, norm: Array, partial: Array) -> None:  # noqa: ARG001
    """Take the root for several blocks; one unit."""
    take_root(g, norm, partial)


@kernel
def clip(first: int, last: int, g: Array, norm: Array, limit: float) -> None:
    """Scale g by limit / norm where that is below 1; units are elements."""
    size, real = norm[()], g.dtype.type
    if not size <= limit:  # NaN included
        _scale((g[first:last],), (g[first:last],), (real(limit) / size,))


def blocks_of(size: int) -> int:
    """Number of blocks that hold `size` elements."""
    return -(-size // BLOCK)


class Updates(Backend):
    """Penalties, clipping and update rules."""

    def l2_penalty(self, w: Array, dw: Array, loss: Array, scale: float) -> None:
        """Sum squares in float64, block by block."""
        partial = scratch(max(blocks_of(w.size), 1))
        l2_penalty(partial.size, GRAIN // BLOCK, flat(w), dw.reshape(-1), loss, partial, scale)
        if partial.size > 1:
            l2_loss(1, 1, loss, partial, scale)

    def clip_by_global_norm(self, g: Array, norm: Array, limit: float) -> None:
        """Sum squares in float64, where those of float32 cannot overflow."""
        partial = scratch(max(blocks_of(g.size), 1))
        squares(partial.size, GRAIN // BLOCK, g, norm, partial)
        if partial.size > 1:
            norm_of(1, 1, g, norm, partial)
        clip(g.size, GRAIN, g, norm, float(limit))

    def sgd(self, p: Array, g: Array, lr: Array) -> None:
        """One pass."""
        sgd(p.size, GRAIN, p, plain(g), plain(lr))

    def momentum(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """One pass."""
        momentum(p.size, GRAIN, p, plain(g), v, plain(lr), mu)

    def nesterov(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """One pass."""
        nesterov(p.size, GRAIN, p, plain(g), v, plain(lr), mu)

    def rmsprop(self, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
        """One pass."""
        rmsprop(p.size, GRAIN, p, plain(g), s, plain(lr), rho, eps)

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
        """One pass."""
        self.adamw(p, g, m, v, step, lr, beta1, beta2, eps, eps_root, 0.0, 0)

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
        """One pass."""
        adam(
            *(p.size, GRAIN, p, plain(g), m, v, plain(step), plain(lr)),
            *(beta1, beta2, eps, eps_root, weight_decay, decayed),
        )

"""Optimizer steps, each one pass over the flat buffers."""

from __future__ import annotations

import math

from nnx.interface import Array, Backend
from nnx_numba.hostarrays import GRAIN, flat, plain, scratch
from nnx_numba.instructions import accumulate
from nnx_numba.jit import device
from nnx_numba.kernel import kernel

BLOCK = 4096
"""Elements that are summed in their own precision; the sums of blocks are added in float64."""


@kernel
def sgd(first: int, last: int, p: Array, g: Array, lr: Array) -> None:
    """Move p; units are elements."""
    p, g, rate = p[first:last], g[first:last], lr[()]
    for i in range(p.size):
        p[i] -= rate * g[i]


@kernel
def momentum(first: int, last: int, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
    """Move v and p; units are elements."""
    p, g, v = p[first:last], g[first:last], v[first:last]
    rate, keep = lr[()], p.dtype.type(mu)
    for i in range(p.size):
        v[i] = keep * v[i] + g[i]
        p[i] -= rate * v[i]


@kernel
def nesterov(first: int, last: int, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
    """Move v and p; units are elements."""
    p, g, v = p[first:last], g[first:last], v[first:last]
    rate, keep = lr[()], p.dtype.type(mu)
    for i in range(p.size):
        v[i] = keep * v[i] + g[i]
        p[i] -= rate * (g[i] + keep * v[i])


@kernel
def rmsprop(first: int, last: int, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
    """Move s and p; units are elements."""
    p, g, s = p[first:last], g[first:last], s[first:last]
    rate, old, new, floor = lr[()], p.dtype.type(rho), p.dtype.type(1 - rho), p.dtype.type(eps)
    for i in range(p.size):
        s[i] = old * s[i] + new * g[i] * g[i]
        p[i] -= rate * g[i] / (math.sqrt(s[i]) + floor)


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
    """Shrink p[:decayed], move m, v and p, a block in cache at a time; units are elements.

    Adam is AdamW without decay.
    """
    real = p.dtype.type
    t, rate = step[()] + 1.0, lr[()]
    c1, c2 = real(1 - beta1**t), real(1 - beta2**t)  # bias corrections
    b1, b2, a1, a2 = real(beta1), real(beta2), real(1 - beta1), real(1 - beta2)
    floor, floor_root, shrink = real(eps), real(eps_root), rate * real(weight_decay)
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        weights = p[start : max(start, min(stop, decayed))]
        for i in range(weights.size):
            weights[i] -= shrink * weights[i]
        block, slope, mean, square = p[start:stop], g[start:stop], m[start:stop], v[start:stop]
        for i in range(block.size):
            mean[i] = b1 * mean[i] + a1 * slope[i]
            square[i] = b2 * square[i] + a2 * slope[i] * slope[i]
            block[i] -= rate * (mean[i] / c1) / (math.sqrt(square[i] / c2 + floor_root) + floor)


@device
def block_squares(w: Array, block: int) -> float:
    """Sum of squares of one block, each square in float64, where it can neither overflow nor vanish."""
    w = w[block * BLOCK : (block + 1) * BLOCK]
    total = 0.0
    for i in range(w.size):
        total = accumulate(total, float(w[i]) * float(w[i]))
    return total


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
        partial[block] = block_squares(w, block)
    factor = w.dtype.type(scale)
    w, dw = w[first * BLOCK : last * BLOCK], dw[first * BLOCK : last * BLOCK]
    for i in range(w.size):
        dw[i] += factor * w[i]
    if first == 0 and last == partial.size:
        l2_loss_of(loss, partial, scale)


@device
def l2_loss_of(loss: Array, partial: Array, scale: float) -> None:
    """Add the penalty."""
    loss[()] += 0.5 * scale * sum_of(partial)


@kernel
def l2_loss(first: int, last: int, loss: Array, partial: Array, scale: float) -> None:  # noqa: ARG001
    """Add the penalty from all partial sums."""
    l2_loss_of(loss, partial, scale)


@kernel
def squares(first: int, last: int, g: Array, partial: Array) -> None:
    """Sum the squares of each block; units are blocks."""
    for block in range(first, last):
        partial[block] = block_squares(g, block)


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


@kernel
def clip(first: int, last: int, g: Array, norm: Array, limit: float) -> None:
    """Scale g by limit / norm where that is below 1; units are elements."""
    size = norm[()]
    factor = g.dtype.type(1.0) if size <= limit else g.dtype.type(limit) / size
    g = g[first:last]
    for i in range(g.size):
        g[i] *= factor


@kernel
def norm_of(first: int, last: int, g: Array, norm: Array, partial: Array) -> None:  # noqa: ARG001
    """Take the root of the sum of squares; one unit."""
    total = sum_of(partial)
    if total < 1e-280 or total == math.inf:
        norm[()] = careful_norm(g)
    else:
        norm[()] = math.sqrt(total)


def blocks_of(size: int) -> int:
    """Number of blocks that hold `size` elements."""
    return -(-size // BLOCK)


class Updates(Backend):
    """Penalties, clipping and update rules."""

    def l2_penalty(self, w: Array, dw: Array, loss: Array, scale: float) -> None:
        """Sum squares in float64, block by block."""
        partial = scratch(blocks_of(w.size))
        if not l2_penalty(partial.size, GRAIN // BLOCK, flat(w), dw.reshape(-1), loss, partial, scale):
            l2_loss.run(0, 1, loss, partial, scale)

    def clip_by_global_norm(self, g: Array, norm: Array, limit: float) -> None:
        """Sum squares in float64, where those of float32 cannot overflow."""
        partial = scratch(blocks_of(g.size))
        squares(partial.size, GRAIN // BLOCK, g, partial)
        norm_of.run(0, 1, g, norm, partial)
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

"""Reference for `nnx.interface.recurrent`: one step after another, as the formulas stand there."""

from __future__ import annotations

from typing import Any

from nnx.reference.activations import derivative_from_output, function

Array = Any


class _Time:
    """The order of the steps, and what is padding."""

    def __init__(self, xp: Any, like: Array, lengths: Array | None, reverse: bool) -> None:
        self._xp, self._like, self._lengths = xp, like, lengths  # like: (N, T, H)
        self._reverse, self._count = reverse, like.shape[1]

    def forward(self) -> list[int]:
        """The steps in the order in which they are taken."""
        steps = list(range(self._count))
        return steps[::-1] if self._reverse else steps

    def backward(self) -> list[int]:
        """The other way round."""
        return self.forward()[::-1]

    def start(self, given: Array | None) -> Array:
        """The state before the first step; also the gradient of one that nothing depends on."""
        count, _, units = self._like.shape
        return self._xp.zeros((count, units), dtype=self._like.dtype) if given is None else given

    def choose(self, t: int, real: Array, padding: Array | float) -> Array:
        """(N, ...) values for sequences that have a step t, and for those that are over."""
        if self._lengths is None:
            return real
        going = self._lengths[:, None] > t
        other = self._xp.full_like(real, padding) if isinstance(padding, float) else padding
        return self._xp.where(going, real, other)

    def before(self, t: int, states: Array, first: Array) -> Array:
        """The state that step t began with, of all states (N, T, H) and the first."""
        t = t + 1 if self._reverse else t - 1
        return self.choose(t, states[:, t, :], first) if 0 <= t < self._count else first


def _parts(array: Array, count: int) -> list[Array]:
    """Cut the last axis into equal parts."""
    width = array.shape[-1] // count
    return [array[..., part * width : (part + 1) * width] for part in range(count)]


def _at(array: Array | None, t: int, gradient: Array) -> Array:
    return gradient if array is None else gradient + array[:, t, :]


def _sigmoid(xp: Any, x: Array) -> Array:
    return function(xp, x, "sigmoid", 0.0)


def simple_rnn(
    xp: Any,
    xw: Array,
    u: Array,
    lengths: Array | None,
    h0: Array | None,
    y: Array,
    h_last: Array,
    activation: str,
    alpha: float,
    reverse: bool,
) -> None:
    """h' = f(xw_t + h U)."""
    time = _Time(xp, y, lengths, reverse)
    h = time.start(h0)
    for t in time.forward():
        new = function(xp, xw[:, t, :] + h @ u, activation, alpha)
        h, y[:, t, :] = time.choose(t, new, h), time.choose(t, new, 0.0)
    h_last[...] = h


def simple_rnn_backward(
    xp: Any,
    u: Array,
    lengths: Array | None,
    h0: Array | None,
    y: Array,
    dy: Array | None,
    dh_last: Array | None,
    dxw: Array,
    du: Array,
    dh0: Array | None,
    activation: str,
    alpha: float,
    reverse: bool,
) -> None:
    """dxw_t = dh' * f'(z), dh = dxw_t U.T."""
    time = _Time(xp, y, lengths, reverse)
    first, dh, total = time.start(h0), time.start(dh_last), xp.zeros_like(du)
    for t in time.backward():
        slope = _at(dy, t, dh) * derivative_from_output(xp, y[:, t, :], activation, alpha)
        dz = time.choose(t, slope, 0.0)
        total = total + time.before(t, y, first).T @ dz
        dh, dxw[:, t, :] = time.choose(t, dz @ u.T, dh), dz
    du[...] = total
    if dh0 is not None:
        dh0[...] = dh


def lstm(
    xp: Any,
    xw: Array,
    u: Array,
    lengths: Array | None,
    h0: Array | None,
    c0: Array | None,
    y: Array,
    gates: Array,
    cells: Array,
    h_last: Array,
    c_last: Array,
    reverse: bool,
) -> None:
    """c' = f * c + i * g; h' = o * tanh(c')."""
    time = _Time(xp, y, lengths, reverse)
    h, c = time.start(h0), time.start(c0)
    for t in time.forward():
        i, f, g, o = _parts(xw[:, t, :] + h @ u, 4)
        i, f, g, o = _sigmoid(xp, i), _sigmoid(xp, f), xp.tanh(g), _sigmoid(xp, o)
        cell = f * c + i * g
        new = o * xp.tanh(cell)
        gates[:, t, :] = time.choose(t, xp.concat([i, f, g, o], axis=1), 0.0)
        h, y[:, t, :] = time.choose(t, new, h), time.choose(t, new, 0.0)
        c, cells[:, t, :] = time.choose(t, cell, c), time.choose(t, cell, 0.0)
    h_last[...], c_last[...] = h, c


def lstm_backward(
    xp: Any,
    u: Array,
    lengths: Array | None,
    h0: Array | None,
    c0: Array | None,
    y: Array,
    gates: Array,
    cells: Array,
    dy: Array | None,
    dh_last: Array | None,
    dc_last: Array | None,
    dxw: Array,
    du: Array,
    dh0: Array | None,
    dc0: Array | None,
    reverse: bool,
) -> None:
    """Both gradients, of h and of c, go back from step to step."""
    time = _Time(xp, y, lengths, reverse)
    h_first, c_first = time.start(h0), time.start(c0)
    dh, dc, total = time.start(dh_last), time.start(dc_last), xp.zeros_like(du)
    for t in time.backward():
        i, f, g, o = _parts(gates[:, t, :], 4)
        m, c = xp.tanh(cells[:, t, :]), time.before(t, cells, c_first)
        dnew = _at(dy, t, dh)
        dcell = dc + dnew * o * (1 - m * m)
        slopes = (dcell * g * i * (1 - i), dcell * c * f * (1 - f), dcell * i * (1 - g * g), dnew * m * o * (1 - o))
        dz = time.choose(t, xp.concat(slopes, axis=1), 0.0)
        total = total + time.before(t, y, h_first).T @ dz
        dh, dc = time.choose(t, dz @ u.T, dh), time.choose(t, dcell * f, dc)
        dxw[:, t, :] = dz
    du[...] = total
    for destination, gradient in ((dh0, dh), (dc0, dc)):
        if destination is not None:
            destination[...] = gradient


def gru(
    xp: Any,
    xw: Array,
    u: Array,
    b: Array | None,
    lengths: Array | None,
    h0: Array | None,
    y: Array,
    gates: Array,
    h_last: Array,
    reverse: bool,
) -> None:
    """h' = (1 - z) * n + z * h."""
    time = _Time(xp, y, lengths, reverse)
    h = time.start(h0)
    for t in time.forward():
        hu = h @ u if b is None else h @ u + b
        (z, r, n), (a, e, m) = _parts(xw[:, t, :], 3), _parts(hu, 3)
        z, r = _sigmoid(xp, z + a), _sigmoid(xp, r + e)
        n = xp.tanh(n + r * m)
        new = (1 - z) * n + z * h
        gates[:, t, :] = time.choose(t, xp.concat([z, r, n, m], axis=1), 0.0)
        h, y[:, t, :] = time.choose(t, new, h), time.choose(t, new, 0.0)
    h_last[...] = h


def gru_backward(
    xp: Any,
    u: Array,
    lengths: Array | None,
    h0: Array | None,
    y: Array,
    gates: Array,
    dy: Array | None,
    dh_last: Array | None,
    dxw: Array,
    dhu: Array,
    du: Array,
    db: Array | None,
    dh0: Array | None,
    reverse: bool,
) -> None:
    """The gradient goes back through the product, and past it where z lets the state through."""
    time = _Time(xp, y, lengths, reverse)
    first, dh, total = time.start(h0), time.start(dh_last), xp.zeros_like(du)
    for t in time.backward():
        z, r, n, m = _parts(gates[:, t, :], 4)
        h, dnew = time.before(t, y, first), _at(dy, t, dh)
        dn, dz = dnew * (1 - z) * (1 - n * n), dnew * (h - n) * z * (1 - z)
        dr = dn * m * r * (1 - r)
        through = time.choose(t, xp.concat([dz, dr, dn * r], axis=1), 0.0)
        total = total + h.T @ through
        dh = time.choose(t, dnew * z + through @ u.T, dh)
        dxw[:, t, :], dhu[:, t, :] = time.choose(t, xp.concat([dz, dr, dn], axis=1), 0.0), through
    du[...] = total
    if db is not None:
        db[...] = xp.sum(dhu, axis=(0, 1))
    if dh0 is not None:
        dh0[...] = dh

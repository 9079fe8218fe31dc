"""Reference for `nnx.interface.convolution`: a sum over taps, each a product of a shifted image and a matrix."""

from __future__ import annotations

from typing import Any

from nnx.reference.activations import derivative_from_output, function
from nnx.reference.windows import Window, pad, taps, unpad

Array = Any


def _channels(group: int, groups: int, count: int) -> slice:
    width = count // groups
    return slice(group * width, (group + 1) * width)


def conv2d(
    xp: Any,
    x: Array,
    w: Array,
    b: Array | None,
    y: Array,
    window: Window,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    """y = f(sum over taps of shifted x @ w[tap] + b), group by group."""
    padded, z = pad(xp, x, window), xp.zeros_like(y)
    for k, l, pixels in taps(window, y.shape[1:3]):  # noqa: E741
        for group in range(groups):
            inputs, outputs = (_channels(group, groups, array.shape[3]) for array in (x, y))
            # (N, P, Q, C / G) @ (C / G, O / G) -> (N, P, Q, O / G)
            z[..., outputs] = z[..., outputs] + padded[*pixels, inputs] @ w[k, l, :, outputs]
    y[...] = function(xp, z if b is None else z + b, activation, alpha)


def conv2d_backward(
    xp: Any,
    x: Array,
    y: Array,
    dy: Array,
    w: Array,
    dz: Array | None,
    dx: Array | None,
    dw: Array,
    db: Array | None,
    window: Window,
    groups: int,
    activation: str,
    alpha: float,
) -> None:
    """Every tap's share of dw, and of dx at the pixels that it lies on."""
    gradient = dy * derivative_from_output(xp, y, activation, alpha)
    padded = pad(xp, x, window)
    dpadded = xp.zeros_like(padded)
    for k, l, pixels in taps(window, y.shape[1:3]):  # noqa: E741
        for group in range(groups):
            inputs, outputs = (_channels(group, groups, array.shape[3]) for array in (x, y))
            part = gradient[..., outputs]
            at = *pixels, inputs
            dpadded[at] = dpadded[at] + part @ w[k, l, :, outputs].T  # (N, P, Q, O / G) @ (O / G, C / G)
            dw[k, l, :, outputs] = _rows(xp, padded[at]).T @ _rows(xp, part)  # (C / G, NPQ) @ (NPQ, O / G)
    if dz is not None:
        dz[...] = gradient
    if dx is not None:
        dx[...] = unpad(dpadded, x, window)
    if db is not None:
        db[...] = xp.sum(gradient, axis=(0, 1, 2))  # (N, P, Q, O) -> (O,)


def _rows(xp: Any, array: Array) -> Array:
    count = array.shape[0] * array.shape[1] * array.shape[2]
    return xp.reshape(array, (count, array.shape[3]))

"""Gradients of the kernels on images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx.conformance.calls import call
from nnx.conformance.case import Output
from nnx.conformance.slopes import Pair, Point, inner
from nnx.conformance.tolerance import Values
from nnx.interface import FUSED, Backend, Window

_ALPHA = 0.3
_X = np.random.Generator(np.random.PCG64(29)).standard_normal((3, 7, 6, 4))
_PLAIN = Window((3, 2))
_CONVOLUTIONS: tuple[tuple[Window, int, str], ...] = (  # window, groups, activation
    *((_PLAIN._replace(stride=(2, 1), before=(1, 0), after=(0, 1)), 1, activation) for activation in FUSED),
    (_PLAIN._replace(stride=(1, 2), dilation=(2, 3), before=(2, 3), after=(1, 2)), 1, "identity"),
    (_PLAIN._replace(before=(5, 4), after=(3, 5)), 1, "identity"),
    (_PLAIN._replace(stride=(2, 2), before=(0, 1)), 2, "tanh"),
    (_PLAIN._replace(dilation=(2, 1), after=(1, 0)), 4, "identity"),
)
_POOLS = (
    Window((2, 2), (2, 2)),
    Window((3, 2), (2, 1), before=(1, 1), after=(2, 0)),
    Window((2, 2), (3, 4)),
    Window((7, 6)),
)


def image_pairs() -> Iterator[Pair]:
    """Yield the pairs of convolution, pooling and dropout of channels."""
    for window, groups, activation in _CONVOLUTIONS:
        yield _convolution(window, groups, activation)
    for window in _POOLS:
        yield _max_pool(window)
        yield _average_pool(window)
    yield _channel_dropout()


def _shown(window: Window) -> str:
    return " ".join(f"{name} {value}" for name, value in window._asdict().items())


def _drawn(*shape: int) -> Values:
    return np.random.Generator(np.random.PCG64(31)).standard_normal(shape)


def _convolution(window: Window, groups: int, activation: str) -> Pair:
    seed = _drawn(3, *window.places(7, 6), 8)
    options = {"window": window, "groups": groups, "activation": activation, "alpha": _ALPHA}
    point = {"x": _X, "w": _drawn(*window.size, 4 // groups, 8), "b": _drawn(8)}

    def forward(backend: Backend, point: Point) -> Values:
        return call(backend, "conv2d", **point, y=Output(seed.shape), **options)["y"]

    def gradient(backend: Backend, point: Point) -> Point:
        x, w, y = point["x"], point["w"], forward(backend, point)
        dz = None if activation == "identity" else Output(seed.shape)
        results = {"dz": dz, "dx": Output(x.shape), "dw": Output(w.shape), "db": Output((8,))}
        made = call(backend, "conv2d_backward", x=x, y=y, dy=seed, w=w, **results, **options)
        return {"x": made["dx"], "w": made["dw"], "b": made["db"]}

    name = f"conv2d_backward {_shown(window)} {groups} groups {activation}"
    return Pair(name, "conv2d_backward", point, lambda b, p: inner(seed, forward(b, p)), gradient)


def _max_pool(window: Window) -> Pair:
    seed = _drawn(3, *window.places(7, 6), 4)

    def forward(backend: Backend, point: Point) -> dict[str, Values]:
        results = {"y": Output(seed.shape), "index": Output(seed.shape, dtype="int32")}
        return call(backend, "max_pool", x=point["x"], **results, window=window)

    def gradient(backend: Backend, point: Point) -> Point:
        index = forward(backend, point)["index"]
        made = call(backend, "max_pool_backward", index=index, dy=seed, dx=Output(_X.shape), window=window)
        return {"x": made["dx"]}

    name = f"max_pool_backward {_shown(window)}"
    return Pair(name, "max_pool_backward", {"x": _X}, lambda b, p: inner(seed, forward(b, p)["y"]), gradient)


def _average_pool(window: Window) -> Pair:
    seed = _drawn(3, *window.places(7, 6), 4)

    def loss(backend: Backend, point: Point) -> float:
        return inner(seed, call(backend, "average_pool", x=point["x"], y=Output(seed.shape), window=window)["y"])

    def gradient(backend: Backend, _: Point) -> Point:
        made = call(backend, "average_pool_backward", dy=seed, dx=Output(_X.shape), window=window)
        return {"x": made["dx"]}

    name = f"average_pool_backward {_shown(window)}"
    return Pair(name, "average_pool_backward", {"x": _X}, loss, gradient)


def _channel_dropout() -> Pair:
    x = _X.reshape(3, 42, 4)
    seed = _drawn(*x.shape)

    def apply(backend: Backend, values: Values) -> Values:
        options = {"seed": 1, "stream": 2, "threshold": 40000}
        made = call(backend, "channel_dropout", x=values, step=np.asarray(3), y=Output(x.shape), **options)
        return made["y"]

    return Pair(
        "channel_dropout",
        "channel_dropout",
        {"x": x},
        lambda b, p: inner(seed, apply(b, p["x"])),
        lambda b, _: {"x": apply(b, seed)},
    )

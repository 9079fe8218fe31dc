"""How layers are drawn: options that are valid together, and the shape of one example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as some

import nnx
from nnx import Layer
from nnx.checks import ROWWISE
from nnx.interface import ELEMENTWISE, FUSED
from nnx.layers import LAYERS, Chain

Options = dict[str, Any]
Shape = tuple[int, ...]

EXTENTS = (1, 2, 3, 5, 8, 17)
"""Around the widths of vectors and tiles, and few enough that sums stay short."""

RECURRENT = ("SimpleRNN", "LSTM", "GRU", "Bidirectional")
PRODUCTS = ("Dense", "Conv1D", "Conv2D", *RECURRENT, "Residual", "TimeDistributed", "Chain")
"""Layers that multiply matrices: BLAS and tiles sum in an order that depends on the number of rows."""


@dataclass(frozen=True)
class Subject:
    """A layer that is not built yet, and the shape of an example for it; `vocabulary` where it takes tokens."""

    layer: Layer
    shape: Shape
    vocabulary: int | None = None

    @property
    def recurrent(self) -> bool:
        """Whether it reads sequences, which may be padded."""
        return type(self.layer).__name__ in RECURRENT


class _Choices:
    """What hypothesis draws for one layer."""

    def __init__(self, data: some.DataObject, fixed: Options) -> None:
        self.data, self.fixed = data, fixed

    def among(self, *choices: Any) -> Any:
        return self.data.draw(some.sampled_from(choices))

    def extent(self, high: int = EXTENTS[-1]) -> int:
        return self.among(*(extent for extent in EXTENTS if extent <= high))

    def shape(self, least: int = 0) -> Shape:
        """Return the shape of an example of `least` to three axes."""
        return tuple(self.extent(8 if axis else 17) for axis in range(self.data.draw(some.integers(least, 3))))

    def options(self, **drawn: Any) -> Options:
        """Return options, those that are fixed instead of those drawn."""
        return {**drawn, **self.fixed}


Draw = Callable[[_Choices], tuple[Options, Shape]]


def _activation(choose: _Choices) -> tuple[Options, Shape]:
    name = choose.fixed.get("activation") or choose.among("identity", *ELEMENTWISE, *ROWWISE)
    alpha = choose.among(None, 0.0, 0.3) if name in ("leaky_relu", "elu") else None
    return choose.options(activation=name, alpha=alpha), choose.shape(1 if name in ROWWISE else 0)


def _affine(choose: _Choices) -> Options:
    return choose.options(
        activation=choose.among("identity", "relu", "tanh", "softmax"), bias=choose.among(True, False)
    )


def _dense(choose: _Choices) -> tuple[Options, Shape]:
    return {"units": choose.extent(), **_affine(choose)}, choose.shape(1)


def _with_features(choose: _Choices) -> tuple[Options, Shape]:
    return choose.options(), choose.shape(1)


def _window_size(choose: _Choices, axes: int) -> Any:
    return choose.among(1, 2, 3) if axes == 1 else choose.among(1, 2, 3, (1, 3), (2, 1))


def _image(choose: _Choices, axes: int) -> Shape:
    return (*(choose.among(1, 3, 4, 7) for _ in range(axes)), choose.among(1, 2, 4, 16))


def _moves(choose: _Choices, shape: Shape, reach: int, sides: int) -> Options:
    """Draw strides, and padding that suits windows that reach so far and take up to so many rows of it."""
    axes = len(shape) - 1
    padding: list[Any] = ["same"]
    if min(shape[:-1]) >= reach:
        padding.append("valid")
    if sides and min(shape[:-1]) + 1 >= reach:
        padding += [1, tuple((choose.among(1, sides), choose.among(0, 1)) for _ in range(axes))]
    strides = choose.among(1, 2, 3) if axes == 1 else choose.among(1, 2, (1, 2), (3, 1))
    return {"strides": strides, "padding": choose.among(*padding)}


def _convolution(axes: int) -> Draw:
    def drawn(choose: _Choices) -> tuple[Options, Shape]:
        size = choose.fixed.get("kernel_size") or _window_size(choose, axes)
        dilation, shape = choose.among(1, 2), _image(choose, axes)
        moves = _moves(choose, shape, (max(_both(size)) - 1) * dilation + 1, 2)
        groups = choose.among(*(count for count in (1, 2, 4, 16) if shape[-1] % count == 0))
        filters = groups * choose.among(1, 2, 3)
        rest = {"dilation_rate": dilation, "groups": groups, **moves, **_affine(choose)}
        return {"filters": filters, "kernel_size": size, **rest, **choose.fixed}, shape

    return drawn


def _pool(axes: int) -> Draw:
    def drawn(choose: _Choices) -> tuple[Options, Shape]:
        size, shape = _window_size(choose, axes), _image(choose, axes)
        most = max(_both(size))
        moves = _moves(choose, shape, most, 1 if min(_both(size)) > 1 else 0)
        return choose.options(pool_size=size, **moves), shape

    return drawn


def _both(size: Any) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (size,)


def _global(axes: int) -> Draw:
    return lambda choose: (choose.options(), tuple(choose.extent(8) for _ in range(axes + 1)))


def _recurrent(*extra: str) -> Draw:
    def drawn(choose: _Choices) -> tuple[Options, Shape]:
        output = choose.among({}, {"return_sequences": True}, {"return_state": True})
        flags = {name: choose.among(True, False) for name in ("go_backwards", "bias")}
        options = {"units": choose.extent(8), **output, **flags}
        if "activation" in extra:
            options["activation"] = choose.among(*FUSED)
        return {**options, **choose.fixed}, (choose.extent(8), choose.extent(8))

    return drawn


def _bidirectional(choose: _Choices) -> tuple[Options, Shape]:
    kind = choose.among("SimpleRNN", "LSTM", "GRU")
    flags = {name: choose.among(True, False) for name in ("return_sequences", "go_backwards", "bias")}
    layer = LAYERS[kind](choose.extent(8), **flags)
    return choose.options(layer=layer, merge=choose.among("concat", "sum")), (choose.extent(8), choose.extent(8))


def _dropping(least: int) -> Draw:
    rates = (0.0, 0.1, 0.5, 0.9, 1 - 1e-9)
    return lambda choose: (choose.options(rate=choose.among(*rates)), choose.shape(least))


def _embedding(choose: _Choices) -> tuple[Options, Shape]:
    return choose.options(vocabulary=choose.extent(), units=choose.extent()), choose.shape()


def _reshape(choose: _Choices) -> tuple[Options, Shape]:
    shape = choose.shape(1)
    target = choose.among((-1,), tuple(reversed(shape)), (1, -1), (*shape, 1))
    return choose.options(shape=target), shape


def _residual(choose: _Choices) -> tuple[Options, Shape]:
    shape = choose.shape(1)
    inner = choose.among([], [nnx.Dense(shape[-1], "tanh")], [nnx.LayerNorm(), nnx.Activation("relu")])
    return choose.options(layers=inner), shape


def _time_distributed(choose: _Choices) -> tuple[Options, Shape]:
    steps, rows, channels = choose.extent(5), choose.among(3, 4), choose.among(1, 2)
    inner = choose.among([nnx.Dense(3)], [nnx.Flatten()], [nnx.Conv1D(2, 2), nnx.MaxPool1D(2)])
    return choose.options(layers=inner), (steps, rows, channels)


def _chain(choose: _Choices) -> tuple[Options, Shape]:
    shape = choose.shape(1)
    return choose.options(layers=choose.among([], [nnx.Dense(3, "relu"), nnx.Flatten(), nnx.Dense(2)])), shape


_DRAWN: dict[str, Draw] = {
    "Activation": _activation,
    "AveragePool1D": _pool(1),
    "AveragePool2D": _pool(2),
    "BatchNorm": _with_features,
    "Bidirectional": _bidirectional,
    "Chain": _chain,
    "Conv1D": _convolution(1),
    "Conv2D": _convolution(2),
    "Dense": _dense,
    "Dropout": _dropping(0),
    "Embedding": _embedding,
    "Flatten": lambda choose: (choose.options(), choose.shape()),
    "GRU": _recurrent(),
    "GlobalAveragePool1D": _global(1),
    "GlobalAveragePool2D": _global(2),
    "LSTM": _recurrent(),
    "LayerNorm": _with_features,
    "MaxPool1D": _pool(1),
    "MaxPool2D": _pool(2),
    "Reshape": _reshape,
    "Residual": _residual,
    "SimpleRNN": _recurrent("activation"),
    "SpatialDropout": _dropping(1),
    "TimeDistributed": _time_distributed,
}


def drawn_layers() -> set[str]:
    """Return the names of the layers that can be drawn."""
    return set(_DRAWN)


def subject_of(data: some.DataObject, name: str, fixed: Options) -> Subject:
    """Draw a layer of that class."""
    options, shape = _DRAWN[name](_Choices(data, fixed))
    layer = Chain(**options) if name == "Chain" else LAYERS[name](**options)
    return Subject(layer, shape, options.get("vocabulary"))

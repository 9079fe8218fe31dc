"""Pooling of images and sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.gradients import check_gradients, mount
from support.padding import flat, sides
from support.peers import assert_close, leaf, torch_or_skip

from nnx import (
    AveragePool1D,
    AveragePool2D,
    Backend,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    MaxPool1D,
    MaxPool2D,
    Sequential,
)
from nnx.errors import OptionError, ShapeError

OPTIONS = [
    {},
    {"pool_size": 3, "strides": 1},
    {"pool_size": (3, 2), "strides": (1, 3)},
    {"pool_size": (2, 3), "padding": "same"},
    {"pool_size": 3, "strides": 2, "padding": "same"},
    {"pool_size": 3, "padding": 1},
    {"pool_size": (2, 3), "strides": 1, "padding": ((1, 0), (0, 2))},
    {"pool_size": 1, "strides": 2},
]
SEQUENCE_OPTIONS = [{}, {"pool_size": 3, "strides": 2, "padding": "same"}, {"padding": ((1, 0),)}]
SHAPE = (7, 6, 3)


def in_torch(layer: Any, x: Any) -> Any:
    """Pool inputs with the channels last by PyTorch, on images padded before."""
    functional = torch_or_skip().nn.functional
    around = flat(sides(layer, x.shape[1:-1], layer.pool_size, layer.strides or layer.pool_size, 1))
    first, axes = x.movedim(-1, 1), layer.axes
    if "Max" in type(layer).__name__:
        padded = functional.pad(first, around, value=-float("inf"))
        y = getattr(functional, f"max_pool{axes}d")(padded, layer.pool_size, layer.strides)
    else:
        average = getattr(functional, f"avg_pool{axes}d")
        values, ones = (functional.pad(image, around) for image in (first, first.new_ones(first.shape)))
        y = average(values, layer.pool_size, layer.strides) / average(ones, layer.pool_size, layer.strides)
    return y.movedim(1, -1)


def check_against_torch(layer: Any, shape: tuple[int, ...], backend: Backend) -> None:
    bench, random = mount(layer, shape, backend), np.random.default_rng(1)
    x, dy = random.normal(size=(2, *shape)), random.normal(size=(2, *bench.output_shape))
    y, dx = bench.run(x, dy)
    inputs = leaf(x)
    outputs = in_torch(layer, inputs)
    outputs.backward(torch_or_skip().tensor(dy))
    assert_close(y, outputs)
    assert_close(dx, inputs.grad)


@pytest.mark.parametrize("kind", [MaxPool2D, AveragePool2D])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_images_agree_with_torch(backend: Backend, kind: Any, options: dict[str, Any]) -> None:
    check_against_torch(kind(**options), SHAPE, backend)


@pytest.mark.parametrize("kind", [MaxPool1D, AveragePool1D])
@pytest.mark.parametrize("options", SEQUENCE_OPTIONS, ids=str)
def test_sequences_agree_with_torch(backend: Backend, kind: Any, options: dict[str, Any]) -> None:
    check_against_torch(kind(**options), (7, 3), backend)


@pytest.mark.parametrize("kind", [MaxPool2D, AveragePool2D])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_the_slopes(backend: Backend, kind: Any, options: dict[str, Any]) -> None:
    check_gradients(kind(**options), SHAPE, backend, rows=2)


@pytest.mark.parametrize("kind", [MaxPool1D, AveragePool1D, GlobalAveragePool1D])
def test_gradients_of_sequences_are_the_slopes(backend: Backend, kind: Any) -> None:
    check_gradients(kind(), (5, 3), backend, rows=2)


def test_gradients_of_the_mean_of_whole_images_are_the_slopes(backend: Backend) -> None:
    check_gradients(GlobalAveragePool2D(), (3, 4, 2), backend, rows=2)


@pytest.mark.parametrize(("kind", "shape"), [(GlobalAveragePool2D, (3, 4, 2)), (GlobalAveragePool1D, (5, 2))])
def test_the_mean_of_everything_leaves_one_number_for_each_channel(
    backend: Backend, kind: Any, shape: tuple[int, ...]
) -> None:
    bench, x = mount(kind(), shape, backend), np.random.default_rng(2).normal(size=(3, *shape))
    y, _ = bench.run(x)
    assert y.shape == (3, *bench.output_shape) == (3, 2)
    np.testing.assert_allclose(y, x.reshape(3, -1, 2).mean(axis=1), rtol=1e-12, atol=1e-14)


def test_of_equals_the_first_gets_the_gradient(backend: Backend) -> None:
    bench = mount(MaxPool2D(), (2, 4, 1), backend)
    _, dx = bench.run(np.zeros((1, 2, 4, 1)), np.array([[[[3.0], [5.0]]]]))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[3, 0, 5, 0], [0, 0, 0, 0]])


def test_padding_is_never_the_largest_and_not_counted_in_a_mean(backend: Backend) -> None:
    x = np.full((1, 3, 3, 1), -7.0)
    for kind in (MaxPool2D, AveragePool2D):
        y, _ = mount(kind(2, padding="same"), (3, 3, 1), backend).run(x)
        np.testing.assert_allclose(y, np.full((1, 2, 2, 1), -7.0), rtol=1e-15)


def test_pixels_that_no_window_holds_have_no_gradient(backend: Backend) -> None:
    bench = mount(AveragePool2D(2), (3, 3, 1), backend)
    _, dx = bench.run(np.zeros((1, 3, 3, 1)), np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0.25, 0.25, 0], [0.25, 0.25, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        (MaxPool2D(5), (4, 9, 1), "has windows of 5 x 5, larger than its inputs of 4 x 9 with their padding"),
        (
            MaxPool2D(),
            (28, 28),
            "expects inputs (N, H, W, C), got examples of shape (28, 28). Put Reshape((28, 28, 1))",
        ),
        (AveragePool1D(6), (5, 2), "has windows of 6, larger than its inputs of 5"),
        (GlobalAveragePool2D(), (28, 3), "GlobalAveragePool2D() expects inputs (N, H, W, C)"),
        (GlobalAveragePool1D(), (28, 28, 3), "expects inputs (N, T, C), got examples of shape (28, 28, 3)."),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_refused_when_the_model_is_built(
    layer: Any, shape: tuple[int, ...], says: str
) -> None:
    with pytest.raises(ShapeError) as raised:
        Sequential([layer], input_shape=shape, backend="generic:numpy")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pool_size": 0}, "pool_size must be a whole number of at least 1, got 0"),
        ({"pool_size": "2"}, "pool_size must be a whole number or one for each of rows and columns, got '2'"),
        ({"strides": 0}, "strides must be a whole number of at least 1, got 0"),
        ({"padding": "all"}, "padding must be"),
        ({"padding": 2}, "padding must be smaller than pool_size, or a window would hold nothing but padding"),
        ({"pool_size": (3, 1), "padding": ((1, 1), (0, 1))}, "got padding=((1, 1), (0, 1)) with pool_size=(3, 1)"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError) as raised:
        MaxPool2D(**options)
    assert says in str(raised.value)

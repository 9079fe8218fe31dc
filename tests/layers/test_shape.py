"""Layers that only change the shape."""

from __future__ import annotations

import numpy as np
import pytest
from support.gradients import check_gradients, mount

from nnx import Backend, Flatten, Reshape, Sequential
from nnx.errors import NnxError, ShapeError


@pytest.mark.parametrize("layer", [Flatten, lambda: Reshape((6, 4)), lambda: Reshape((-1, 2))])
def test_gradients_come_back_in_the_shape_of_the_inputs(backend: Backend, layer: type) -> None:
    check_gradients(layer(), (3, 2, 4), backend)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(Flatten(), (24,)), (Reshape((6, 4)), (6, 4)), (Reshape((-1, 2)), (12, 2)), (Reshape([24]), (24,))],
)
def test_elements_keep_their_order(backend: Backend, layer, expected: tuple[int, ...]) -> None:
    x = np.arange(48.0).reshape(2, 3, 2, 4)
    bench = mount(layer, (3, 2, 4), backend)
    assert bench.output_shape == expected
    np.testing.assert_array_equal(bench.run(x)[0], x.reshape(2, *expected))


@pytest.mark.parametrize("shape", [(5, 5), (5, -1)])
def test_another_number_of_elements_is_refused_when_the_model_is_built(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"cannot hold the 24 elements of \(24,\)"):
        Sequential([Reshape(shape)], input_shape=(24,), backend="generic:numpy")


@pytest.mark.parametrize("shape", [(-1, -1), (-2, 3), (2.5, 2), 5, "ab", None])
def test_a_shape_that_is_none_is_refused(shape: object) -> None:
    with pytest.raises(NnxError, match="Reshape expects"):
        Reshape(shape)


def test_a_shape_without_elements_is_refused() -> None:
    with pytest.raises(ShapeError, match="extents of at least 1"):
        Reshape((0,))
    with pytest.raises(ShapeError, match="extents of at least 1"):
        Reshape((0, -1))

"""Operations: outputs of the right shape and dtype, foreign arrays refused, everything recorded."""

from __future__ import annotations

import numpy as np
import pytest

from nnx import Backend, registry
from nnx.errors import BackendError, DtypeError, ShapeError
from nnx.interface import Window
from nnx.ops import Ops

F64 = "float64"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_have_the_models_dtype_and_live_on_its_backend(backend: Backend, dtype: str) -> None:
    ops = Ops(backend, dtype)
    x, w = ops.asarray(np.ones((2, 5, 3))), ops.asarray(np.ones((3, 4)))
    y = ops.linear(x, w, None)
    assert tuple(y.shape) == (2, 5, 4)
    assert backend.dtype_name(y) == dtype
    assert backend.owns(y)


def test_taking_a_batch_gathers_its_rows_by_the_order(backend: Backend) -> None:
    ops = Ops(backend, F64)
    source, order = ops.asarray(np.arange(10.0)[:, None]), ops.asarray(np.arange(10)[::-1], "int64")
    batch = backend.zeros((), "int64")
    batch[...] = 2
    taken = ops.take_rows(source, order, batch, 2, 4)  # the ragged last batch of 4, 4, 2
    np.testing.assert_array_equal(backend.to_numpy(taken), [[1.0], [0.0]])


def test_rows_and_samples_are_views(backend: Backend) -> None:
    ops = Ops(backend, F64)
    x = ops.asarray(np.zeros((2, 3, 4)))
    assert tuple(ops.rows(x).shape) == (6, 4)
    assert tuple(ops.samples(x).shape) == (2, 12)
    ops.rows(x)[...] = 5
    assert (backend.to_numpy(x) == 5).all()


def test_host_arrays_inside_a_network_are_refused_where_the_backend_has_others(backend: Backend) -> None:
    if backend.owns(np.zeros(1)):
        pytest.skip(f"{backend.name} computes on NumPy arrays: they are its own")
    ops = Ops(backend, F64)
    with pytest.raises(BackendError, match=r"Arrays of two backends were mixed: .* got a numpy.ndarray"):
        ops.add(ops.asarray([1.0]), np.ones(1))


def test_arrays_of_another_backend_are_refused_by_name() -> None:
    ops = Ops(registry.get("generic:numpy"), F64)
    foreign = registry.get("generic:array_api_strict").asarray(np.ones(1), F64)
    with pytest.raises(
        BackendError,
        match=r"this model runs on 'generic:numpy', got a array_api_strict\..*Move the model with model.to",
    ):
        ops.add(ops.asarray([1.0]), foreign)
    with pytest.raises(BackendError, match="Arrays of two backends were mixed"):
        ops.reshape(foreign, (1, 1))


def test_shapes_that_do_not_fit_are_refused_before_the_kernel_runs(backend: Backend) -> None:
    ops = Ops(backend, F64)
    x, w = ops.asarray(np.ones((2, 3))), ops.asarray(np.ones((4, 5)))
    with ops.recording() as tape:
        with pytest.raises(ShapeError, match=r"linear expects inputs of 4 features, got \(2, 3\)"):
            ops.linear(x, w, None)
        with pytest.raises(ShapeError, match=r"add expects arrays of one shape, got a \(2, 3\), b \(4, 5\)"):
            ops.add(x, w)
        with pytest.raises(ShapeError, match=r"one label per row of logits \(2, 3\), got labels \(1,\)"):
            ops.softmax_cross_entropy(x, ops.asarray([0], "int64"), None, 0.0, True)
    assert tape.calls == []


def test_inputs_of_another_dtype_than_the_weights_are_refused(backend: Backend) -> None:
    ops = Ops(backend, F64)
    with pytest.raises(
        DtypeError, match=r"linear expects inputs of dtype .*float64, like the weights, got .*float32"
    ):
        ops.linear(ops.asarray(np.ones((2, 3)), "float32"), ops.asarray(np.ones((3, 4))), None)


def test_the_gradient_is_computed_only_where_it_is_wanted(backend: Backend) -> None:
    ops = Ops(backend, F64)
    x = ops.asarray(np.ones((2, 3)))
    assert ops.mean_squared_error(x, x, None, False)[1] is None
    assert tuple(ops.mean_squared_error(x, x, None, True)[1].shape) == (2, 3)


def test_images_that_do_not_fit_are_refused_before_the_kernel_runs(backend: Backend) -> None:
    ops = Ops(backend, F64)
    x, w = ops.asarray(np.ones((2, 4, 5, 3))), ops.asarray(np.ones((3, 3, 2, 8)))
    with ops.recording() as tape:
        with pytest.raises(ShapeError, match=r"conv2d expects images \(N, H, W, 2\).*got \(2, 4, 5, 3\)"):
            ops.conv2d(x, w, None, Window((3, 3)))
        with pytest.raises(ShapeError, match=r"max_pool expects images of at least \(5, 2\), got 4 x 5"):
            ops.max_pool(x, Window((5, 2)))
        with pytest.raises(ShapeError, match=r"average_pool expects images \(N, H, W, C\), got \(2, 20, 3\)"):
            ops.average_pool(ops.reshape(x, (2, 20, 3)), Window((2, 2)))
    assert tape.calls == []


def test_dilated_window_needs_images_of_its_reach_padding_included(backend: Backend) -> None:
    ops = Ops(backend, F64)
    x, w = ops.asarray(np.ones((2, 4, 5, 1))), ops.asarray(np.ones((3, 3, 1, 8)))
    window = Window((3, 3), dilation=(2, 2))
    with pytest.raises(ShapeError, match=r"conv2d expects images of at least \(5, 5\), got 4 x 5 with padding"):
        ops.conv2d(x, w, None, window)
    assert tuple(ops.conv2d(x, w, None, window._replace(after=(1, 0))).shape) == (2, 1, 1, 8)


def test_sequences_that_do_not_fit_are_refused_before_the_kernel_runs(backend: Backend) -> None:
    ops = Ops(backend, F64)
    xw, u, state = (ops.asarray(np.ones(shape)) for shape in ((2, 3, 8), (2, 8), (1, 2)))
    with ops.recording() as tape:
        with pytest.raises(ShapeError, match=r"gru expects sequences \(N, T, 6\), got \(2, 3, 8\)"):
            ops.gru(xw, u, None, None, None, reverse=False)
        with pytest.raises(ShapeError, match="lstm expects one length for each of 2 sequences"):
            ops.lstm(xw, u, ops.asarray([3], "int64"), None, None, reverse=False)
        with pytest.raises(ShapeError, match=r"lstm expects states \(2, 2\), got \(1, 2\)"):
            ops.lstm(xw, u, None, None, state, reverse=False)
    assert tape.calls == []


def test_joining_and_splitting_along_the_last_axis_undo_each_other(backend: Backend) -> None:
    ops = Ops(backend, F64)
    a, b = (ops.asarray(np.arange(12.0 * width).reshape(3, 4, width)) for width in (2, 5))
    joined = ops.join(a, b)
    assert tuple(joined.shape) == (3, 4, 7)
    for part, again in zip((a, b), ops.split(joined, 2), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(again), backend.to_numpy(part))
    with pytest.raises(ShapeError, match="join expects arrays alike but for the last axis"):
        ops.join(a, ops.asarray(np.ones((3, 5, 2))))

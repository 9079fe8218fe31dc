"""Operations: outputs of the right shape and dtype, foreign arrays refused, everything recorded."""

from __future__ import annotations

import numpy as np
import pytest

from nnx import Backend, registry
from nnx.errors import BackendError, DtypeError, OptionError, ShapeError
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
        with pytest.raises(ShapeError, match=r"lstm expects c0 \(2, 2\), got \(1, 2\)"):
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


def test_sequences_of_another_dtype_are_refused_before_the_kernel_runs(backend: Backend) -> None:
    """A compiled kernel would take the bytes of 32-bit numbers for 64-bit ones, and read past their end."""
    ops = Ops(backend, F64)
    xw, u, lengths = ops.asarray(np.ones((2, 3, 2))), ops.asarray(np.ones((2, 2))), ops.asarray([3, 1], "int32")
    short = ops.asarray(np.ones((2, 2)), "float32")
    with ops.recording() as tape:
        with pytest.raises(DtypeError, match=r"simple_rnn expects lengths of dtype int64, got .*int32"):
            ops.simple_rnn(xw, u, lengths, None, "tanh", 0.0, False)
        with pytest.raises(DtypeError, match=r"simple_rnn expects xw of dtype .*float64, .* got .*float32"):
            ops.simple_rnn(ops.asarray(np.ones((2, 3, 2)), "float32"), u, None, None, "tanh", 0.0, False)
        with pytest.raises(DtypeError, match=r"simple_rnn expects h0 of dtype .*float64, .* got .*float32"):
            ops.simple_rnn(xw, u, None, short, "tanh", 0.0, False)
        with pytest.raises(DtypeError, match="simple_rnn expects lengths to be an array, got a list"):
            ops.simple_rnn(xw, u, [3, 1], None, "tanh", 0.0, False)
        with pytest.raises(DtypeError, match=r"backward expects dh_last of dtype .*float64, .* got .*float32"):
            ops.simple_rnn_backward(u, None, None, xw, None, short, ops.like(u), "tanh", 0.0, False)
        with pytest.raises(ShapeError, match=r"simple_rnn_backward expects dy \(2, 3, 2\), got \(2, 2\)"):
            ops.simple_rnn_backward(u, None, None, xw, u, None, ops.like(u), "tanh", 0.0, False)
    assert tape.calls == []


def test_tokens_and_labels_that_are_not_int64_are_refused(backend: Backend) -> None:
    ops = Ops(backend, F64)
    tokens, table = ops.asarray([2, 0], "int32"), ops.asarray(np.ones((3, 4)))
    dy = ops.asarray(np.ones((2, 4)))
    with pytest.raises(DtypeError, match=r"embedding expects tokens of dtype int64, got .*int32"):
        ops.embedding(tokens, table)
    with pytest.raises(DtypeError, match=r"embedding_backward expects tokens of dtype int64, got .*int32"):
        ops.embedding_backward(tokens, dy, table)
    with pytest.raises(ShapeError, match=r"embedding_backward expects dy \(2, 4\), got \(3, 4\)"):
        ops.embedding_backward(ops.asarray([2, 0], "int64"), ops.like(table), table)
    with pytest.raises(DtypeError, match=r"cross_entropy expects labels of dtype int64, got .*int32"):
        ops.softmax_cross_entropy(dy, tokens, None, 0.0, True)


def test_images_of_another_dtype_than_the_weights_are_refused(backend: Backend) -> None:
    ops = Ops(backend, F64)
    x, w = ops.asarray(np.ones((2, 4, 5, 3)), "float32"), ops.asarray(np.ones((3, 3, 3, 8)))
    with pytest.raises(DtypeError, match=r"conv2d expects x of dtype .*float64, like the weights, got .*float32"):
        ops.conv2d(x, w, None, Window((3, 3)))
    with pytest.raises(ShapeError, match=r"conv2d expects a window of \(3, 3\) taps, got \(2, 3\)"):
        ops.conv2d(x, w, None, Window((2, 3)))


@pytest.mark.parametrize("sides", [{"before": (0, 2)}, {"after": (3, 0)}], ids=str)
def test_pooling_windows_that_could_hold_nothing_but_padding_are_refused(
    backend: Backend, sides: dict[str, tuple[int, int]]
) -> None:
    """The largest of nothing is no number, and the mean of nothing divides by zero."""
    ops = Ops(backend, F64)
    x, window = ops.asarray(np.ones((2, 4, 5, 3))), Window((3, 2), **sides)
    for pool in (ops.max_pool, ops.average_pool):
        with pytest.raises(OptionError, match=r"_pool expects padding smaller than the window \(3, 2\)"):
            pool(x, window)
        with pytest.raises(ShapeError, match=r"_pool expects images of at least one pixel, got \(2, 0, 5, 3\)"):
            pool(ops.asarray(np.ones((2, 0, 5, 3))), Window((3, 2), before=(2, 0), after=(1, 0)))
        with pytest.raises(OptionError, match="_pool expects windows without dilation"):
            pool(x, Window((2, 2), dilation=(1, 2)))

"""The reference of convolution and pooling is right: compared in float64 with SciPy and, if installed, PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from nnx import Backend, reference
from nnx.interface import Window

XP = Backend.from_namespace(np).xp
X = np.random.Generator(np.random.PCG64(7)).standard_normal((2, 9, 8, 4))
OUTPUTS = 8
CONVOLUTIONS = [
    (Window(size, strides, before, after, dilation), groups)
    for size, strides, (before, after), dilation, groups in itertools.product(
        [(1, 1), (3, 2)], [(1, 1), (2, 3)], [((0, 0), (0, 0)), ((1, 0), (0, 2))], [(1, 1), (2, 3)], [1, 2, 4]
    )
]
POOLS = [
    Window((2, 2), (2, 2)),
    Window((3, 2), (2, 1), before=(1, 1), after=(1, 1)),
    Window((2, 3), (3, 4)),
    Window((9, 8)),
]


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="PyTorch, the oracle of this test, is not installed")


def drawn(*shape: int) -> NDArray[Any]:
    return np.random.Generator(np.random.PCG64(sum(shape))).standard_normal(shape)


def channels_first(values: NDArray[Any]) -> Any:
    return torch_or_skip().tensor(np.ascontiguousarray(values.transpose(0, 3, 1, 2)), requires_grad=True)


def channels_last(values: Any) -> NDArray[Any]:
    return values.detach().numpy().transpose(0, 2, 3, 1)


def convolved(window: Window, groups: int, w: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    y = np.empty((len(X), *window.places(9, 8), OUTPUTS))
    reference.conv2d(XP, X, w, b, y, window, groups, "identity", 0.0)
    return y


@pytest.mark.parametrize(("window", "groups"), CONVOLUTIONS)
def test_convolution_equals_correlation_by_scipy(window: Window, groups: int) -> None:
    """SciPy correlates at every pixel, with taps of zeros where dilation leaves some out; stride takes a part."""
    w, b = drawn(*window.size, 4 // groups, OUTPUTS), drawn(OUTPUTS)
    sides = tuple(zip(window.before, window.after, strict=True))
    padded = np.pad(X, ((0, 0), *sides, (0, 0)))
    spread = np.zeros((*window.reach, *w.shape[2:]))
    spread[:: window.dilation[0], :: window.dilation[1]] = w
    expected = np.zeros((len(X), *window.places(9, 8), OUTPUTS)) + b
    for n, o, c in itertools.product(range(len(X)), range(OUTPUTS), range(4 // groups)):
        channel = o // (OUTPUTS // groups) * (4 // groups) + c
        every = scipy.signal.correlate(padded[n, :, :, channel], spread[:, :, c, o], "valid", "direct")
        expected[n, :, :, o] += every[:: window.stride[0], :: window.stride[1]]
    assert_allclose(convolved(window, groups, w, b), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("window", "groups"), CONVOLUTIONS)
def test_convolution_and_its_gradients_equal_torch(window: Window, groups: int) -> None:
    torch = torch_or_skip()
    w, b = drawn(*window.size, 4 // groups, OUTPUTS), drawn(OUTPUTS)
    tx, tb = channels_first(X), torch.tensor(b, requires_grad=True)
    tw = torch.tensor(np.ascontiguousarray(w.transpose(3, 2, 0, 1)), requires_grad=True)
    (top, left), (bottom, right) = window.before, window.after
    padded = torch.nn.functional.pad(tx, (left, right, top, bottom))
    options = {"stride": window.stride, "dilation": window.dilation, "groups": groups}
    ty = torch.nn.functional.conv2d(padded, tw, tb, **options)
    y = convolved(window, groups, w, b)
    dy, dx, dw, db = drawn(*y.shape), np.empty_like(X), np.empty_like(w), np.empty_like(b)
    ty.backward(channels_first(dy).detach())
    reference.conv2d_backward(XP, X, y, dy, w, None, dx, dw, db, window, groups, "identity", 0.0)
    assert_allclose(y, channels_last(ty), rtol=1e-12, atol=1e-12)
    assert_allclose(dx, channels_last(tx.grad), rtol=1e-11, atol=1e-12)
    assert_allclose(dw, tw.grad.numpy().transpose(2, 3, 1, 0), rtol=1e-11, atol=1e-12)
    assert_allclose(db, tb.grad.numpy(), rtol=1e-11, atol=1e-12)


def test_fused_activation_is_applied_after_the_bias_and_enters_the_gradients() -> None:
    window = Window((3, 2))
    w, b = drawn(3, 2, 4, OUTPUTS), drawn(OUTPUTS)
    z = convolved(window, 1, w, b)
    y, dy = np.empty_like(z), drawn(*z.shape)
    reference.conv2d(XP, X, w, b, y, window, 1, "tanh", 0.0)
    assert_allclose(y, np.tanh(z), rtol=1e-13)
    dz, fused, plain = np.empty_like(z), np.empty_like(w), np.empty_like(w)
    reference.conv2d_backward(XP, X, y, dy, w, dz, None, fused, None, window, 1, "tanh", 0.0)
    reference.conv2d_backward(XP, X, z, dz, w, None, None, plain, None, window, 1, "identity", 0.0)
    assert_allclose(dz, dy * (1 - np.tanh(z) ** 2), rtol=1e-12, atol=1e-13)
    assert_array_equal(fused, plain)


@pytest.mark.parametrize("window", POOLS)
def test_max_pool_its_index_and_its_gradient_equal_torch(window: Window) -> None:
    torch = torch_or_skip()
    tx = channels_first(X)
    pool = torch.nn.functional.max_pool2d
    ty, pixel = pool(tx, window.size, window.stride, window.before, return_indices=True)
    y, index = np.empty(channels_last(ty).shape), np.empty(channels_last(ty).shape, "int32")
    reference.max_pool(XP, X, y, index, window)
    dy, dx = drawn(*y.shape), np.empty_like(X)
    ty.backward(channels_first(dy).detach())
    reference.max_pool_backward(XP, index, dy, dx, window)
    assert_array_equal(y, channels_last(ty))
    assert_array_equal(_pixels(index, window), channels_last(pixel))
    assert_allclose(dx, channels_last(tx.grad), rtol=1e-13, atol=1e-14)


def _pixels(index: NDArray[Any], window: Window) -> NDArray[Any]:
    """Return which pixel of its image each tap lies on, counted along the rows."""
    p, q = np.meshgrid(*map(np.arange, index.shape[1:3]), indexing="ij")
    k, l = np.divmod(index, window.size[1])  # noqa: E741 (as in the interface)
    row = p[:, :, None] * window.stride[0] + k - window.before[0]
    return row * X.shape[2] + q[:, :, None] * window.stride[1] + l - window.before[1]


@pytest.mark.parametrize("window", POOLS)
def test_average_pool_and_its_gradient_equal_torch(window: Window) -> None:
    torch = torch_or_skip()
    tx = channels_first(X)
    options = {"padding": window.before, "count_include_pad": False}
    ty = torch.nn.functional.avg_pool2d(tx, window.size, window.stride, **options)
    y = np.empty(channels_last(ty).shape)
    reference.average_pool(XP, X, y, window)
    dy, dx = drawn(*y.shape), np.empty_like(X)
    ty.backward(channels_first(dy).detach())
    reference.average_pool_backward(XP, dy, dx, window)
    assert_allclose(y, channels_last(ty), rtol=1e-13, atol=1e-14)
    assert_allclose(dx, channels_last(tx.grad), rtol=1e-13, atol=1e-14)


def test_largest_of_a_window_is_the_first_of_equals_and_the_first_nan_and_never_padding() -> None:
    x = np.asarray([[-1.0, -2.0, np.nan], [-1.0, -1.0, np.nan], [-np.inf, -np.inf, 3.0]]).reshape(1, 3, 3, 1)
    y, index = np.empty((1, 4, 4, 1)), np.empty((1, 4, 4, 1), "int32")
    reference.max_pool(XP, x, y, index, Window((2, 2), before=(1, 1), after=(1, 1)))
    assert_array_equal(index[0, :, :, 0], [[3, 2, 3, 2], [1, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, 0]])
    assert_array_equal(
        y[0, :, :, 0],
        [[-1, -1, np.nan, np.nan], [-1, -1, np.nan, np.nan], [-1, -1, np.nan, np.nan], [-np.inf, -np.inf, 3, 3]],
    )

"""Convolution and pooling on CUDA: tiles and packs, where arrays lie, order of sums, launches."""

from __future__ import annotations

import functools
from typing import Any

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule, KernelError
from numpy.typing import NDArray
from shadow import ShadowBackend

from nnx import reference
from nnx.interface import Window

pytestmark = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))

Values = NDArray[Any]
SEEDS = range(4)
SAME = Window((3, 3), before=(1, 1), after=(1, 1))
ODD = Window((3, 2), stride=(2, 3), before=(2, 0), after=(0, 1), dilation=(1, 2))


def random(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Values:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def askew(array: Values) -> Values:
    """The same values, one element off the boundary that 16 bytes at once need."""
    room = np.empty(array.size + 1, array.dtype)
    room[1:] = array.ravel()
    return room[1:].reshape(array.shape)


class Layer:
    """One convolution, with all arrays of its forward and backward pass."""

    def __init__(self, images: tuple[int, ...], outputs: int, window: Window, groups: int, dtype: str) -> None:
        self.options = window, groups, "tanh", 0.0
        shape = *window.size, images[3] // groups, outputs
        self.x, self.w = random(images, dtype), random(shape, dtype, 1) / np.sqrt(np.prod(shape[:3]))
        self.w, self.b = self.w.astype(dtype), random((outputs,), dtype, 2)
        self.y = np.empty((images[0], *window.places(*images[1:3]), outputs), dtype)
        self.dy = random(self.y.shape, dtype, 3)
        self.gradients = [np.empty_like(array) for array in (self.y, self.x, self.w, self.b)]

    def run(self, on: ShadowBackend) -> list[Values]:
        on.conv2d(self.x, self.w, self.b, self.y, *self.options)
        on.conv2d_backward(self.x, self.y, self.dy, self.w, *self.gradients, *self.options)  # type: ignore[arg-type]
        return [array.copy() for array in (self.y, *self.gradients)]

    def expected(self) -> list[Values]:
        """The reference in float64, for the inputs and y as they are."""
        xp = ShadowBackend().xp
        x, w, b, y, dy = (array.astype("f8") for array in (self.x, self.w, self.b, self.y, self.dy))
        made, gradients = np.empty_like(y), [np.empty_like(array) for array in (y, x, w, b)]
        reference.conv2d(xp, x, w, b, made, *self.options)
        reference.conv2d_backward(xp, x, y, dy, w, *gradients, *self.options)
        return [made, *gradients]


def check(got: list[Values], right: list[Values]) -> None:
    """Within what some hundred additions cost, of sums whose terms are about as large as they are."""
    for a, b in zip(got, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1000 * np.finfo(a.dtype).eps * max(np.abs(b).max(), 1))


LAYERS = {
    "large tiles of packs": ((2, 9, 8, 40), 72, SAME, 1),
    "large tiles of single channels": ((2, 9, 8, 39), 70, SAME, 1),
    "several slices": ((6, 9, 7, 8), 16, ODD, 1),
    "groups of packs": ((2, 6, 6, 16), 32, SAME, 2),
    "groups of single channels": ((2, 6, 6, 14), 22, ODD, 2),
    "a group for each channel": ((2, 9, 9, 8), 8, SAME, 8),
    "two outputs for each channel": ((2, 9, 9, 3), 6, ODD, 3),
    "one channel to few": ((3, 12, 12, 1), 8, Window((3, 3)), 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYERS)
def test_any_sharing_of_tiles_gives_the_convolution_wherever_arrays_lie(name: str, dtype: str) -> None:
    layer, shadow = Layer(*LAYERS[name], dtype), ShadowBackend(2)
    check(layer.run(shadow), layer.expected())
    layer.x, layer.w, layer.gradients[0] = askew(layer.x), askew(layer.w), askew(layer.gradients[0])
    check(layer.run(shadow), layer.expected())


@pytest.mark.parametrize(("name", "launches"), [("several slices", 3), ("a group for each channel", 4)])
def test_a_layer_is_few_launches_and_allocates_nothing(
    name: str, launches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, shadow = Layer(*LAYERS[name], "float32"), ShadowBackend()
    before = layer.run(shadow)
    graph = shadow.host.capture(lambda: layer.run(shadow) and None)
    assert len(graph.launches) == launches
    monkeypatch.setattr(shadow, "xp", None)
    for again, former in zip(layer.run(shadow), before, strict=True):
        np.testing.assert_array_equal(again, former)


@pytest.mark.parametrize("name", ["several slices", "a group for each channel", "one channel to few"])
def test_sums_are_the_same_bits_in_any_order_of_blocks_and_threads(name: str) -> None:
    first, *others = [Layer(*LAYERS[name], "float32").run(ShadowBackend(seed)) for seed in SEEDS]
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_looking_up_the_next_slab_too_late_is_noticed() -> None:
    right, wrong = Layer(*LAYERS["several slices"], "float32").run(ShadowBackend()), 0
    for seed in SEEDS:
        shadow = ShadowBackend(module=functools.partial(one_table, seed))
        try:
            got = Layer(*LAYERS["several slices"], "float32").run(shadow)
        except KernelError:
            wrong += 1
        else:
            wrong += any(not np.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(right, got, strict=True))
    assert wrong > 0


def one_table(seed: int, *, code: str, **others: Any) -> HostModule:
    """What is looked up for the next slab overwrites what this one is loaded by."""
    assert code.count("now = 1 - now") in (0, 1)
    broken = code.replace("find(k + DEPTH + thread, 1 - now, thread)", "find(k + DEPTH + thread, now, thread)")
    return HostModule(code=broken.replace("now = 1 - now", "now = now"), seed=seed, **others)


@pytest.mark.parametrize("channels", [3, 8])
def test_pooling_is_the_same_wherever_arrays_lie(channels: int) -> None:
    window = Window((3, 3), stride=(2, 1), before=(1, 1), after=(1, 1))
    x = random((4, 9, 8, channels), "float32")
    dy = random((4, *window.places(9, 8), channels), "float32", 1)
    found = [pool(ShadowBackend(), given, slopes, window) for given, slopes in ((x, dy), (askew(x), askew(dy)))]
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def pool(on: ShadowBackend, x: Values, dy: Values, window: Window) -> tuple[Values, ...]:
    y, means, index = np.empty_like(dy), np.empty_like(dy), np.empty(dy.shape, "int32")
    of_largest, of_means = np.empty_like(x), np.empty_like(x)
    on.max_pool(x, y, index, window)
    on.max_pool_backward(index, dy, of_largest, window)
    on.average_pool(x, means, window)
    on.average_pool_backward(dy, of_means, window)
    return y, index, means, of_largest, of_means

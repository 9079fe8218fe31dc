"""Convolutions: sizes that straddle chunks, tiles, lines and blocks, and what lies around the arrays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

pytest.importorskip("numba")

from nnx import reference
from nnx.interface import Backend, Tape, Window
from nnx_numba import team
from nnx_numba.images import readings
from nnx_numba.images.chunks import CHUNK
from nnx_numba.images.readings import BLOCK_BYTES
from nnx_numba.images.weights import pack_taps, packed

SAME = Window((3, 3), (1, 1), (1, 1), (1, 1))
CASES = {
    "one pixel": (Window((1, 1)), (1, 1, 1, 1), 1, 1),
    "no images": (Window((3, 3)), (0, 5, 5, 2), 3, 1),
    "one channel": (SAME, (3, 28, 28, 1), 8, 1),
    "half a register of filters": (SAME, (2, 9, 10, 8), 8, 1),
    "a register of filters": (SAME, (2, 9, 10, 8), 16, 1),
    "one filter more than registers": (SAME, (2, 7, 5, 6), 33, 1),
    "deeper than a block": (Window((3, 3)), (2, 6, 7, BLOCK_BYTES // 4 // 9 + 3), 20, 1),
    "a run longer than a block": (Window((1, 2)), (2, 3, 5, BLOCK_BYTES // 4 + 5), 5, 1),
    "rows that end within a chunk": (Window((1, 1)), (1, CHUNK + 1, 1, 3), 4, 1),
    "steps larger than the window": (Window((2, 1), (3, 2)), (2, 11, 8, 3), 4, 1),
    "steps and gaps": (Window((3, 2), (2, 3), (2, 1), (1, 2), (2, 3)), (2, 12, 13, 4), 6, 1),
    "gaps with a common divisor": (Window((3, 3), (4, 2), (1, 3), (2, 2), (2, 4)), (2, 13, 14, 2), 3, 1),
    "a window as large as the image": (Window((6, 7)), (5, 6, 7, 3), 4, 1),
    "padding wider than the image": (Window((5, 5), (1, 1), (4, 4), (3, 3)), (1, 2, 1, 2), 3, 1),
    "two groups": (SAME, (2, 6, 7, 6), 8, 2),
    "a channel to a group": (SAME, (2, 11, 9, 19), 19, 19),
    "a channel to a group, with steps": (Window((3, 2), (2, 2), (1, 0), (1, 1)), (2, 11, 9, 16), 16, 16),
    "two filters to a channel": (SAME, (2, 6, 5, 3), 6, 3),
    "two channels to a filter": (SAME, (2, 6, 5, 6), 3, 3),
}


class Example:
    """Random operands for a case, and memory for results, full of NaN."""

    def __init__(self, case: str, kind: str, bias: bool = True) -> None:
        self.window, shape, outputs, self.groups = CASES[case]
        random = np.random.default_rng(len(case))
        places = self.window.places(*shape[1:3])
        self.x = random.standard_normal(shape).astype(kind)
        self.w = random.standard_normal((*self.window.size, shape[3] // self.groups, outputs)).astype(kind)
        self.b = random.standard_normal(outputs).astype(kind) if bias else None
        self.dy = random.standard_normal((shape[0], *places, outputs)).astype(kind)
        self.kind = kind

    def forward(self, kernel: Any, activation: str = "identity", kind: str = "") -> Any:
        y = np.full(self.dy.shape, np.nan, kind or self.kind)
        b = None if self.b is None else self.b.astype(y.dtype)
        kernel(self.x.astype(y.dtype), self.w.astype(y.dtype), b, y, self.window, self.groups, activation, 0.1)
        return y

    def backward(self, kernel: Any, y: Any, activation: str = "identity", kind: str = "") -> list[Any]:
        x, y, dy, w = (array.astype(kind or self.kind) for array in (self.x, y, self.dy, self.w))
        results = [np.full(array.shape, np.nan, x.dtype) for array in (y, x, w, w[0, 0, 0])]
        dz, dx, dw, db = results
        first, last = None if activation == "identity" else dz, None if self.b is None else db
        kernel(x, y, dy, w, first, dx, dw, last, self.window, self.groups, activation, 0.1)
        return [dx, dw] + [array for array in (first, last) if array is not None]


def _conv2d(*arguments: Any) -> None:
    reference.conv2d(xp, *arguments)


def _conv2d_backward(*arguments: Any) -> None:
    reference.conv2d_backward(xp, *arguments)


def assert_close(found: Any, expected: Any, terms: int) -> None:
    """Compare with float64 sums of `terms` products of standard normal numbers, whose errors add up at worst."""
    bound = float(8 * (terms + 4) * np.finfo(found.dtype).eps)
    np.testing.assert_allclose(found, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("case", CASES)
def test_convolutions_of_all_extents_agree_with_the_reference(backend: Backend, case: str, kind: str) -> None:
    example = Example(case, kind)
    y = example.forward(backend.conv2d, "leaky_relu")
    assert_close(y, example.forward(_conv2d, "leaky_relu", "f8"), example.w[..., 0].size)
    found = example.backward(backend.conv2d_backward, y, "leaky_relu")
    expected = example.backward(_conv2d_backward, y, "leaky_relu", "f8")
    for part, wanted in zip(found, expected, strict=True):
        assert_close(part, wanted, max(example.w[0, 0, 0].size * example.w[..., 0, 0].size, y[..., 0].size))


def test_a_convolution_needs_neither_bias_nor_activation(backend: Backend) -> None:
    example = Example("steps and gaps", "f4", bias=False)
    y = example.forward(backend.conv2d)
    assert_close(y, example.forward(_conv2d, kind="f8"), example.w[..., 0].size)
    expected = example.backward(_conv2d_backward, y, kind="f8")
    for part, wanted in zip(example.backward(backend.conv2d_backward, y), expected, strict=True):
        assert_close(part, wanted, y[..., 0].size)


@pytest.mark.parametrize("case", ["one channel", "a register of filters", "a channel to a group"])
def test_a_pixel_that_is_not_a_number_spoils_the_windows_on_it_alone(backend: Backend, case: str) -> None:
    example = Example(case, "f4")
    example.x[1, 4, 4, 0] = np.nan
    found, expected = (np.isnan(example.forward(kernel)) for kernel in (backend.conv2d, _conv2d))
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "case", ["one channel", "half a register of filters", "a channel to a group", "two groups"]
)
def test_nothing_is_written_outside_the_results(backend: Backend, case: str) -> None:
    example = Example(case, "f4")
    inner = [np.empty_like(array) for array in (example.dy, example.dy, example.x, example.w, example.b)]
    fenced = [np.full(array.size + 128, 7.0, np.float32) for array in inner]
    y, dz, dx, dw, db = (memory[64:-64].reshape(array.shape) for memory, array in zip(fenced, inner, strict=True))
    attributes = example.window, example.groups, "relu", 0.0
    backend.conv2d(example.x, example.w, example.b, y, *attributes)
    backend.conv2d_backward(example.x, y, example.dy, example.w, dz, dx, dw, db, *attributes)
    for memory in fenced:
        assert (memory[:64] == 7).all()
        assert (memory[-64:] == 7).all()


def test_strided_and_read_only_operands_give_the_same_bits(backend: Backend) -> None:
    example = Example("half a register of filters", "f4")
    expected = example.forward(backend.conv2d)
    shifted = np.asfortranarray(example.x)
    weights = example.w.copy()
    weights.flags.writeable = False
    found = np.empty_like(expected)
    backend.conv2d(shifted, weights, example.b, found, example.window, example.groups, "identity", 0.1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("case", ["one channel", "a channel to a group"])
def test_the_number_of_threads_changes_no_bit(backend: Backend, case: str) -> None:
    example, threads = Example(case, "f4"), team.num_threads()
    example.x = np.concatenate([example.x] * 40)
    example.dy = np.concatenate([example.dy] * 40)
    found = []
    try:
        for count in (1, 2, 3):
            backend.set_num_threads(count)
            y = example.forward(backend.conv2d, "tanh")
            found.append([y, *example.backward(backend.conv2d_backward, y, "tanh")])
    finally:
        backend.set_num_threads(threads)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_threads_of_the_caller_do_not_share_working_memory(backend: Backend) -> None:
    examples = [Example(case, "f4") for case in ("one channel", "half a register of filters")] * 2
    expected = [example.forward(backend.conv2d) for example in examples]

    def repeatedly(example: Example) -> list[Any]:
        return [example.forward(backend.conv2d) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(repeatedly, examples), expected, strict=True):
            for y in found:
                np.testing.assert_array_equal(y, wanted)


def test_what_is_kept_between_calls_is_small_beside_the_weights() -> None:
    window, extents = Window((3, 3), (1, 1), (1, 1), (1, 1)), (14, 14)
    found = [readings.forward(window, extents, 512, 1, 512, 4), *readings.backward(window, extents, 512, 1, 512, 4)]
    weights = 3 * 3 * 512 * 512 * 4
    assert sum(table.nbytes for reading in found for table in reading) < weights / 100


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("columns", [1, 4, 5, 8, 9, 16, 17, 33, 64, 70])
@pytest.mark.parametrize("turned", [False, True], ids=["as they are", "turned"])
def test_packed_weights_hold_every_weight_once_and_zeros(columns: int, turned: bool, kind: str) -> None:
    groups, run, taps = 2, BLOCK_BYTES // np.dtype(kind).itemsize // 2 - 3, np.array([4, 0, 3])
    shape = (5, columns, groups * run) if turned else (5, run, groups * columns)
    w = np.arange(1, 1 + np.prod(shape)).reshape(shape).astype(kind)
    size, count = packed(groups, taps.size, run, columns, w.itemsize)
    out = np.full(size, np.nan, kind)
    pack_taps(count, 1, w, taps, out, groups, turned)
    found = np.sort(out)
    np.testing.assert_array_equal(found[found != 0], np.sort(w[taps].ravel()))


def test_a_recorded_convolution_sees_what_has_changed_since(backend: Backend) -> None:
    example = Example("half a register of filters", "f4")
    y, attributes = np.empty_like(example.dy), (example.window, example.groups, "relu", 0.0)
    tape = Tape()
    tape.append(backend.conv2d, (example.x, example.w, example.b, y, *attributes))
    program = backend.compile(tape)
    for _ in range(2):
        example.x *= -2
        example.w += 1
        program.run(1)
        np.testing.assert_array_equal(y, example.forward(backend.conv2d, "relu"))


def test_long_sums_lose_no_more_digits_than_blocked_ones(backend: Backend) -> None:
    count = 30_000  # plain sums of so many float32 would be wrong by a hundred ulp
    x = np.random.default_rng(1).random((count, 2, 2, 1)).astype(np.float32)
    w, dy = np.ones((2, 2, 1, 1), np.float32), np.ones((count, 1, 1, 1), np.float32)
    dw, db = np.empty_like(w), np.empty(1, np.float32)
    backend.conv2d_backward(x, dy, dy, w, None, None, dw, db, Window((2, 2)), 1, "identity", 0.0)
    expected = x.astype(np.float64).sum(0)[..., None]
    assert np.abs(dw / expected - 1).max() < 60 * np.finfo(np.float32).eps
    assert db[0] == count

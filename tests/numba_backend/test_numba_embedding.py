"""Tables of vectors, and matrices side by side: copies to the bit, sums in the order of the tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from nnx_numba import team
from nnx_numba.embedding import embedding_backward
from nnx_numba.launches import collecting
from numba_backend.support import normal

SIZES = [(1, 1, 1), (5, 7, 20), (65, 64, 500), (10, 33, 3), (300, 130, 50), (4, 16, 0), (7, 2, 9)]
"""Rows of the table, features, tokens."""

WIDTHS = [(3, 5, 7), (33, 16, 64), (1, 1, 1), (5, 0, 4), (5, 4, 0), (0, 3, 4), (70, 100, 17)]
"""Rows, and columns of both matrices."""


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tokens_are_looked_up(backend: Any, size: tuple[int, int, int], kind: str) -> None:
    rows, features, count = size
    table, tokens = normal(rows, features).astype(kind), np.arange(count) * 7 % rows
    y = np.full((count, features), np.nan, kind)
    backend.embedding(tokens, table, y)
    np.testing.assert_array_equal(y, table[tokens])


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_are_added_in_the_order_of_the_tokens(
    backend: Any, size: tuple[int, int, int], kind: str
) -> None:
    rows, features, count = size
    dy, tokens = normal(count, features).astype(kind), np.arange(count) ** 2 % rows
    dtable, expected = np.full((rows, features), np.nan, kind), np.zeros((rows, features), kind)
    np.add.at(expected, tokens, dy)  # one after the other, in the same precision
    backend.embedding_backward(tokens, dy, dtable)
    np.testing.assert_array_equal(dtable, expected)


def test_gradients_have_the_same_bits_on_two_threads(backend: Any) -> None:
    dy, tokens, found, before = normal(3000, 200), np.arange(3000) ** 2 % 41, [], team.num_threads()
    with collecting() as recording:
        backend.embedding_backward(tokens, dy, np.empty((41, 200), np.float32))
    assert recording.launches[0].splits, "too little work to be dealt out"
    for threads in (1, 2):
        backend.set_num_threads(threads)
        found.append(np.full((41, 200), np.nan, np.float32))
        backend.embedding_backward(tokens, dy, found[-1])
    backend.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_strided_and_read_only_inputs_are_compiled_once(backend: Any) -> None:
    dy, tokens = normal(20, 30), np.arange(20) % 6
    plain, other = np.empty((2, 6, 30), np.float32)
    backend.embedding_backward(tokens, dy, plain)
    known = len(embedding_backward._entries)
    frozen = np.asfortranarray(dy)
    frozen.flags.writeable = False
    backend.embedding_backward(np.repeat(tokens, 2)[::2], frozen, other)
    assert len(embedding_backward._entries) == known
    np.testing.assert_array_equal(other, plain)


@pytest.mark.parametrize("kind", ["f4", "f8", "i8", "u1"])
@pytest.mark.parametrize("size", WIDTHS, ids=str)
def test_matrices_are_joined_and_split(backend: Any, size: tuple[int, int, int], kind: str) -> None:
    rows, left, right = size
    whole = (100 * normal(rows, left + right)).astype("i8").astype(kind)
    a, b, joined = (np.full((rows, width), 99, kind) for width in (left, right, left + right))
    backend.split(whole, a, b)
    np.testing.assert_array_equal(a, whole[:, :left])
    np.testing.assert_array_equal(b, whole[:, left:])
    backend.join(np.asfortranarray(a), b, joined)
    np.testing.assert_array_equal(joined, whole)

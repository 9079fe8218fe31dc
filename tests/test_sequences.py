"""Padding: what comes out, and what cannot be padded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.errors import DataError, DtypeError, NnxError, OptionError, ShapeError

RAGGED = [np.arange(6.0).reshape(3, 2), np.ones((1, 2)), np.full((2, 2), -1.0)]


def test_sequences_stand_at_the_beginning_of_their_rows_and_the_value_after_them() -> None:
    x, lengths = nnx.pad_sequences(RAGGED, value=9)
    assert x.shape == (3, 3, 2)
    assert lengths.tolist() == [3, 1, 2]
    for row, sequence in zip(x, RAGGED, strict=True):
        np.testing.assert_array_equal(row[: len(sequence)], sequence)
        assert (row[len(sequence) :] == 9).all()


@pytest.mark.parametrize("steps", [3, 5])
def test_sequences_are_padded_to_the_steps_asked_for(steps: int) -> None:
    x, lengths = nnx.pad_sequences(RAGGED, value=9, steps=steps)
    assert x.shape == (3, steps, 2)
    assert lengths.tolist() == [3, 1, 2]
    assert (x[np.arange(steps) >= lengths[:, None]] == 9).all()
    np.testing.assert_array_equal(x[0, :3], RAGGED[0])


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        ([[1, 2], [3]], np.int64),
        ([np.array([1, 2], np.uint8), np.array([3], np.uint8)], np.uint8),
        ([np.array([1, 2], np.float32), np.array([3], np.float32)], np.float32),
        ([np.array([1, 2], np.int16), np.array([0.5], np.float32)], np.float32),
        ([[True, False], [True]], bool),
    ],
)
def test_the_dtype_is_one_that_all_sequences_fit_into(sequences: list[Any], expected: type) -> None:
    x, lengths = nnx.pad_sequences(sequences)
    assert (x.dtype, lengths.dtype) == (expected, np.int64)
    assert x.ravel().tolist() == [*sequences[0], *sequences[1], 0]


@pytest.mark.parametrize("dtype", [np.float32, "int8", float])
def test_a_dtype_that_holds_the_numbers_is_taken(dtype: Any) -> None:
    x, _ = nnx.pad_sequences(RAGGED, value=-1, dtype=dtype)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x[0], RAGGED[0])


@pytest.mark.parametrize("sequences", [np.ones((2, 3)), (item for item in RAGGED), tuple(RAGGED), [[[1]]]])
def test_any_collection_of_sequences_is_taken(sequences: Any) -> None:
    x, lengths = nnx.pad_sequences(sequences)
    assert len(x) == len(lengths)
    assert lengths.max() == x.shape[1]


def test_sequences_are_copied_from_any_layout_and_left_alone() -> None:
    given = [np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::-2], np.zeros((1, 2))]
    given[0].flags.writeable = False
    x, _ = nnx.pad_sequences(given)
    x[...] = 5
    np.testing.assert_array_equal(given[0], np.arange(12.0).reshape(3, 4)[:, ::-2])


@pytest.mark.parametrize(
    ("sequences", "options", "error", "says"),
    [
        ([], {}, DataError, "sequences holds no sequences; give at least one."),
        ([[1], []], {}, DataError, "sequences[1] has no steps; leave it out"),
        ([1, 2], {}, ShapeError, "sequences[0] must be an array (T, ...), got a single number."),
        (5, {}, ShapeError, "sequences must be a list of arrays (T_i, ...), got int."),
        ("abc", {}, ShapeError, "sequences must be a list of arrays (T_i, ...), got str."),
        (["ab", "c"], {}, DtypeError, "sequences[0] must hold real numbers, got a text"),
        (
            [[1], None],
            {},
            DtypeError,
            "sequences[1] must hold real numbers, got dtype object: it holds missing values",
        ),
        ([[1], [1j]], {}, DtypeError, "sequences[1] must hold real numbers, got dtype complex128."),
        ([[[1, 2], [3]]], {}, ShapeError, "sequences[0] must be rectangular"),
        ([[1], np.ma.masked_equal([1, 2], 2)], {}, DataError, "sequences[1] is a masked array"),
        (
            [np.ones((3, 2)), np.ones((3, 4))],
            {},
            ShapeError,
            "alike but for their number of steps, got (3, 2) for sequences[0] and (3, 4) for sequences[1].",
        ),
        ([[[1]], [1]], {}, ShapeError, "got (1, 1) for sequences[0] and (1,) for sequences[1]."),
        (
            [[1], [0.5]],
            {"dtype": int},
            DtypeError,
            "sequences[1] of dtype float64 holds numbers that would change",
        ),
        (
            [[300]],
            {"dtype": "uint8"},
            DtypeError,
            "sequences[0] of dtype int64 holds numbers that would change as uint8",
        ),
        ([[1e39]], {"dtype": "float32"}, DtypeError, "holds numbers that would change as float32"),
        ([np.ones(1, np.float16)], {"value": 1e6}, OptionError, "value must be a number that float16 can hold"),
        ([[1.0, np.nan]], {"dtype": int}, DtypeError, "that would change as int64"),
        ([[1]], {"dtype": "words"}, DtypeError, "dtype must be a dtype of numbers such as 'float32', got 'words'"),
        ([[1]], {"dtype": str}, DtypeError, "dtype must be a dtype of real numbers, got <U0"),
        (
            [[1]],
            {"value": 0.5},
            OptionError,
            "value must be a number that int64 can hold, as the sequences do, got 0.5",
        ),
        ([np.array([1], np.uint8)], {"value": -1}, OptionError, "value must be a number that uint8 can hold"),
        ([[1.0]], {"value": np.nan}, OptionError, "value must be a number in (-inf, inf), got nan"),
        (
            [[1], [1, 2, 3]],
            {"steps": 2},
            ShapeError,
            "sequences[1] has 3 steps, more than steps=2; cut it, or give",
        ),
        ([[1]], {"steps": 0}, OptionError, "steps must be a whole number of at least 1, got 0"),
        ([[1]], {"steps": 1.5}, OptionError, "steps must be a whole number of at least 1, got 1.5"),
        ([[1.0]], {"value": "0"}, OptionError, "value must be a number in (-inf, inf), got '0'"),
    ],
)
def test_what_cannot_be_padded_is_refused(
    sequences: Any, options: dict[str, Any], error: type[NnxError], says: str
) -> None:
    with pytest.raises(error) as caught:
        nnx.pad_sequences(sequences, **options)
    assert says in str(caught.value)


def test_padded_sequences_go_straight_into_a_model() -> None:
    x, lengths = nnx.pad_sequences([[1, 2, 0], [2], [1, 1]])
    model = nnx.Sequential([nnx.Embedding(3, 2), nnx.GRU(4)], input_shape=(3,), dtype="float64")
    single = nnx.Sequential([nnx.Embedding(3, 2), nnx.GRU(4)], input_shape=(1,), dtype="float64")
    np.testing.assert_allclose(
        model.predict(x, lengths=lengths)[1:2], single.predict([[2]]), rtol=1e-12, atol=1e-15
    )

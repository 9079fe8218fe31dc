"""Sequences of unequal lengths, made one array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nnx.border import plain_array
from nnx.checks import check_count, check_number
from nnx.errors import DataError, DtypeError, OptionError, ShapeError


def pad_sequences(
    sequences: Iterable[Any], value: float = 0, dtype: DTypeLike | None = None, steps: int | None = None
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Put sequences of unequal lengths into one array, and return their lengths with it, as `fit` takes them.

    Args:
        sequences: arrays (T_i, ...), or nested lists, alike but for the number of steps, which is at least 1.
        value: what stands after the end of each sequence; for tokens, one of the vocabulary.
        dtype: of the result; by default the one that all sequences fit into.
        steps: T, such as the number of steps that a model was built for; by default the largest T_i.

    Returns:
        x (M, T, ...) and lengths (M,) int64.

    Raises:
        DataError: there are no sequences, or one has no steps.
        ShapeError: they differ in more than the number of steps, one has more than `steps`, or is a single number.
        DtypeError: they are not numbers, or `dtype` cannot hold them.
        OptionError: value is not a finite number, or the dtype cannot hold it; steps is not a number of steps.

    Examples:
        >>> x, lengths = nnx.pad_sequences([[3, 1, 4], [1, 5]])
        >>> x.tolist(), lengths.tolist()
        ([[3, 1, 4], [1, 5, 0]], [3, 2])
    """
    if not isinstance(sequences, Iterable) or isinstance(sequences, str | bytes):
        raise ShapeError(f"sequences must be a list of arrays (T_i, ...), got {type(sequences).__name__}.")
    arrays = [plain_array(item, f"sequences[{index}]") for index, item in enumerate(sequences)]
    _check_shapes(arrays)
    kind = np.result_type(*arrays) if dtype is None else _check_dtype(dtype, arrays)
    filler = _check_value(value, kind)
    lengths = np.array([len(array) for array in arrays], np.int64)
    x = np.full((len(arrays), _check_steps(steps, lengths), *arrays[0].shape[1:]), filler, kind)
    for row, array in zip(x, arrays, strict=True):
        row[: len(array)] = array
    return x, lengths


def _check_shapes(arrays: list[NDArray[Any]]) -> None:
    if not arrays:
        raise DataError("sequences holds no sequences; give at least one.")
    for index, array in enumerate(arrays):
        if array.ndim == 0:
            raise ShapeError(f"sequences[{index}] must be an array (T, ...), got a single number.")
        if len(array) == 0:
            raise DataError(f"sequences[{index}] has no steps; leave it out, since no model can learn from it.")
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ShapeError(
                "sequences must be alike but for their number of steps, "
                f"got {arrays[0].shape} for sequences[0] and {array.shape} for sequences[{index}]."
            )


def _check_steps(steps: int | None, lengths: NDArray[np.int64]) -> int:
    longest = int(np.argmax(lengths))
    if steps is None:
        return int(lengths[longest])
    if lengths[longest] > check_count("steps", steps):
        raise ShapeError(
            f"sequences[{longest}] has {lengths[longest]} steps, more than steps={steps}; cut it, or give more."
        )
    return int(steps)


def _check_dtype(dtype: DTypeLike, arrays: list[NDArray[Any]]) -> np.dtype[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(f"dtype must be a dtype of numbers such as 'float32', got {dtype!r}.") from error
    if kind.kind not in "biuf":
        raise DtypeError(f"dtype must be a dtype of real numbers, got {kind}.")
    for index, array in enumerate(arrays):
        if not _survives(array, kind):
            raise DtypeError(
                f"sequences[{index}] of dtype {array.dtype} holds numbers that would change as {kind}."
            )
    return kind


def _check_value(value: float, kind: np.dtype[Any]) -> NDArray[Any]:
    check_number("value", value, -np.inf, open_low=True)
    filler = np.asarray(value)
    if not _survives(filler, kind):
        raise OptionError(f"value must be a number that {kind} can hold, as the sequences do, got {value!r}.")
    return filler.astype(kind)


def _survives(array: NDArray[Any], kind: np.dtype[Any]) -> bool:
    """Tell whether numbers stay what they are in another dtype; for a floating one, whether they stay finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        converted = array.astype(kind)
    if kind.kind == "f":
        return bool((np.isfinite(converted) | ~np.isfinite(array)).all())
    return bool((converted == array).all())

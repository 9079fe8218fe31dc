"""The border between users' data and the device: arrays, inputs and lengths are checked on the host once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import DataError, DtypeError, ShapeError, UnknownNameError
from nnx.foreign import as_numpy, on_host
from nnx.frames import column_names, no_number, refuse_unread
from nnx.interface import Array
from nnx.ops import Ops
from nnx.parameters import State
from nnx.registry import find_owner

Host = NDArray[Any]

Extents = tuple[int | None, ...]
"""The shape of one example; None stands for any number of steps."""


def to_host(value: Any, argument: str, ops: Ops) -> Host:
    """Return a numeric NumPy array of what a user passed: an array of any library, or nested lists.

    Raises:
        BackendError: an array on a device whose library does not copy it to the host.
        DataError: a masked array.
        DtypeError: not numbers.
        ShapeError: nested lists of unequal lengths.
    """
    if isinstance(value, np.ndarray):
        return plain_array(value, argument)
    owner = ops.backend if ops.backend.owns(value) else find_owner(value)
    if owner is None or on_host(value):
        return plain_array(value, argument)
    try:
        return owner.to_numpy(value)
    except BufferError:  # an array without data, such as PyTorch's on "meta"
        return plain_array(value, argument)


def plain_array(value: Any, argument: str) -> Host:
    """Return a numeric NumPy array of an array or of nested lists; raises as `to_host` does."""
    _refuse_masks(value, argument)
    refuse_unread(value, argument)
    try:
        array = as_numpy(value, argument)
    except ValueError as error:
        raise ShapeError(f"{argument} must be rectangular, got nested sequences of unequal lengths.") from error
    if array.dtype.kind not in "biuf":
        found = no_number(value, array)
        hint = f": {found}." if found else _NO_NUMBERS.get(array.dtype.kind, ".")
        raise DtypeError(f"{argument} must hold real numbers, got dtype {array.dtype}{hint}")
    return array


_NO_NUMBERS = {
    "O": ". Objects are no numbers: convert them by .astype(float).",
    "V": ". Convert it to float32 first, or give its columns as one array.",
    "c": ". Give real and imaginary parts as features of their own.",
}
"""What to do about arrays of other kinds."""


def _refuse_masks(value: Any, argument: str) -> None:
    for part in (value, *(value if isinstance(value, list | tuple) else ())):
        if isinstance(part, np.ma.MaskedArray):
            raise DataError(
                f"{argument} is a masked array, but nnx would use the masked elements like all others; "
                "replace them by .filled(value), or leave their rows out."
            )


def check_x(x: Any, extents: Extents | None, vocabulary: int | None, ops: Ops, argument: str = "x") -> Host:
    """Return inputs (M, *extents): floating, or int64 where the model has a vocabulary.

    Raises:
        ShapeError: another shape per example; the batch axis is missing.
        DataError: NaN or infinity among numbers; among tokens, what is none of the vocabulary.
        DtypeError: booleans as tokens.
    """
    array = to_host(x, argument, ops)
    check_extents(array.shape, extents, vocabulary, argument)
    if vocabulary is not None:
        return _check_tokens(array, vocabulary, argument)
    return as_dtype(array, ops.dtype, argument, column_names(x))


def check_extents(shape: tuple[int, ...], extents: Extents | None, vocabulary: int | None, argument: str) -> None:
    """Raise ShapeError unless inputs of this shape are examples of these extents."""
    if not shape:
        raise ShapeError(f"{argument} must have a batch axis first, got a single number.")
    if extents is not None and not _fits(shape[1:], extents):
        hint = shape_hint(shape, extents, vocabulary, argument)
        raise ShapeError(f"{argument} must have shape {batch_of(extents)}, got {shape}.{hint}")


def _fits(shape: tuple[int, ...], expected: Extents) -> bool:
    return len(shape) == len(expected) and all(
        extent == wanted or (wanted is None and extent > 0) for wanted, extent in zip(expected, shape, strict=True)
    )


def shape_hint(shape: tuple[int, ...], extents: Extents, vocabulary: int | None, argument: str) -> str:
    """Return what to do about inputs of `shape` for a model that takes examples of these extents; "" if unknown."""
    rest, axes = shape[1:], len(extents)
    if _fits(shape, extents):
        return f" For a single example, add the batch axis: {argument}[None]."
    if axes == 3 and rest == extents[:2] and extents[2] == 1:
        return f" Give the images an axis of channels: {argument}[..., None]."
    if axes == 3 and len(rest) == 3 and _fits((*rest[1:], rest[0]), extents):
        return f" Channels come last: np.moveaxis({argument}, 1, -1)."
    sequences = axes == (2 if vocabulary is None else 1)
    if sequences and extents[0] is not None and _fits(rest, (None, *extents[1:])):
        return (
            f" The model takes sequences of {extents[0]} steps: pad shorter ones to {extents[0]} steps with "
            f"nnx.pad_sequences(..., steps={extents[0]}), and cut longer ones."
        )
    return ""


def batch_of(shape: Extents) -> str:
    """Return the shape of a batch of examples as text, such as (N, 4) or (N, T, 8)."""
    extents = ["N", *("T" if extent is None else str(extent) for extent in shape)]
    return f"({', '.join(extents)}{',' if len(extents) == 1 else ''})"


_first_row: ContextVar[int] = ContextVar("first_row", default=0)


@contextmanager
def counted_from(row: int) -> Iterator[None]:
    """Name rows in errors of the block by their numbers in a larger array, of which these begin at `row`."""
    token = _first_row.set(row)
    try:
        yield
    finally:
        _first_row.reset(token)


def place(index: Sequence[Any]) -> str:
    """Return in words where in the examples an index points: its row, and its step where there is one."""
    row, *steps = (int(axis) for axis in index)
    return ", ".join([f"row {_first_row.get() + row}", *([f"step {', '.join(map(str, steps))}"] if steps else [])])


def _check_tokens(array: Host, vocabulary: int, argument: str) -> Host:
    if array.dtype.kind == "b":
        raise DtypeError(f"{argument} must hold tokens, whole numbers, got booleans; convert by .astype(int).")
    bad = (array < 0) | (array >= vocabulary)
    if array.dtype.kind == "f":
        bad |= array != np.floor(array)
    if bad.any():
        where = tuple(np.argwhere(bad)[0])
        raise DataError(
            f"{argument} must hold tokens, whole numbers of 0 to {vocabulary - 1} for this vocabulary of "
            f"{vocabulary}, got {array[where].item()} in {place(where[:1])}."
        )
    return array.astype(np.int64)


def check_finite(array: Host, argument: str, columns: Sequence[str] = ()) -> None:
    """Raise DataError if there is NaN or infinity, naming the first row that holds it, and its column if known."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row, *rest = (int(axis) for axis in np.argwhere(~np.isfinite(array))[0])
        column = f", column {columns[rest[0]]!r}" if columns and rest else ""
        raise DataError(
            f"{argument} holds NaN or infinity as {array.dtype}, first in {place((row,))}{column}; replace or "
            "remove such values."
        )


def as_dtype(array: Host, dtype: str, argument: str, columns: Sequence[str] = ()) -> Host:
    """Return finite numbers in the dtype of the computation; errors name columns that are known by name.

    Raises:
        DataError: there is NaN or infinity, or a number is too large for the dtype.
    """
    check_finite(array, argument, columns)
    with np.errstate(over="ignore"):
        converted: Host = array.astype(dtype, copy=False)
    if converted is array:
        return array
    if not np.isfinite(converted).all():
        where = tuple(np.argwhere(~np.isfinite(converted))[0])
        wider = ' or compute with dtype="float64"' if dtype == "float32" else ""
        raise DataError(
            f"{argument} holds {array[where]:g} in {place(where[:1])}, too large for {dtype}; scale it{wider}."
        )
    return converted


def check_lengths(lengths: Any, rows: int, steps: int, ops: Ops, argument: str = "lengths") -> Host:
    """Return how many steps of each sequence are real, (rows,) int64 in 1..steps.

    Raises:
        ShapeError: lengths are not one per sequence.
        DataError, DtypeError: a length is not a whole number of 1 to the number of steps.
    """
    array = to_host(lengths, argument, ops)
    if array.dtype.kind == "b":
        raise DtypeError(
            f"{argument} must be whole numbers, got booleans; of a mask (N, T), give {argument}.sum(axis=1)."
        )
    if array.shape != (rows,):
        raise ShapeError(f"{argument} must have shape ({rows},), one per sequence, got {array.shape}.")
    bad = ~((array >= 1) & (array <= steps) & (array == np.floor(array)))
    if bad.any():
        row = int(np.argmax(bad))
        empty = " A sequence without steps has no outputs and no last state: leave it out." * bool(array[row] == 0)
        raise DataError(
            f"{argument} must be whole numbers of 1 to {steps}, the steps of the inputs, "
            f"got {array[row].item()} in row {row}.{empty}"
        )
    return array.astype(np.int64)


def has_time_axis(input_shape: tuple[int, ...], vocabulary: int | None) -> bool:
    """Tell whether the first axis of an example can be time: (T, F, ...), or (T, ...) of tokens."""
    return len(input_shape) >= (2 if vocabulary is None else 1)


def check_time_axis(input_shape: tuple[int, ...], vocabulary: int | None, argument: str) -> None:
    """Raise ShapeError unless the first axis of an example can be time."""
    if not has_time_axis(input_shape, vocabulary):
        raise ShapeError(
            f"{argument} needs sequences, (N, T, features) or (N, T) tokens, but the model takes inputs "
            f"{batch_of(input_shape)}."
        )


def check_values(values: Any, shape: tuple[int, ...], argument: str, ops: Ops) -> Host:
    """Return new values for an array of a model, in its dtype.

    Raises:
        ShapeError, DataError, DtypeError: another shape, not finite, or not numbers.
    """
    array = to_host(values, argument, ops)
    if array.shape != shape:
        raise ShapeError(f"{argument} must have shape {shape}, got {array.shape}.")
    return as_dtype(array, ops.dtype, argument)


def check_states(values: Mapping[str, Host], states: Sequence[State]) -> None:
    """Make sure that new values of a model's statistics are ones that they can have.

    Raises:
        DataError: one is too small, such as a negative variance.
    """
    for state in states:
        if state.name in values and (values[state.name] < state.least).any():
            raise DataError(
                f"weight {state.name!r} must be at least {state.least:g}, got {values[state.name].min():g}."
            )


def check_weight(name: str, values: Any, held: Mapping[str, Array], ops: Ops) -> Host:
    """Return new values for one of the arrays that a model holds.

    Raises:
        UnknownNameError, ShapeError, DataError, DtypeError: they do not fit.
    """
    if name not in held:
        raise UnknownNameError("weight", name, held)
    return check_values(values, tuple(held[name].shape), f"weight {name!r}", ops)

"""What people give in place of an array of numbers: tables with texts, paths, open files; and what to do instead.

No library is imported here: pandas, polars and h5py are known by what they leave in `sys.modules`.
"""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import DtypeError, shown

_READERS = {
    ".h5": "open it by h5py.File({path}) and give one of its datasets, such as file[{name}]",
    ".npy": "give np.load({path})",
    ".npz": "give one of the arrays of np.load({path})",
    ".csv": "give np.loadtxt({path}, delimiter=',', skiprows=1)",
}
_READERS[".hdf5"] = _READERS[".h5"]

_REMEDIES = {
    "texts": "encode them as numbers, such as one column of 0 and 1 for each value",
    "dates": "give numbers, such as the days since the first date, or the month and the weekday",
    "spans of time": "divide them by a unit, such as np.timedelta64(1, 's')",
    "missing values": "replace them or leave their rows out, and convert by .astype(float)",
}


def refuse_unread(value: Any, argument: str) -> None:
    """Raise DtypeError for what holds no numbers before it is read or converted.

    These are a path, an open HDF5 file, a query, and a table of polars with dates.
    """
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        reader = _READERS.get(Path(os.fsdecode(path)).suffix.lower(), "read it and give the numbers")
        wanted = reader.format(path=shown(path), name=repr(argument))
        raise DtypeError(
            f"{argument} must hold real numbers, got a text or a path, {shown(path)}: if it is a path, {wanted}."
        )
    h5py = sys.modules.get("h5py")
    if h5py is not None and isinstance(value, h5py.Group):
        kind = "file" if isinstance(value, h5py.File) else "group"
        held = f"; it holds {shown(list(value))}" if value else ", and it is closed"
        raise DtypeError(
            f"{argument} must be an array or a dataset, got an HDF5 {kind}: give a dataset of it, such as "
            f"{kind}[{argument!r}]{held}."
        )
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, polars.LazyFrame):
        raise DtypeError(f"{argument} must be an array or a table, got a LazyFrame: give {argument}.collect().")
    if polars is not None and isinstance(value, polars.DataFrame):
        dated = next((name for name, dtype in value.schema.items() if dtype.is_temporal()), None)
        if dated is not None:  # which polars itself would make numbers of, beside others
            found = f"column {dated!r} holds dates or times; {_REMEDIES['dates']}"
            raise DtypeError(f"{argument} must hold real numbers, but {found}.")


def column_names(value: Any) -> list[str]:
    """Return the names of the columns of a table of pandas or polars; none for anything else."""
    if type(value).__name__ != "DataFrame" or not hasattr(value, "columns"):
        return []
    return list(map(str, value.columns))


def no_number(value: Any, array: NDArray[Any]) -> str:
    """Return in words what is no number in an array that was made of `value`, and what to do; "" if unknown."""
    names = column_names(value) if array.ndim == 2 else []
    parts = [(f"column {shown(name)}", array[:, place]) for place, name in enumerate(names)]
    if not names:
        parts = [("it", array)]
    for name, part in parts:
        found = _first(part)
        if found is not None:
            kind, example = found
            return f"{name} holds {kind}, such as {example}; {_REMEDIES[kind]}"
    return ""


def _first(array: NDArray[Any]) -> tuple[str, str] | None:
    """Return the kind of the first element that is no number, and the element as text; None where all are."""
    if array.dtype.kind in "biufcV":
        return None
    if array.dtype.kind in "Mm":
        return "dates" if array.dtype.kind == "M" else "spans of time", str(next(iter(array.flat), "none"))
    return next(((kind, shown(item)) for item in array.ravel().tolist() if (kind := _kind(item)) is not None), None)


def _kind(item: Any) -> str | None:
    if isinstance(item, str | bytes):
        return "texts"
    if isinstance(item, datetime.date | datetime.time | np.datetime64):
        return "dates"
    if isinstance(item, datetime.timedelta | np.timedelta64):
        return "spans of time"
    return "missing values" if item is None or type(item).__name__ == "NAType" else None

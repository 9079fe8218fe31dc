"""Series of numbers in time: what a loader returns, and the reader of monthly CSV files."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnx.datasets.text import read_text
from nnx.errors import FileFormatError, excerpt

Months = NDArray[np.datetime64]

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """One number per month, without a gap.

    Attributes:
        name: what the numbers are.
        months: (N,) datetime64[M], each the one after its predecessor.
        values: (N,) float64, finite.
    """

    name: str
    months: Months
    values: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of months."""
        return len(self.values)

    def __repr__(self) -> str:
        span = f", {self.months[0]} to {self.months[-1]}" if len(self) else ""
        return f"Series(name={self.name!r}, {len(self)} months{span})"


def read_monthly(path: Path | str, header: tuple[str, str]) -> Series:
    """Read a CSV file of two columns, a month such as 1949-01 and a number, in the order of time.

    Args:
        path: the file, UTF-8.
        header: the names of the columns, which the first line must hold; the second becomes the series' name.

    Raises:
        FileFormatError: another header, a line that is not a month and a finite number, or a month that does not
            follow the one before; the line is named.
        OSError: the file cannot be read.
    """
    path = Path(path)
    lines = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    months: list[str] = []
    values: list[float] = []
    try:
        _expect(path, 1, f"the header {','.join(header)}", next(lines, []), tuple(header))
        for cells in lines:
            month, value = _row(path, lines.line_num, cells)
            _check_order(path, lines.line_num, months, month)
            months.append(month)
            values.append(value)
    except csv.Error as error:
        raise _foreign(path, lines.line_num, f"expected CSV, but: {error}") from error
    return Series(header[1], np.array(months, "datetime64[M]"), np.array(values, np.float64))


def _row(path: Path, line: int, cells: Sequence[str]) -> tuple[str, float]:
    """Return the month and the number of one line."""
    if len(cells) != 2 or not _MONTH.fullmatch(cells[0]) or not _NUMBER.fullmatch(cells[1]):
        raise _foreign(path, line, f"expected a month such as 1949-01 and a number, got {','.join(cells)!r}")
    value = float(cells[1])
    if not math.isfinite(value):
        raise _foreign(path, line, f"expected a number that float64 can hold, got {cells[1]!r}")
    return cells[0], value


def _check_order(path: Path, line: int, months: Sequence[str], month: str) -> None:
    if months and np.datetime64(month) - np.datetime64(months[-1]) != np.timedelta64(1, "M"):
        raise _foreign(path, line, f"expected the month after {months[-1]}, got {month}")


def _expect(path: Path, line: int, what: str, given: Sequence[str], wanted: tuple[str, ...]) -> None:
    if tuple(given) != wanted:
        raise _foreign(path, line, f"expected {what}, got {','.join(given)!r}")


def _foreign(path: Path, line: int, why: str) -> FileFormatError:
    return FileFormatError(f"{path}, line {line}: {excerpt(why)}. Correct the line, or get the file again.")

"""Looking tokens up, and the gradient of the table they are looked up in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx.interface import Array, Backend
from nnx_numba.grids import Grid, grids
from nnx_numba.hostarrays import GRAIN, plain, row_grain
from nnx_numba.indexing import ONLY, take_rows, words_of
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD
from nnx_numba.lines import POINTER, Lines
from nnx_numba.vectors import LINE, loop


class _Columns:
    """Emits passes over some columns of rows: whole lines, and the part of one behind them.

    Only that needs a mask: what was written under one, the processor cannot read before it has reached the cache,
    and the same token may come again at once.
    """

    def __init__(self, lines: Lines, begin: Any, stop: Any) -> None:
        self._lines, self._builder, self._begin, self._stop = lines, lines.builder, begin, stop
        width = self._builder.sub(stop, begin)
        self._whole = self._builder.sub(stop, self._builder.srem(width, WORD(lines.lanes)))

    def clear(self, table: Grid, row: Any) -> None:
        """Set a row to 0."""
        for column, mask in self._parts():
            self._lines.store(self._lines.zeros, table.at(row, column), mask)

    def add(self, table: Grid, row: Any, dy: Grid, i: Any) -> None:
        """Add row i of dy to a row."""
        lines = self._lines
        for column, mask in self._parts():
            place = table.at(row, column)
            total = self._builder.fadd(lines.load(place, mask), lines.load(dy.at(i, column), mask))
            lines.store(total, place, mask)

    def _parts(self) -> Iterator[tuple[Any, Any]]:
        with loop(self._builder, self._begin, self._whole, self._lines.lanes) as column:
            yield column, None
        with self._builder.if_then(self._builder.icmp_signed("<", self._whole, self._stop)):
            yield self._whole, self._lines.mask(self._builder.sub(self._stop, self._whole))


@intrinsic
def _add_rows(_context: Any, first: Any, stop: Any, given: Any) -> Any:
    """Of (tokens, dy, dtable), columns first..stop-1: zeros, then the rows of dy one after the other."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tokens, dy, table = grids(context, builder, signature.args[2], arguments[2])
        columns = _Columns(Lines(builder, context.get_data_type(given[1].dtype)), *arguments[:2])
        with loop(builder, WORD(0), table.extents[0]) as row:
            columns.clear(table, row)
        with loop(builder, WORD(0), tokens.extents[0]) as i:
            token = builder.load(builder.inttoptr(tokens.at(i), POINTER), typ=WORD, align=8)
            columns.add(table, token, dy, i)
        return context.get_dummy_value()

    return types.none(first, stop, given), generate


@kernel
def embedding_backward(first: int, last: int, tokens: Array, dy: Array, dtable: Array) -> None:
    """Units are cache lines of columns: the rows that a token adds to are not known before."""
    width = LINE // dtable.itemsize
    _add_rows(first * width, min(last * width, dtable.shape[1]), (tokens, dy, dtable))


class Embedding(Backend):
    """Tables of vectors."""

    def embedding(self, tokens: Array, table: Array, y: Array) -> None:
        """Copies words, as `take_rows` does."""
        if y.size:
            rows = words_of(y)
            take_rows(
                *(y.shape[0], row_grain(rows.shape[1]), words_of(table), plain(tokens)),
                *(ONLY, rows, y.shape[0]),
            )

    def embedding_backward(self, tokens: Array, dy: Array, dtable: Array) -> None:
        """Adds in the order of the tokens."""
        width = LINE // dtable.itemsize
        grain = GRAIN // max(1, width * (tokens.size + dtable.shape[0]))
        embedding_backward(-(-dtable.shape[1] // width), grain, plain(tokens), plain(dy), dtable)

"""Cases of `nnx.interface.indexing`."""

from __future__ import annotations

import math

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, InPlace, Input, Output, late, over
from nnx.conformance.tolerance import Values, elementwise

_ANY_DTYPE = ("float32", "float64", "int64", "int32", "uint8")


def _add(draw: Draw, *shape: int) -> Arguments:
    a, b = draw.normal(*shape), draw.normal(*shape)
    return {"a": Input(a), "b": Input(b), "out": Output(shape, elementwise())}


def _add_special(draw: Draw) -> Arguments:
    values = draw.round([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, 3e38, -3e38, 1.0])
    a, b = np.meshgrid(values, values)
    return {"a": Input(a), "b": Input(b), "out": Output(a.shape, elementwise())}


def _any(draw: Draw, dtype: str, shape: tuple[int, ...]) -> Values:
    """Values of a dtype that other dtypes could not carry."""
    if dtype.startswith("float"):
        values = draw.normal(*shape).astype(dtype)
        values.reshape(-1)[:2] = [math.nan, -math.inf][: values.size]
        return values
    limits = np.iinfo(dtype)
    return draw.generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def _take_rows(
    draw: Draw, source: tuple[int, ...], batch_size: int, batch: int, rows: int, dtype: str
) -> Arguments:
    return {
        "source": Input(_any(draw, dtype, source), dtype),
        "order": Input(draw.generator.permutation(source[0]), "int64"),
        "batch": Input(np.asarray(batch), "int64"),
        "out": Output((rows, *source[1:]), dtype=dtype),
        "batch_size": batch_size,
    }


def _repeated_rows(draw: Draw) -> Arguments:
    arguments = _take_rows(draw, (40, 9), 7, 4, 7, "float64")
    return {**arguments, "order": Input(draw.integers(40, 40), "int64")}


def _join(draw: Draw, rows: int, left: int, right: int) -> Arguments:
    a, b = _halves(draw, rows, left, right)
    return {"a": Input(a), "b": Input(b), "out": Output((rows, left + right))}


def _split(draw: Draw, rows: int, left: int, right: int) -> Arguments:
    x = np.concatenate(_halves(draw, rows, left, right), axis=1)
    return {"x": Input(x), "a": Output((rows, left)), "b": Output((rows, right))}


def _halves(draw: Draw, rows: int, left: int, right: int) -> tuple[Values, Values]:
    a, b = draw.normal(rows, left), draw.normal(rows, right)
    for part in (a, b):
        part.reshape(-1)[:3] = [math.nan, -math.inf, -0.0][: part.size]
    return a, b


def _load_at(draw: Draw, size: int, index: int, dtype: str) -> Arguments:
    return {
        "source": Input(_any(draw, dtype, (size,)), dtype),
        "index": Input(np.asarray(index), "int64"),
        "out": Output((), dtype=dtype),
    }


def _store_at(draw: Draw, size: int, index: int, value: str | None, out: str | None) -> Arguments:
    number = np.asarray(5) if value else draw.normal()
    start = np.arange(size) if out else draw.normal(size)
    return {
        "value": Input(number, value),
        "index": Input(np.asarray(index), "int64"),
        "out": InPlace(start, elementwise() if value is None else elementwise(lambda c: 0 * c.after["out"]), out),
    }


def _increment(_: Draw, start: int) -> Arguments:
    return {"counter": InPlace(np.asarray(start), dtype="int64")}


def _ties(draw: Draw, rows: int, classes: int) -> Values:
    """Few distinct values, so that most rows have several largest ones."""
    return draw.round(draw.integers(3, rows, classes))


def _special_rows(draw: Draw) -> Values:
    x = draw.normal(9, 70)
    x[0, 40], x[1, 69], x[1, 3] = math.nan, math.nan, math.inf
    x[2], x[3] = -math.inf, math.nan
    x[4, [5, 50]], x[5] = math.inf, 0.0
    x[5, ::2], x[6, 33], x[6, 34] = -0.0, 1e30, 1e30
    x[7, 0], x[8, [31, 64]] = math.nan, math.nan
    return x


def _argmax(x: Values) -> Arguments:
    return {"x": Input(x), "out": Output(x.shape[:1], dtype="int64")}


def _count_correct(draw: Draw, logits: Values) -> Arguments:
    labels = np.where(draw.uniform(len(logits)) < 0.5, draw.integers(logits.shape[1], len(logits)), 0)
    best = np.argmax(logits, axis=1)  # the first NaN, or the first of equals
    labels[::2] = best[::2]
    return {"logits": Input(logits), "labels": Input(labels, "int64"), "count": Output((), dtype="int64")}


def _count_correct_binary(draw: Draw, logits: Values) -> Arguments:
    targets = draw.round(draw.integers(3, *logits.shape) / 2)  # 0, 1/2 (not above 1/2) and 1
    logits = np.where(draw.uniform(*logits.shape) < 0.1, 0.0, logits)
    return {"logits": Input(logits), "targets": Input(targets), "count": Output((), dtype="int64")}


_SHAPES = ((), (0,), (1,), (33,), (257,), (31, 33), (0, 3), (3, 5, 7), (1000, 513))
_ROWS = ((0, 5), (1, 1), (33, 1), (31, 33), (33, 31), (2, 257), (257, 10), (3, 2050), (1000, 513))
_BATCHES = (  # source, batch size, batch, rows of out
    *(
        ((1, 1), 1, 0, 1),
        ((33, 31), 8, 3, 8),
        ((33, 31), 8, 4, 1),
        ((40, 3, 5), 16, 2, 8),
        ((257,), 64, 3, 64),
    ),
    *(((100, 0), 10, 9, 10), ((100, 7), 10, 0, 0), ((1000, 513), 300, 3, 100), ((9, 2, 2, 3), 4, 1, 4)),
)

_PAIRS = ((0, 3, 4), (1, 1, 1), (3, 0, 5), (3, 5, 0), (31, 33, 33), (33, 5, 17), (257, 16, 1), (7, 1, 255))

CASES: tuple[Case, ...] = (
    *over("add", _SHAPES, _add),
    Case("add", "(9, 9) special values", _add_special),
    *(
        Case(
            "take_rows",
            f"{source} batch {batch} of {size}, {rows} rows, {dtype} source",
            late(_take_rows, source=source, batch_size=size, batch=batch, rows=rows, dtype=dtype),
            dtypes=("float32",),
            views=source[0] < 1000,
        )
        for source, size, batch, rows in _BATCHES
        for dtype in (_ANY_DTYPE if source == (33, 31) else ("float32",))
    ),
    Case("take_rows", "(40, 9) repeated rows", _repeated_rows, dtypes=("float64",)),
    *over("join", _PAIRS, _join),
    *over("split", _PAIRS, _split),
    *(
        Case(
            "load_at",
            f"({size},) [{index}] {dtype}",
            late(_load_at, size=size, index=index, dtype=dtype),
            ("float32",),
        )
        for size, index in ((1, 0), (33, 32), (257, 100))
        for dtype in ("float32", "float64", "int64")
    ),
    *(
        Case(
            "store_at",
            f"({size},) [{index}] {value} to {out}",
            late(_store_at, size=size, index=index, value=value, out=out),
            dtypes,
        )
        for size, index in ((1, 0), (33, 32), (257, 100))
        for value, out, dtypes in (
            (None, None, ("float32", "float64")),
            ("int64", None, ("float32", "float64")),
            ("int64", "int64", ("float32",)),
            ("float32", "float64", ("float32",)),
            ("float64", "float32", ("float32",)),
        )
    ),
    *(
        Case(
            "increment",
            f"from {start}",
            late(_increment, start),
            ("float32",),
        )
        for start in (0, 2**31 - 1, 2**32 - 1, 2**53, -1)
    ),
    *over("argmax", _ROWS, lambda draw, *shape: _argmax(draw.normal(*shape))),
    Case("argmax", "(257, 40) ties", lambda draw: _argmax(_ties(draw, 257, 40))),
    Case("argmax", "(9, 70) NaN and infinities", lambda draw: _argmax(_special_rows(draw))),
    *over("count_correct", _ROWS, lambda draw, *shape: _count_correct(draw, draw.normal(*shape))),
    Case("count_correct", "(257, 40) ties", lambda draw: _count_correct(draw, _ties(draw, 257, 40))),
    Case("count_correct", "(9, 70) NaN and infinities", lambda draw: _count_correct(draw, _special_rows(draw))),
    *over("count_correct_binary", _ROWS, lambda draw, *s: _count_correct_binary(draw, draw.normal(*s))),
    Case("count_correct_binary", "(9, 70) NaN", lambda draw: _count_correct_binary(draw, _special_rows(draw))),
)

"""Cases of `nnx.interface.embedding`."""

from __future__ import annotations

import math

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late
from nnx.conformance.tolerance import Context, Values, reduction


def _tokens(draw: Draw, rows: int, count: int) -> Values:
    """Tokens of the lower half of the table and the last: the others are never used."""
    tokens = draw.integers(max(rows // 2, 1), count)
    tokens[3::7] = rows - 1
    return tokens


def _embedding(draw: Draw, rows: int, features: int, count: int, *, special: bool = False) -> Arguments:
    table = draw.normal(rows, features)
    if special:
        table[0, 0], table[-1, -1], table[1, 1] = math.nan, -math.inf, -0.0
    tokens = Input(_tokens(draw, rows, count), "int64")
    return {"tokens": tokens, "table": Input(table), "y": Output((count, features))}


def _embedding_backward(draw: Draw, rows: int, features: int, count: int, *, tokens: str = "mixed") -> Arguments:
    """A row of the table sums at most as many terms as its token occurs. NaN in dy is left open."""
    chosen = {
        "mixed": _tokens(draw, rows, count),
        "all alike": np.full(count, rows - 1),
        "all different": draw.generator.permutation(rows)[:count],
    }[tokens]
    most = int(np.max(np.bincount(chosen, minlength=rows)))
    return {
        "tokens": Input(chosen, "int64"),
        "dy": Input(draw.normal(len(chosen), features)),
        "dtable": Output((rows, features), reduction(most, _gathered)),
    }


def _gathered(context: Context) -> Values:
    """Sum of |dy| over the places of every token."""
    total = np.zeros(context.after["dtable"].shape)
    np.add.at(total, context["tokens"], np.abs(context["dy"]))
    return total


_SIZES = (
    (1, 1, 1),
    (1, 5, 33),
    (7, 16, 0),
    (5, 1, 31),
    (65, 33, 17),
    (33, 17, 257),
    (128, 64, 65),
    (1000, 31, 300),
)
"""Rows of the table, features, tokens."""

CASES: tuple[Case, ...] = (
    *(
        Case(kernel, f"{(rows, features)} {count} tokens", late(build, rows, features, count))
        for kernel, build in (("embedding", _embedding), ("embedding_backward", _embedding_backward))
        for rows, features, count in _SIZES
    ),
    Case("embedding", "(9, 5) 33 tokens NaN and infinities", late(_embedding, 9, 5, 33, special=True)),
    *(
        Case("embedding_backward", f"(40, 9) 33 tokens {kind}", late(_embedding_backward, 40, 9, 33, tokens=kind))
        for kind in ("all alike", "all different")
    ),
)

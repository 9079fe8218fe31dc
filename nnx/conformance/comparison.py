"""Comparing what a kernel wrote with what the reference wrote, and saying readably how they differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.conformance.tolerance import SLACK, Bound, Context, Values, exact


def difference(got: Values, context: Context, bound: Bound) -> str | None:
    """Return how a destination differs from the reference, or None if it does not."""
    expected = context.after[context.name]
    if got.shape != expected.shape:
        return f"has the shape {got.shape}, expected {expected.shape}"
    if got.dtype.kind != "f":
        return _worst(got != expected, None, got, expected)
    with np.errstate(all="ignore"):
        rounded = expected.astype(got.dtype)
        if bound is exact:
            return _worst(~_same(got, rounded), None, got, rounded)
        return _beyond(got, expected, rounded, np.nan_to_num(bound(context), nan=0.0, posinf=np.inf))


def _beyond(got: Values, expected: Values, rounded: Values, allowed: Values) -> str | None:
    limits = np.finfo(got.dtype)
    allowed = np.broadcast_to(allowed + SLACK * float(limits.tiny), expected.shape)
    error = np.abs(got.astype("float64") - expected)
    fine = (error <= allowed) | _same(got, rounded)
    at_overflow = np.abs(expected) + allowed >= float(limits.max)  # either side of the largest number will do
    fine |= at_overflow & (np.abs(got) >= np.abs(0.99 * float(limits.max))) & (np.sign(got) == np.sign(expected))
    return _worst(~fine, error / allowed, got, expected)


def _same(a: Values, b: Values) -> Any:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _worst(wrong: Any, ratio: Values | None, got: Values, expected: Values) -> str | None:
    """Describe the worst of the wrong elements; those without a ratio (NaN, infinity, exact) come first."""
    if not np.any(wrong):
        return None
    rank = np.where(wrong, np.inf if ratio is None else np.nan_to_num(ratio, nan=np.inf, posinf=np.inf), -1.0)
    where = np.unravel_index(int(np.argmax(rank)), got.shape)
    factor = float(rank[where])
    size = f" by {factor:.1e} times the tolerance" if np.isfinite(factor) else ""
    place = f" at {[int(i) for i in where]}" if where else ""
    share = f" ({int(np.sum(wrong))} of {wrong.size} elements)" if wrong.size > 1 else ""
    return f"differs from the reference{size}{place}: got {got[where]!s}, expected {expected[where]!s}{share}"

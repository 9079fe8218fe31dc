"""What is typed: numbers that say in one sentence what was expected, and usage lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf, isfinite, nan
from typing import Any

import typer
from typer.core import TyperCommand

# What a wrong command line raises. Its module depends on the version of typer, which carries click or imports it.
UsageError: type[Exception] = next(kind for kind in typer.BadParameter.mro() if kind.__name__ == "UsageError")


class Command(TyperCommand):
    """A command whose usage line names its arguments without braces, which look like a list of choices."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: `[OPTIONS]`, `MODEL`, `IMAGE...`."""
        pieces = (re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx))
        return [re.sub(r"(\.{3})+", "...", piece) for piece in pieces]  # some versions add their own dots


def count(option: str, least: int = 1, most: int | None = None) -> Callable[[Any], int]:
    """Return what reads a whole number from `least` to `most`, or of at least `least`.

    Raises:
        UsageError: what was typed is something else.
    """
    wanted = f"of at least {least}" if most is None else f"from {least} to {most}"

    def whole(typed: Any) -> int:
        try:
            value = int(typed)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise UsageError(f"{option} must be a whole number {wanted}, got {typed!r}.")
        return value

    return whole


def number(option: str, low: float, high: float = inf, closed: bool = False) -> Callable[[Any], float]:
    """Return what reads a finite number from low to high, high itself included only if `closed`.

    Raises:
        UsageError: what was typed is something else.
    """
    within = f"in [{low:g}, {high:g}{']' if closed else ')'}"
    wanted = within if isfinite(high) else f"of at least {low:g}"

    def real(typed: Any) -> float:
        try:
            value = float(typed)
        except ValueError:
            value = nan  # which lies in no range
        if not (low <= value < high or (closed and value == high)):
            raise UsageError(f"{option} must be a number {wanted}, got {typed!r}.")
        return value

    return real

"""What is typed: numbers that say in one sentence what was expected, and usage lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from nnx.checks import check_count, check_number
from nnx.errors import OptionError

# What a wrong command line raises. Its module depends on the version of typer, which carries click or imports it.
UsageError: type[Exception] = next(kind for kind in typer.BadParameter.mro() if kind.__name__ == "UsageError")


class Command(TyperCommand):
    """A command whose usage line names its arguments without braces, which look like a list of choices."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: `[OPTIONS]`, `MODEL`, `IMAGE...`."""
        return [re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]


def count(option: str, least: int = 1) -> Callable[[Any], int]:
    """Return what reads a whole number of at least `least`.

    Raises:
        UsageError: what was typed is something else.
    """

    def whole(typed: Any) -> int:
        try:
            return check_count(option, int(typed), least)
        except (OptionError, ValueError) as error:
            raise UsageError(f"{option} must be a whole number of at least {least}, got {typed!r}.") from error

    return whole


def number(option: str, low: float, high: float, closed: bool = False) -> Callable[[Any], float]:
    """Return what reads a number from low to high, high itself included only if `closed`.

    Raises:
        UsageError: what was typed is something else.
    """

    def real(typed: Any) -> float:
        try:
            value = float(typed)
        except ValueError:
            value = float("nan")  # which lies in no range
        try:
            return check_number(option, value, low, high, open_high=not closed)
        except OptionError as error:
            raise UsageError(str(error).replace("got nan", f"got {typed!r}")) from error

    return real

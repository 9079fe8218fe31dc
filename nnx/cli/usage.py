"""What is typed: numbers that say in one sentence what was expected, and usage lines."""

from __future__ import annotations

import re
from math import inf
from typing import Any

from typer.core import TyperCommand

from nnx.cli.values import Count, Number, UsageError

__all__ = ["Command", "UsageError", "count", "number"]


class Command(TyperCommand):
    """A command whose usage line names its arguments without braces, which look like a list of choices."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: `[OPTIONS]`, `MODEL`, `IMAGE...`."""
        pieces = (re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx))
        return [re.sub(r"(\.{3})+", "...", piece) for piece in pieces]  # some versions add their own dots


def count(option: str, least: int = 1, most: int | None = None) -> Count:
    """Return what reads a whole number from `least` to `most`, or of at least `least`."""
    return Count(option, least, most)


def number(option: str, low: float, high: float = inf, closed: bool = False) -> Number:
    """Return what reads a finite number from low to high, high itself included only if `closed`."""
    return Number(option, low, high, closed)

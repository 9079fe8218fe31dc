"""What is typed: numbers that say in one sentence what was expected, and usage lines."""

from __future__ import annotations

import re
from math import inf
from typing import Any

from typer.core import TyperCommand

from nnx.cli.values import Count, Number, UsageError

__all__ = ["Command", "UsageError", "count", "number", "offer_only"]


class Command(TyperCommand):
    """A command whose usage line names its arguments without braces, which look like a list of choices."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line: `[OPTIONS]`, `MODEL`, `IMAGE...`."""
        pieces = (re.sub(r"[{}]", "", piece) for piece in super().collect_usage_pieces(ctx))
        return [re.sub(r"(\.{3})+", "...", piece) for piece in pieces]  # some versions add their own dots

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `offer_only`."""
        offer_only(ctx)
        return super().parse_args(ctx, args)


def offer_only(ctx: Any) -> None:
    """Leave values as they are typed where a shell only asks how a line may go on.

    Reading them would load what typer reads them with, and call what options call, such as what prints the version.
    """
    if ctx.resilient_parsing:
        for parameter in ctx.command.get_params(ctx):
            parameter.process_value = _as_typed


def _as_typed(ctx: Any, value: Any) -> Any:
    del ctx
    return value


def count(option: str, least: int = 1, most: int | None = None) -> Count:
    """Return what reads a whole number from `least` to `most`, or of at least `least`."""
    return Count(option, least, most)


def number(option: str, low: float, high: float = inf, closed: bool = False) -> Number:
    """Return what reads a finite number from low to high, high itself included only if `closed`."""
    return Number(option, low, high, closed)

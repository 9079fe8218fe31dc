"""Values of options: how each is read, what a TOML file may give for it, and that as JSON Schema.

A file's value is taken if `takes` finds it of the right sort, and if what reads the typed text then takes it too.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import typer

from nnx.errors import shown

# What a wrong command line raises. Its module depends on the version of typer, which carries click or imports it.
UsageError: type[Exception] = next(kind for kind in typer.BadParameter.mro() if kind.__name__ == "UsageError")

Schema = dict[str, Any]


class Text:
    """Any text; what an option takes that says nothing else.

    Attributes:
        wanted: what a file must give, in words.
    """

    __name__ = "TEXT"  # some versions of typer ask every parser for one
    wanted = "a text"

    def __call__(self, typed: Any) -> Any:
        """Read what was typed.

        Raises:
            UsageError: it is not what the option takes.
        """
        return typed

    def takes(self, value: Any) -> bool:
        """Tell whether a value of a file is of the right sort."""
        return isinstance(value, str)

    def as_typed(self, value: Any) -> Any:
        """Return what stands on a command line in place of such a value."""
        return value

    def schema(self) -> Schema:
        """Return the JSON Schema of such values."""
        return {"type": "string"}


class Flag(Text):
    """An option that is there or not."""

    wanted = "true or false"

    def takes(self, value: Any) -> bool:
        """See `Text`."""
        return isinstance(value, bool)

    def schema(self) -> Schema:
        """See `Text`."""
        return {"type": "boolean"}


class Ending(Text):
    """The name of a file of one format."""

    def __init__(self, ending: str) -> None:
        """Take the ending, with its dot."""
        self.ending = ending

    def __call__(self, typed: Any) -> Path:
        """See `Text`; whether it ends so is for the command to say."""
        return Path(typed)

    def schema(self) -> Schema:
        """See `Text`; a file that is called nothing but ".svg" has no ending."""
        return {"type": "string", "pattern": rf"[^/\\]\{self.ending}$"}


class OneOf(Text):
    """One of some names; where it is another, whoever looks it up suggests the nearest."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names."""
        self.names = tuple(names)

    def complete(self, incomplete: str) -> list[str]:
        """Return the names that begin with what has been typed of one."""
        return [name for name in self.names if name.startswith(incomplete)]

    def schema(self) -> Schema:
        """See `Text`."""
        return {"type": "string", "enum": list(self.names)}


class Count(Text):
    """A whole number from `least` to `most`, or of at least `least`."""

    def __init__(self, option: str, least: int, most: int | None) -> None:
        """Take the option, for its mistakes, and the range."""
        self.option, self.least, self.most = option, least, most
        self.wanted = f"a whole number {f'of at least {least}' if most is None else f'from {least} to {most}'}"

    def __call__(self, typed: Any) -> int:
        """See `Text`."""
        try:
            value = int(typed)
        except ValueError:
            value = self.least - 1
        if value < self.least or (self.most is not None and value > self.most):
            raise UsageError(f"{self.option} must be {self.wanted}, got {shown(typed)}.")
        return value

    def takes(self, value: Any) -> bool:
        """See `Text`; as in JSON, 3.0 is a whole number."""
        return is_whole(value)

    def as_typed(self, value: Any) -> Any:
        """See `Text`."""
        return int(value)

    def schema(self) -> Schema:
        """See `Text`."""
        return {"type": "integer", "minimum": self.least} | ({} if self.most is None else {"maximum": self.most})


class Number(Text):
    """A finite number from `low` to `high`, `high` itself included only if `closed`."""

    def __init__(self, option: str, low: float, high: float, closed: bool) -> None:
        """Take the option, for its mistakes, and the range."""
        self.option, self.low, self.high, self.closed = option, low, high, closed
        within = f"in [{low:g}, {high:g}{']' if closed else ')'}"
        self.wanted = f"a number {within if isfinite(high) else f'of at least {low:g}'}"

    def __call__(self, typed: Any) -> float:
        """See `Text`."""
        try:
            value = float(typed)
        except (ValueError, OverflowError):
            value = nan  # which lies in no range
        if not (self.low <= value < self.high or (self.closed and value == self.high)):
            raise UsageError(f"{self.option} must be {self.wanted}, got {shown(typed)}.")
        return value

    def takes(self, value: Any) -> bool:
        """See `Text`."""
        return isinstance(value, int | float) and not isinstance(value, bool)

    def schema(self) -> Schema:
        """See `Text`."""
        end = {} if self.high == inf else {"maximum" if self.closed else "exclusiveMaximum": self.high}
        return {"type": "number", "minimum": self.low, **end}


class Units(Text):
    """Whole numbers of at least 1, separated by commas; none at all is fine. A file may give an array of them."""

    wanted = "an array of whole numbers, one of them, or a text such as '20,7,5'"

    def takes(self, value: Any) -> bool:
        """See `Text`."""
        return isinstance(value, str) or all(map(is_whole, value if isinstance(value, list) else [value]))

    def as_typed(self, value: Any) -> Any:
        """See `Text`."""
        if isinstance(value, str):
            return value
        return ",".join(str(int(item)) for item in (value if isinstance(value, list) else [value]))

    def schema(self) -> Schema:
        """See `Text`."""
        one = {"type": "integer", "minimum": 1}
        text = r"^\s*(0*[1-9][0-9]*\s*(,\s*0*[1-9][0-9]*\s*)*)?$"
        return {"anyOf": [{"type": "array", "items": one}, {"type": "string", "pattern": text}, one]}


class Size(Text):
    """A number of examples, or "full" for all."""

    wanted = "a whole number of at least 1, or 'full'"

    def takes(self, value: Any) -> bool:
        """See `Text`."""
        return isinstance(value, str) or is_whole(value)

    def as_typed(self, value: Any) -> Any:
        """See `Text`."""
        return value if isinstance(value, str) else str(int(value))

    def schema(self) -> Schema:
        """See `Text`."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^\s*(full|0*[1-9][0-9]*)\s*$"},
            ]
        }


def is_whole(value: object) -> bool:
    """Tell whether a value is a whole number, be it written as one or as 3.0."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )

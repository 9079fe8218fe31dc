"""What an example gives back."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | float


@dataclass(frozen=True)
class Outcome:
    """A trained example, in numbers and words.

    Attributes:
        figures: what was measured, by name; accuracies in [0, 1], losses in nats, times in seconds.
        table: rows of a small table, each by the names of its columns; may be empty.
        text: what the model wrote; may be empty.
    """

    figures: dict[str, Cell]
    table: tuple[dict[str, Cell], ...] = ()
    text: str = ""

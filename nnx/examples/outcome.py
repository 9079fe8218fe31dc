"""What an example gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

import nnx

Cell = str | float
Row = dict[str, Cell]


@dataclass(frozen=True)
class Outcome:
    """A trained example, in numbers and words.

    Attributes:
        model: what was trained.
        figures: what was measured, by name; accuracies in [0, 1], losses in nats, times in seconds.
        notes: sentences that say what the figures mean; may be empty.
        tables: small tables by their titles, in rows, each by the names of its columns; may be empty.
        text: what the model wrote; may be empty.
    """

    model: nnx.Sequential
    figures: Row
    notes: tuple[str, ...] = ()
    tables: dict[str, tuple[Row, ...]] = field(default_factory=dict)
    text: str = ""

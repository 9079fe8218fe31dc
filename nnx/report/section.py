"""One file's part of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """What a page says of a file.

    Attributes:
        kind: what it is, in a word.
        body: HTML.
        figures: what runs are compared by, as they are shown, by name.
    """

    kind: str
    body: str
    figures: Mapping[str, str] = field(default_factory=dict)

"""What training measured, as pictures and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from nnx.errors import excerpt
from nnx.learning_curve import HEIGHT, WIDTH, Curve, draw_learning_curves
from nnx.pages.parts import picture

Measurements = Mapping[str, Sequence[float]]

HEADINGS = "measurement", "last", "best", "in epoch"
NUMBERS = HEADINGS[1:]

MOST_ROWS = 60
"""Of the table of measurements; training itself makes six."""

_NEITHER = ("learning_rate", "seconds")
"""What is neither better nor worse."""


def pictures(measured: Measurements, attributes: str = "") -> Iterator[str]:
    """Yield the learning curves, one picture for the loss and one for the accuracy, as far as they were measured.

    Args:
        measured: one list per name, one entry per epoch.
        attributes: what else stands in the tag of each, as HTML.
    """
    for quantity in ("loss", "accuracy"):
        curves = [
            Curve(label, measured[name], dashed=label == "validation")
            for label, name in (("training", quantity), ("validation", f"val_{quantity}"))
            if any(map(math.isfinite, measured.get(name, ())))
        ]
        if curves:
            title = f"{quantity.capitalize()} over the epochs"
            image = draw_learning_curves(curves, title, quantity).encode()
            yield picture(image, "svg+xml", title, (WIDTH, HEIGHT), attributes)


def rows(measured: Measurements) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row below `HEADINGS` for each measurement: accuracies are best when largest, others when smallest."""
    for name, values in list(measured.items())[:MOST_ROWS]:
        if values:
            yield excerpt(name, 60), f"{values[-1]:.4g}", *_best(name, values)
    if len(measured) > MOST_ROWS:
        yield f"and {len(measured) - MOST_ROWS} more", "", "", ""


def _best(name: str, values: Sequence[float]) -> tuple[str, str]:
    sign = -1 if name.endswith("accuracy") else 1
    finite = [(sign * value, epoch) for epoch, value in enumerate(values, start=1) if math.isfinite(value)]
    if name in _NEITHER or not finite:
        return "", ""
    best, epoch = min(finite)
    return f"{sign * best:.4g}", f"{epoch:,}"

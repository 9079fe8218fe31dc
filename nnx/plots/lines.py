"""How curves, their bands and the values published of them are drawn, and the axes that they are drawn on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.plots.drawing import DARK, LINES, MARKERS, colour, cycled, wrapped
from nnx.plots.runs import Band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC_FROM = 20.0
"""Largest over smallest value from which the vertical axis is logarithmic."""

SHADE, EDGE_SHADE, EDGE = 0.15, 0.7, 0.7
"""How opaque bands and their edges are, and how wide the edges, in points: they tell apart what lies on another."""

FEW_POINTS = 12
"""So many points or fewer are all marked."""

MARK_EVERY = 0.12
"""How far apart the marks are on a line of more points, as a share of the picture's diagonal."""

APART = 0.045
"""How far apart published values must be to be marked one above the other, as a share of the axis."""

_NAME = 2.6
"""Inches: the longest line in the name of an axis."""

_LEAST_NUMBERS, _MOST_NUMBERS = 4, 9
"""On a logarithmic axis."""


def handle(index: int) -> Any:
    """Return what stands for a series in the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **_look(index))


def band_handle() -> Any:
    """Return what stands for all bands in the legend; like that of no series."""
    from matplotlib.patches import Patch

    return Patch(facecolor="white", edgecolor=DARK, linewidth=EDGE)


def line_handle() -> Any:
    """Return what stands for all lines in the legend; like that of no series."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=DARK, linewidth=EDGE)


def mark_handle() -> Any:
    """Return what stands for all published values in the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", **{**_HOLLOW, "markeredgecolor": DARK})


def _look(index: int) -> dict[str, Any]:
    return {
        "color": colour(index),
        "linestyle": cycled(LINES, index),
        "linewidth": 1.8,
        "marker": cycled(MARKERS, index),
        "markersize": 5,
    }


_HOLLOW: dict[str, Any] = {
    "linestyle": "none",
    "markersize": 7,
    "markerfacecolor": "white",
    "markeredgewidth": 1.8,
}


def draw_band(axes: Axes, band: Band, index: int) -> None:
    """Draw the median as a line, and the range around it, if there is more than one run."""
    from matplotlib.colors import to_rgba

    first = MARK_EVERY * (index % len(MARKERS)) / len(MARKERS)  # so that marks of curves on one another are apart
    marked = None if band.steps.size <= FEW_POINTS else (first, MARK_EVERY)
    axes.plot(band.steps, band.middle, markevery=marked, **_look(index))
    if band.runs > 1 and band.steps.size > 1:
        shade, edge = (to_rgba(colour(index), alpha) for alpha in (SHADE, EDGE_SHADE))
        axes.fill_between(band.steps, band.low, band.high, facecolor=shade, edgecolor=edge, linewidth=EDGE)
    elif band.runs > 1:
        axes.vlines(band.steps, band.low, band.high, color=colour(index), alpha=2 * SHADE, linewidth=6)


def draw_marks(axes: Axes, marks: Sequence[tuple[int, float]]) -> None:
    """Draw each (series, value) as a hollow mark right of the axes; those too near to one another side by side."""
    columns: list[list[float]] = []
    for index, value in marks:
        height = _height(axes, value)
        free = [place for place, taken in enumerate(columns) if all(abs(height - other) > APART for other in taken)]
        column = free[0] if free else len(columns)
        if not free:
            columns.append([])
        columns[column].append(height)
        axes.plot(
            [1.03 + 0.03 * column],
            [value],
            transform=axes.get_yaxis_transform(),
            clip_on=False,
            marker=cycled(MARKERS, index),
            markeredgecolor=colour(index),
            **_HOLLOW,
        )


def _height(axes: Axes, value: float) -> float:
    """Return where a value is on the vertical axis, from 0 to 1."""
    scale = math.log if axes.get_yscale() == "log" else float
    low, high = axes.get_ylim()
    return (scale(value) - scale(low)) / (scale(high) - scale(low))


def spans_much(values: Sequence[float], quantity: str) -> bool:
    """Return whether the values are better told apart on a logarithmic axis; never those of an accuracy."""
    low, high = min(values), max(values)
    return "accuracy" not in quantity.lower() and low > 0 and high / low >= LOGARITHMIC_FROM


def finish(axes: Axes, quantity: str, across: str, values: Sequence[float], logarithmic: bool) -> None:
    """Name the axes, and choose their ends and numbers for the values that are drawn."""
    from matplotlib.ticker import MaxNLocator

    axes.grid(True, axis="y")
    axes.set_xlabel(wrapped(str(across), _NAME))
    axes.set_ylabel(wrapped(f"{quantity} (logarithmic)" if logarithmic else str(quantity), _NAME))
    steps = np.concatenate([np.asarray(line.get_xdata(), float) for line in axes.get_lines()])
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=bool((steps == np.floor(steps)).all()), min_n_ticks=1)
    )
    if logarithmic:
        _finish_logarithmic(axes, min(values), max(values))
    else:
        low, high = min(values), max(values)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        axes.set_ylim(0.0 if 0 <= low < high / 2 else low - room, high + room)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))


def _finish_logarithmic(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import NullLocator

    room = max((high / low) ** 0.05, 1.02)
    axes.set_ylim(low / room, high * room)  # before the scale, which would look for ends of its own
    axes.set_yscale("log")
    numbers = logarithmic_numbers(low / room, high * room)
    axes.set_yticks(numbers, [f"{number:g}" for number in numbers])
    axes.yaxis.set_minor_locator(NullLocator())


def logarithmic_numbers(low: float, high: float) -> list[float]:
    """Return some round numbers between two positive ones, as evenly spread on a logarithmic axis as they come."""
    from matplotlib.ticker import MaxNLocator

    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = -(-(last - first) // _MOST_NUMBERS)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        numbers = [factor * 10.0**power for power in range(first, last + 1, stride) for factor in factors]
        inside = [number for number in numbers if low <= number <= high]
        if len(inside) >= _LEAST_NUMBERS:
            return inside
    return [float(number) for number in MaxNLocator(nbins=6).tick_values(low, high) if low <= number <= high]

"""The time of a dot product over the length of its vectors, drawn."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nnx.experiments.experiment import Picture
from nnx.experiments.result import Curve
from nnx.learning_curve import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^v"
"""A shape for each line, so that they can be told apart without colours too."""

TITLE = "Time of one dot product"
CAPTION = (
    "The time of one dot product over the numbers in each vector; both axes are logarithmic. Lines are medians "
    "over the seeds, bands reach from the fastest to the slowest. Where a line is level, calling the engine costs more "
    "than computing; vectors pay to the right of where its line crosses those of the loops."
)


def times_over_lengths(rows: Mapping[str, Sequence[Curve]]) -> Picture:
    """Draw the seconds over the lengths, one line per row."""
    return Picture("time-over-length", TITLE, CAPTION, _drawn(rows))


def _drawn(rows: Mapping[str, Sequence[Curve]]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for (name, curves), colour, marker in zip(rows.items(), PALETTE, _MARKERS, strict=False):
        _draw_line(axes, name, curves, colour, marker)
    axes.set(xscale="log", yscale="log", xlabel="numbers in each vector", ylabel="seconds", title=TITLE)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", frameon=False)
    return figure


def _draw_line(axes: Axes, name: str, curves: Sequence[Curve], colour: str, marker: str) -> None:
    lengths = list(curves[0].steps)
    values = list(zip(*(curve.values for curve in curves), strict=True))
    axes.plot(lengths, [statistics.median(each) for each in values], color=colour, marker=marker, label=name)
    axes.fill_between(
        lengths,
        [min(each) for each in values],
        [max(each) for each in values],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )

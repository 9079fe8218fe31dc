"""The picture of runs that were ended at different moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnx.experiments.result import Curve
from nnx.plots.drawing import DARK, LINES, MARKERS, colour, cycled, legend_below, page
from nnx.plots.lines import draw_marks, finish, handle, mark_handle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THIN = 1.0
"""Points: how wide the line of one run is."""


def drawn_until_ended(lines: Mapping[str, Sequence[Curve]], published: Mapping[str, float], name: str) -> Figure:
    """Draw every run of every row as a thin line with a mark at its end.

    A median over runs of different lengths would jump wherever one of them ends.

    Args:
        lines: the runs by the names of rows.
        published: by row, a value to mark at the right end.
        name: of the quantity, beside its axis.
    """
    values = [value for runs in lines.values() for run in runs for value in run.values]
    with page(7.2, 4.0, None, "") as figure:
        axes = figure.add_subplot()
        for index, runs in enumerate(lines.values()):
            for run in runs:
                _draw(axes, run, index)
        finish(axes, name, "epoch", [*values, *published.values()], logarithmic=False)
        draw_marks(axes, [(list(lines).index(row), value) for row, value in published.items()])
        legend_below(figure, _entries(lines, bool(published)))
    return figure


def _draw(axes: Axes, run: Curve, index: int) -> None:
    axes.plot(run.steps, run.values, color=colour(index), linestyle=cycled(LINES, index), linewidth=THIN)
    axes.plot(run.steps[-1:], run.values[-1:], marker=cycled(MARKERS, index), markersize=6, color=colour(index))


def _entries(lines: Mapping[str, Sequence[Curve]], published: bool) -> list[tuple[Any, str]]:
    from matplotlib.lines import Line2D

    entries = [(handle(index), row) for index, row in enumerate(lines)]
    entries.append((Line2D([], [], color=DARK, linewidth=THIN), "one run, to its end"))
    if published:
        entries.append((mark_handle(), "hollow, at the right: published value"))
    return entries

"""Where two engines part, over the kernel calls of a training step: as a picture and as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnx.errors import DataError
from nnx.pages import notebooks
from nnx.plots.drawing import DARK, MARKERS, colour, legend_below, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nnx.difference import Difference, Part

HEADINGS = "place", "kernel", "step", "worst array", "ulps"
NUMBERS = "step", "ulps"
"""Of the table that shows a difference, and which of its columns are numbers."""

_PHASES = ("batch", "forward", "loss", "backward", "update")
_ROOM = 0.4
"""How far beyond the last place of a number, as a power of ten, what agrees exactly is drawn."""


def rows(found: Difference) -> list[tuple[str, ...]]:
    """Return the cells of a table of `Difference.worst`, below `HEADINGS`, without what agrees exactly."""
    return [
        (part.place, part.kernel, str(part.step), part.what, f"{part.ulps:.3g}")
        for part in found.worst()
        if part.ulps > 0
    ]


def text(found: Difference) -> str:
    """Return the finding and the table as lines for a terminal."""
    table = [HEADINGS, *rows(found)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in table if len(table) > 1)
    return "\n".join([repr(found)[1:-1], *lines])


def markup(found: Difference) -> str:
    """Return the finding and the table as HTML for a notebook."""
    cells, finding = rows(found), repr(found)[1:-1]
    return notebooks.table(HEADINGS, cells, NUMBERS, finding) if cells else notebooks.text(finding)


def difference(found: Difference, path: str | Path | None = None, *, title: str = "") -> Figure:
    """Draw by how many ulps two engines differ after each kernel call, over all calls of all steps.

    Args:
        found: what `nnx.diff` returned.
        path: where to write the picture; None for nowhere.
        title: a heading; by default what was found, in a sentence.

    Raises:
        DataError: nothing was compared.
        OptionError: the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> model = nnx.Sequential([nnx.Dense(3, "tanh"), nnx.Dense(1)]).compile("mean_squared_error")
        >>> found = nnx.diff(model, ([[0.0, 1.0]], [[2.0]]), "numpy", "generic:numpy")
        >>> nnx.plots.difference(found).axes[0].get_xlabel()
        'kernel call'
    """
    calls = _worst_of_calls(found.parts)
    if not calls:
        raise DataError("found must hold at least one comparison, got none; run nnx.diff for at least one step.")
    with page(7.2, 3.6, path, title or repr(found)[1:-1]) as figure:
        axes = figure.add_subplot()
        entries = [(_draw_phase(axes, calls, phase), phase) for phase in _PHASES if _numbers(calls, phase)]
        limit = axes.axhline(found.tolerance, color=DARK, linestyle="--", linewidth=1)
        _label(axes, calls, found.tolerance)
        legend_below(figure, [*entries, (limit, "tolerance")])
    return figure


def _worst_of_calls(parts: Sequence[Part]) -> list[Part]:
    worst: dict[tuple[int, int], Part] = {}
    for part in parts:
        key = part.step, part.call
        if key not in worst or part.ulps > worst[key].ulps:
            worst[key] = part
    return list(worst.values())


def _numbers(calls: Sequence[Part], phase: str) -> list[int]:
    return [number for number, part in enumerate(calls) if part.place.rpartition(" ")[2] == phase]


def _draw_phase(axes: Axes, calls: Sequence[Part], phase: str) -> object:
    index, numbers = _PHASES.index(phase), _numbers(calls, phase)
    heights = [min(calls[number].ulps, _highest(calls)) for number in numbers]
    (line,) = axes.plot(numbers, heights, MARKERS[index], color=colour(index), markersize=5, linestyle="none")
    return line


def _highest(calls: Sequence[Part]) -> float:
    """Return where what is infinitely far apart is drawn."""
    return 100 * max((part.ulps for part in calls if math.isfinite(part.ulps)), default=1.0) + 100


def _label(axes: Axes, calls: Sequence[Part], tolerance: float) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_yscale("symlog", linthresh=1, linscale=_ROOM)
    axes.set_ylim(-0.3, 3 * max(tolerance, *(min(part.ulps, _highest(calls)) for part in calls)))
    axes.set_ylabel("largest difference, ulps")
    axes.set_xlabel("kernel call")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.grid(axis="y")
    for step in {part.step for part in calls} - {0}:
        axes.axvline(next(n for n, part in enumerate(calls) if part.step == step) - 0.5, color=DARK, linewidth=0.5)

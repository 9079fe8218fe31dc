"""Accuracies side by side, beside what was published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.checks import check_number
from nnx.errors import DataError, UnknownNameError
from nnx.plots.drawing import DARK, HATCHES, LINE, colour, cycled, legend_below, page, wrapped
from nnx.plots.given import Host, filled, finite_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR, _GAP = 0.24, 0.2
"""Inches of height: of a bar, and between groups."""

_NAMES = 2.4
"""Inches: the most width that the names of groups take."""


def accuracy_bars(
    measured: Mapping[str, Mapping[str, Sequence[float]]],
    path: str | Path | None = None,
    *,
    published: Mapping[str, Mapping[str, float]] | None = None,
    title: str = "",
) -> Figure:
    """Draw accuracies as bars in groups: the bar is the median, the whisker goes from the lowest to the highest.

    Args:
        measured: by group, such as a row of a table, and by name, such as "test accuracy": the accuracies of all
            runs, in [0, 1]. A group need not have all names.
        path: where to write the picture; None for nowhere.
        published: by group and name, an accuracy to mark.
        title: a heading.

    Raises:
        DataError: nothing measured, or values that are not in [0, 1].
        UnknownNameError: a published value of what was not measured.
        OptionError: not mappings; the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> measured = {"zeros": {"test accuracy": [0.34]}, "He": {"test accuracy": [0.7, 0.72, 0.74]}}
        >>> figure = nnx.plots.accuracy_bars(measured, published={"He": {"test accuracy": 0.72}})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['zeros', 'He']
    """
    found = {group: _shares(own, f"measured[{group!r}]") for group, own in _groups(measured, "measured")}
    marks = {} if published is None else dict(_marks(published, found))
    names = list(dict.fromkeys(name for group in found.values() for name in group))
    lines = [wrapped(str(group), _NAMES) for group in found]
    heights = [
        max(len(group) * _BAR, (1 + text.count("\n")) * LINE)
        for group, text in zip(found.values(), lines, strict=True)
    ]
    total = sum(heights) + _GAP * len(heights)
    middles = np.cumsum(heights) + _GAP * np.arange(len(heights)) + _GAP / 2 - np.array(heights) / 2
    with page(7.2, total + 0.8, path, title) as figure:
        axes = figure.add_subplot()
        for (group, own), middle in zip(found.items(), middles, strict=True):
            _draw_group(axes, own, marks.get(group, {}), names, float(middle))
        _finish(axes, middles, lines, total)
        several = any(values.size > 1 for own in found.values() for values in own.values())
        legend_below(figure, _entries(names, several, bool(marks)))
    return figure


def _groups(given: Any, argument: str) -> Iterator[tuple[Any, Mapping[Any, Any]]]:
    for group, own in filled(given, argument, "groups to mappings").items():
        yield group, filled(own, f"{argument}[{group!r}]", "names to accuracies")


def _shares(given: Mapping[Any, Any], argument: str) -> dict[Any, Host]:
    shares = {}
    for name, values in given.items():
        shares[name] = np.atleast_1d(finite_array(values, f"{argument}[{name!r}]")).ravel()
        outside = shares[name][(shares[name] < 0) | (shares[name] > 1)]
        if outside.size:
            raise DataError(
                f"{argument}[{name!r}] must hold accuracies in [0, 1], got {outside[0]:g}; divide percents by 100."
            )
    return shares


def _marks(published: Any, found: Mapping[str, Mapping[str, Host]]) -> Iterator[tuple[Any, dict[Any, float]]]:
    for group, own in _groups(published, "published"):
        if group not in found:
            raise UnknownNameError("group in published", group, map(str, found))
        for name in own:
            if name not in found[group]:
                raise UnknownNameError(f"name in published[{group!r}]", name, map(str, found[group]))
        yield (
            group,
            {
                name: check_number(f"published[{group!r}][{name!r}]", value, 0, 1, open_high=False)
                for name, value in own.items()
            },
        )


def _draw_group(
    axes: Axes, found: Mapping[str, Host], marks: Mapping[str, float], names: Sequence[str], middle: float
) -> None:
    """Draw the bars of a group around the middle, which is in inches from the top."""
    present = [name for name in names if name in found]
    for place, name in enumerate(present):
        y, values, index = middle + (place - (len(present) - 1) / 2) * _BAR, found[name], names.index(name)
        axes.barh(y, np.median(values), height=0.85 * _BAR, **_look(index))
        if values.size > 1:
            _draw_whisker(axes, y, float(values.min()), float(values.max()))
        axes.text(1.04, y, f"{100 * np.median(values):.1f} %", transform=axes.get_yaxis_transform(), va="center")
        if name in marks:
            axes.plot([marks[name]], [y], **_MARK)


def _draw_whisker(axes: Axes, y: float, low: float, high: float) -> None:
    """Draw a range, in front of white, since it would not show on a black bar."""
    white: dict[str, Any] = {"color": "white", "linewidth": 4.0, "clip_on": False}
    axes.hlines(y, low, high, **white)
    axes.vlines([low, high], y - _CAP / 2, y + _CAP / 2, **white)
    axes.plot([low, high], [y, y], clip_on=False, **_WHISKER)


_CAP = 0.13
"""Inches: the height of the white behind the ends of a whisker."""

_WHISKER: dict[str, Any] = {"color": DARK, "marker": "|", "markersize": 7, "linewidth": 1.4}
_MARK: dict[str, Any] = {
    "marker": "D",
    "markersize": 6,
    "markerfacecolor": "white",
    "markeredgecolor": DARK,
    "markeredgewidth": 1.4,
    "linestyle": "none",
    "zorder": 3,
    "clip_on": False,
}


def _look(index: int) -> dict[str, Any]:
    return {"facecolor": colour(index), "hatch": cycled(HATCHES, index), "edgecolor": "white", "linewidth": 0}


def _finish(axes: Axes, middles: Host, lines: Sequence[str], bottom: float) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set_ylim(bottom, 0.0)
    axes.set_yticks(middles.tolist(), lines)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid(True, axis="x")


def _entries(names: Sequence[str], several: bool, published: bool) -> list[tuple[Any, str]]:
    """Return what the legend is to say."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    said = ", median" if several else ""
    entries: list[tuple[Any, str]] = [(Patch(**_look(index)), f"{name}{said}") for index, name in enumerate(names)]
    if several:
        entries.append((Line2D([], [], **_WHISKER), "lowest to highest"))
    if published:
        entries.append((Line2D([], [], **_MARK), "published"))
    return entries

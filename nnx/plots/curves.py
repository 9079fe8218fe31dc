"""Quantities over the course of training, of one run or of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.checks import check_flag
from nnx.errors import DataError, ShapeError, UnknownNameError
from nnx.history import History
from nnx.plots.drawing import DARK, LINES, MARKERS, colour, cycled, legend_below, page, plain
from nnx.plots.given import filled, finite_array, host_array
from nnx.plots.runs import Band, band_of, clean, extent_of, read_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOGARITHMIC_FROM = 20.0
"""Largest over smallest value from which the vertical axis is logarithmic."""

SHADE = 0.2
MARK_EVERY = 0.12
"""How far apart the marks on a line are, as a share of the picture's diagonal."""

APART = 0.045
"""How far apart published values must be to be marked one above the other, as a share of the picture's height."""

FEW_DECADES = 1e3
"""Largest over smallest value below which a logarithmic axis has numbers between the powers of ten."""

_VALIDATION = "val_"


def history(history: History | Mapping[str, Any], path: str | Path | None = None, *, title: str = "") -> Figure:
    """Draw the loss, and the accuracy where it was measured, over the epochs; of validation data dashed.

    Args:
        history: what `fit` returned, or lists of one number per epoch by the same names: "loss", "accuracy",
            "val_loss", "val_accuracy".
        path: where to write the picture; None for nowhere.
        title: a heading.

    Returns:
        The figure, one panel for each of the two quantities.

    Raises:
        DataError: there is no measurement in it that is finite.
        OptionError: the path cannot be written to.
        NnxError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.history({"loss": [0.7, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.5]})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss']
    """
    given = filled(history, "history", "names to one number per epoch")
    drawn = {name: found for name in ("loss", "accuracy") if (found := _measured(given, name))}
    if not drawn:
        raise DataError("history must hold a loss or an accuracy that is finite, got none; train for an epoch.")
    with page(4.4 * len(drawn) + 1.2 * (len(drawn) == 1), 3.4, path, title) as figure:
        for place, (name, found) in enumerate(drawn.items(), start=1):
            axes = figure.add_subplot(1, len(drawn), place)
            for label, band in found.items():
                _draw_band(axes, band, 0 if label == "training" else 1)
            _finish(axes, name, "epoch", _spans_much(extent_of(found.values()), name))
        labels = list(dict.fromkeys(label for found in drawn.values() for label in found))
        legend_below(figure, [(_handle(0 if label == "training" else 1), label) for label in labels])
    return figure


def _measured(given: Mapping[str, Any], name: str) -> dict[str, Band]:
    bands = {}
    for label, key in (("training", name), ("validation", _VALIDATION + name)):
        values = host_array(given[key] if key in given else [], f"history[{key!r}]")
        if values.ndim != 1:
            raise ShapeError(f"history[{key!r}] must have shape (epochs,), got {values.shape}.")
        if np.isfinite(values.astype(float)).any():
            bands[label] = band_of([clean(np.arange(1, values.size + 1), values)])
    return bands


def learning_curves(
    curves: Mapping[str, Sequence[Any]],
    path: str | Path | None = None,
    *,
    quantity: str = "loss",
    across: str = "epoch",
    published: Mapping[str, float] | None = None,
    logarithmic: bool | None = None,
    title: str = "",
) -> Figure:
    """Draw one line per label, the median over its runs, in a band from the lowest to the highest.

    Runs may be of different lengths, and measured at different steps: between its own measurements, a run is taken
    to be a straight line, and before its first and after its last it does not count. Values that are not finite are
    left out.

    Args:
        curves: for each label its runs: (steps, values), each (S,), the steps rising; or what `fit` returned, of
            which the quantity is taken.
        path: where to write the picture; None for nowhere.
        quantity: the name of the vertical axis.
        across: the name of the horizontal axis.
        published: by label, a value to mark at the right end.
        logarithmic: whether equal factors take equal room on the vertical axis; by default if all values are
            positive and the largest is at least 20 times the smallest, but never for an accuracy.
        title: a heading.

    Raises:
        DataError: no runs, a run without a finite value, steps that do not rise, or values that are not positive
            for a logarithmic axis.
        ShapeError: steps and values of different lengths.
        OptionError: a published value of a label that has no curve; the path cannot be written to.
        NnxError: matplotlib is not installed.

    Examples:
        >>> runs = [([0, 10, 20], [0.7, 0.4, 0.2]), ([0, 10], [0.7, 0.6])]
        >>> figure = nnx.plots.learning_curves({"He": runs}, published={"He": 0.06})
        >>> figure.axes[0].get_xlabel()
        'epoch'
    """
    filled(curves, "curves", "labels to runs")
    bands = {label: band_of(read_runs(runs, f"curves[{label!r}]", quantity)) for label, runs in curves.items()}
    marks = _check_published(published, bands)
    logarithm = _check_logarithmic(logarithmic, [*extent_of(bands.values()), *marks.values()], quantity)
    with page(7.2, 4.0, path, title) as figure:
        axes = figure.add_subplot()
        for index, band in enumerate(bands.values()):
            _draw_band(axes, band, index)
        _finish(axes, quantity, across, logarithm)
        _draw_published(axes, [(list(bands).index(label), value) for label, value in marks.items()])
        legend_below(figure, _entries(bands, bool(marks)))
    return figure


def _check_published(published: Any, bands: Mapping[str, Band]) -> dict[str, float]:
    marks = {}
    for label, value in ({} if published is None else published).items():
        if label not in bands:
            raise UnknownNameError("label in published", label, map(str, bands))
        marks[label] = float(finite_array(value, f"published[{label!r}]").reshape(()))
    return marks


def _spans_much(values: Sequence[float], quantity: str) -> bool:
    low, high = min(values), max(values)
    return "accuracy" not in quantity and low > 0 and high / low >= LOGARITHMIC_FROM


def _check_logarithmic(wanted: object, values: Sequence[float], quantity: str) -> bool:
    if wanted is None:
        return _spans_much(values, quantity)
    logarithmic = check_flag("logarithmic", wanted)
    if logarithmic and min(values) <= 0:
        raise DataError(
            f"logarithmic=True needs values above 0, got {min(values):g} among them; leave it out or pass False."
        )
    return logarithmic


def _entries(bands: Mapping[str, Band], published: bool) -> list[tuple[Any, str]]:
    """Return what the legend is to say."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[tuple[Any, str]] = [(_handle(index), label) for index, label in enumerate(bands)]
    if any(band.runs > 1 for band in bands.values()):
        entries.append(
            (Patch(facecolor=DARK, alpha=SHADE, edgecolor="none"), "line: median, band: lowest to highest")
        )
    if published:
        hollow = Line2D([], [], linestyle="none", marker="o", markerfacecolor="white", markeredgecolor=DARK)
        entries.append((hollow, "published value"))
    return entries


def _look(index: int) -> dict[str, Any]:
    return {"color": colour(index), "linestyle": cycled(LINES, index), "marker": cycled(MARKERS, index)}


def _handle(index: int) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], linewidth=1.8, markersize=5, **_look(index))


def _draw_band(axes: Axes, band: Band, index: int) -> None:
    first = (
        MARK_EVERY * (index % len(MARKERS)) / len(MARKERS)
    )  # the marks of curves on top of one another are apart
    axes.plot(band.steps, band.middle, linewidth=1.8, markersize=5, markevery=(first, MARK_EVERY), **_look(index))
    if band.runs > 1:
        axes.fill_between(band.steps, band.low, band.high, color=colour(index), alpha=SHADE, linewidth=0)


def _draw_published(axes: Axes, marks: Sequence[tuple[int, float]]) -> None:
    """Draw each value as a hollow mark right of the axes, those that would cover one another side by side."""
    from matplotlib.transforms import blended_transform_factory

    heights = axes.transScale.transform([(1.0, value) for _, value in marks]) if marks else []
    bottom, top = axes.transScale.transform([(1.0, limit) for limit in axes.get_ylim()])[:, 1]
    columns: list[list[float]] = []
    for (index, value), (_, height) in zip(marks, heights, strict=True):
        share = (height - bottom) / (top - bottom)
        free = (place for place, taken in enumerate(columns) if all(abs(share - other) > APART for other in taken))
        column = next(free, len(columns))
        columns += [[] for _ in range(column - len(columns) + 1)]
        columns[column].append(share)
        place = blended_transform_factory(axes.transAxes, axes.transData)
        axes.plot(
            [1.03 + 0.03 * column], [value], transform=place, clip_on=False, linestyle="none", markersize=7,
            marker=cycled(MARKERS, index), markerfacecolor="white", markeredgecolor=colour(index), markeredgewidth=1.8,
        )  # fmt: skip


def _finish(axes: Axes, quantity: str, across: str, logarithmic: bool) -> None:
    """Name the axes and choose their numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.grid(True, axis="y")
    axes.set_xlabel(plain(across))
    axes.set_ylabel(plain(f"{quantity} (logarithmic)" if logarithmic else quantity))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=across == "epoch"))
    if logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        few = high / low < FEW_DECADES
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=9))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())

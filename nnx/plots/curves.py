"""Quantities over the course of training, of one run or of many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.checks import check_flag, check_number
from nnx.errors import DataError, ShapeError, UnknownNameError
from nnx.history import History
from nnx.plots.drawing import legend_below, page
from nnx.plots.given import filled, host_array
from nnx.plots.lines import band_handle, draw_band, draw_marks, finish, handle, line_handle, mark_handle, spans_much
from nnx.plots.runs import Band, band_of, each_run, extent_of, finite_part, read_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BANDS = 3
"""Of more labels with several runs, `learning_curves` draws no bands: they would cover one another."""


def history(history: History | Mapping[str, Any], path: str | Path | None = None, *, title: str = "") -> Figure:
    """Draw the loss, the accuracy where it was measured, and what callbacks measured, over the epochs.

    What was measured on validation data, of a name that begins with "val_", is dashed. Values that are not finite
    are left out. The loss has a logarithmic axis where `learning_curves` chooses one.

    Args:
        history: what `fit` returned, or lists of one number per epoch by the same names: "loss", "accuracy",
            "val_loss", "val_accuracy", and any others.
        path: where to write the picture; None for nowhere.
        title: a heading.

    Returns:
        The figure, one panel for each quantity: first loss and accuracy, then the others as they come, without the
        learning rate and the seconds; three to a row.

    Raises:
        DataError: there is no measurement in it that is finite.
        OptionError: the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.history({"loss": [0.7, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.5]})
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss']
    """
    given = filled(history, "history", "names to one number per epoch")
    drawn = {name: found for name in _quantities(given) if (found := _measured(given, name))}
    if not drawn:
        raise DataError("history must hold a measurement that is finite, got none; train for an epoch.")
    across, down = min(len(drawn), _MOST_ACROSS), -(-len(drawn) // _MOST_ACROSS)
    with page(4.4 * across + 1.2 * (across == 1), 3.4 * down, path, title) as figure:
        for place, (name, found) in enumerate(drawn.items(), start=1):
            axes = figure.add_subplot(down, across, place)
            for index, band in found.items():
                draw_band(axes, band, index)
            values = extent_of(found.values())
            finish(axes, name, "epoch", values, spans_much(values, name))
        parts = sorted({index for found in drawn.values() for index in found})
        legend_below(figure, [(handle(index), _PARTS[index][0]) for index in parts])
    return figure


_PARTS = (("training", ""), ("validation", "val_"))
_MOST_ACROSS = 3
"""Panels in a row."""


def _quantities(given: Mapping[str, Any]) -> list[str]:
    """Return what is measured: loss and accuracy, and what callbacks have added, each name once."""
    names = (name.removeprefix("val_") for name in given if name not in ("learning_rate", "seconds"))
    return list(dict.fromkeys(["loss", "accuracy", *names]))


def _measured(given: Mapping[str, Any], name: str) -> dict[int, Band]:
    """Return what was measured on the training data, 0, and on those for validation, 1."""
    bands = {}
    for index, (_, before) in enumerate(_PARTS):
        argument, values = f"history[{before + name!r}]", given.get(before + name, [])
        values = host_array(values, argument)
        if values.ndim != 1:
            raise ShapeError(f"{argument} must have shape (epochs,), got {values.shape}.")
        steps, values = finite_part(np.arange(1, values.size + 1), values)
        if values.size:
            bands[index] = band_of([(steps, values)])
    return bands


def learning_curves(
    curves: Mapping[str, Sequence[Any] | History],
    path: str | Path | None = None,
    *,
    quantity: str = "loss",
    across: str = "epoch",
    published: Mapping[str, float] | None = None,
    logarithmic: bool | None = None,
    title: str = "",
) -> Figure:
    """Draw one line per label, the median over its runs, in a band from the lowest to the highest.

    Where more than three labels have several runs, bands would cover one another and are left out.

    Runs may be of different lengths, and measured at different steps: between its own measurements, a run is taken
    to be a straight line, and before its first and after its last it does not count. Values that are not finite are
    left out.

    Args:
        curves: for each label its runs: (steps, values), each (S,), the steps rising; or what `fit` returned, of
            which the quantity is taken. A flat list of values is one run, measured at the steps 1, 2, 3 and so on.
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
        UnknownNameError: a published value of a label that has no curve, or a History without the quantity.
        OptionError: curves are no mapping to lists; the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> runs = [([0, 10, 20], [0.7, 0.4, 0.2]), ([0, 10], [0.7, 0.6])]
        >>> figure = nnx.plots.learning_curves({"He": runs}, published={"He": 0.06})
        >>> figure.axes[0].get_xlabel()
        'epoch'
    """
    filled(curves, "curves", "labels to runs")
    bands = {label: band_of(read_runs(runs, f"curves[{label!r}]", quantity)) for label, runs in curves.items()}
    marks = _check_published(published, bands)
    drawn = bands if has_bands(curves) else {label: band.line() for label, band in bands.items()}
    values = [*extent_of(drawn.values()), *marks.values()]
    logarithm = _check_logarithmic(logarithmic, values, quantity)
    with page(7.2, 4.0, path, title) as figure:
        axes = figure.add_subplot()
        for index, band in enumerate(drawn.values()):
            draw_band(axes, band, index)
        finish(axes, quantity, across, values, logarithm)
        draw_marks(axes, [(list(bands).index(label), value) for label, value in marks.items()])
        legend_below(figure, _entries(bands, has_bands(curves), bool(marks)))
    return figure


def has_bands(curves: Mapping[str, Sequence[Any] | History]) -> bool:
    """Return whether `learning_curves` draws ranges of these as bands."""
    several = sum(len(each_run(runs)) > 1 for runs in curves.values())
    return 0 < several <= MOST_BANDS


def _check_published(published: Any, bands: Mapping[str, Band]) -> dict[str, float]:
    marks = {}
    for label, value in filled(published, "published", "labels to values").items() if published else ():
        if label not in bands:
            raise UnknownNameError("label in published", label, map(str, bands))
        marks[label] = check_number(f"published[{label!r}]", value, -math.inf, open_low=True)
    return marks


def _check_logarithmic(wanted: object, values: Sequence[float], quantity: str) -> bool:
    if wanted is None:
        return spans_much(values, quantity)
    logarithmic = check_flag("logarithmic", wanted)
    if logarithmic and min(values) <= 0:
        raise DataError(
            f"logarithmic=True needs values above 0, got {min(values):g} among them; leave it out or pass False."
        )
    return logarithmic


def _entries(bands: Mapping[str, Band], banded: bool, published: bool) -> list[tuple[Any, str]]:
    """Return what the legend is to say."""
    entries = [(handle(index), str(label)) for index, label in enumerate(bands)]
    if banded:
        entries.append((band_handle(), "line: median, band: lowest to highest"))
    elif any(band.runs > 1 for band in bands.values()):
        entries.append((line_handle(), "median"))
    if published:
        entries.append((mark_handle(), "hollow, at the right: published value"))
    return entries

"""Which examples were taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_count
from nnx.errors import DataError, ShapeError
from nnx.plots.drawing import LINE, TITLE, lines_in, page, widest_line, wrapped
from nnx.plots.given import Host, class_names, host_array, labels_of, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW, _LARGE_CELL, _LEAST_CELL = 4, 1.0, 0.45
"""So many classes or fewer have large cells; the sides of these and the least side of others, in inches."""

_NAMES = 1.8
"""Inches: the most that names of classes take."""

_DARK_FROM = 0.713
"""The share from which white contrasts with the shade of a cell better than black does, both by 4.5 or more."""

_COLUMNS = 6
_IMAGE, _GAP = 1.15, 0.2
"""Inches: the width of an image, and the room between two."""

_TALLEST = 2.0
"""The most that an image may be higher than the column is wide."""


def confusion_counts(labels: Any, predictions: Any, classes: Sequence[str]) -> NDArray[np.int64]:
    """Count how many examples of each class were taken for which, as `confusion_matrix` draws them.

    Args:
        labels: (N,) the true classes, whole numbers from 0 to C - 1.
        predictions: (N,) the predicted ones.
        classes: C names.

    Returns:
        (C, C): how many of the class of the row were taken for that of the column.

    Raises:
        ShapeError, DataError: labels and predictions are not N such numbers each.
        OptionError: classes are not names.

    Examples:
        >>> nnx.plots.confusion_counts([0, 1, 1], [0, 1, 0], ["no cat", "cat"]).tolist()
        [[1, 0], [1, 1]]
    """
    count = len(class_names(classes))
    true = labels_of(labels, "labels", count, len(labels))
    predicted = labels_of(predictions, "predictions", count, len(true))
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts


def confusion_matrix(
    counts: Any, classes: Sequence[str], path: str | Path | None = None, *, title: str = ""
) -> Figure:
    """Draw how many examples of each class were taken for which; the shade is the share of the row.

    Args:
        counts: (C, C) whole numbers: how many of the class of the row were taken for that of the column.
        classes: C names.
        path: where to write the picture; None for nowhere.
        title: a heading.

    Raises:
        ShapeError: counts are not square, or not one row per class.
        DataError: counts are not whole numbers of at least 0.
        OptionError: classes are not names; the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.confusion_matrix([[16, 1], [6, 27]], ["no cat", "cat"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['16', '1', '6', '27']
    """
    names = class_names(classes)
    table = _check_counts(counts, len(names))
    cell = max(_LEAST_CELL, widest_line(map(str, table.ravel())) + 0.15, _LARGE_CELL if len(names) <= _FEW else 0.0)
    below, upright = _names_below(names, cell)
    beside = [wrapped(name, _NAMES) for name in names]
    side = cell * len(names)
    height = side + (widest_line(below) if upright else lines_in(below) * LINE) + 0.6
    with page(side + widest_line(beside) + 1.7, height, path, title) as figure:
        axes = figure.add_subplot()
        _draw_counts(axes, table, side)
        axes.set_xticks(range(len(names)), below, rotation=90 if upright else 0)
        axes.set_yticks(range(len(names)), beside)
    return figure


def misclassified(
    images: Any,
    labels: Any,
    predictions: Any,
    classes: Sequence[str],
    path: str | Path | None = None,
    *,
    most: int = 24,
    title: str = "",
) -> Figure:
    """Draw a sheet of the images that were taken for another class: under each, true class → predicted class.

    Args:
        images: (N, H, W, 1 or 3) numbers in [0, 1].
        labels: (N,) the true classes, whole numbers of 0 to C - 1.
        predictions: (N,) the predicted classes.
        classes: C names.
        path: where to write the picture; None for nowhere.
        most: how many images at most; the first ones are shown.
        title: a heading.

    Returns:
        The figure; where nothing is misclassified, it says so.

    Raises:
        ShapeError: images of another shape, or not as many labels or predictions as images.
        DataError: images outside of [0, 1], or labels that are no classes.
        OptionError: most is not a whole number of at least 1; the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> images = [[[[0.0], [0.5]], [[1.0], [0.5]]]] * 3
        >>> figure = nnx.plots.misclassified(images, [0, 1, 1], [0, 0, 1], ["cat", "dog"])
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['dog → cat']
    """
    names, limit = class_names(classes), check_count("most", most)
    pictures = _check_images(images)
    true = labels_of(labels, "labels", len(names), len(pictures))
    predicted = labels_of(predictions, "predictions", len(names), len(pictures))
    wrong = np.flatnonzero(true != predicted)
    shown = wrong[:limit]
    captions = [_caption(names[true[index]], names[predicted[index]]) for index in shown]
    with page(_COLUMNS * (_IMAGE + _GAP) + _GAP, 0.0, path, title) as figure:
        figure.set_layout_engine("none")
        note = wrapped(_headline(len(wrong), len(shown), len(true)), figure.get_figwidth() - 2 * _GAP)
        _draw_sheet(figure, pictures[shown], captions, note)
    return figure


def _check_counts(counts: Any, classes: int) -> Host:
    table = whole_numbers(counts, "counts")
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ShapeError(
            f"counts must be square, (C, C), got shape {table.shape}; confusion_counts(labels, predictions, "
            "classes) makes them."
        )
    if len(table) != classes:
        raise ShapeError(
            f"counts must have one row and one column for each of {classes} classes, got {table.shape}."
        )
    if (table < 0).any():
        raise DataError(f"counts must be at least 0, got {table.min()}.")
    return table


def _names_below(names: Sequence[str], cell: float) -> tuple[list[str], bool]:
    """Return the names of the columns in lines, and whether they stand upright because a cell is too narrow."""
    width = cell - 0.1
    upright = widest_line(word for name in names for word in name.split()) > width
    return [wrapped(name, _NAMES if upright else width) for name in names], upright


def _draw_counts(axes: Axes, table: Host, side: float) -> None:
    """Draw the matrix, and beside it the scale of its shades; side is what the matrix measures, in inches."""
    from matplotlib.ticker import PercentFormatter

    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)  # (C, C)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(table):
        shade = "white" if shares[row, column] > _DARK_FROM else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=shade)
    axes.spines[:].set_visible(True)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    beside = axes.inset_axes((1 + 0.12 / side, 0.0, 0.18 / side, 1.0))
    percent, fifths = PercentFormatter(1.0, symbol=" %"), np.linspace(0.0, 1.0, 6)
    axes.figure.colorbar(image, cax=beside, label="share of the row", ticks=fifths, format=percent)


def _check_images(images: Any) -> Host:
    pictures = host_array(images, "images")
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3) or 0 in pictures.shape[1:]:
        raise ShapeError(f"images must have shape (N, H, W, 1 or 3), got {pictures.shape}.{_hint(pictures.shape)}")
    low, high = (float(found(pictures, initial=0.0)) for found in (np.min, np.max))
    if not (low >= 0 and high <= 1):
        hint = "; divide them by 255" if low >= 0 and high <= 255 else ""
        raise DataError(f"images must hold numbers in [0, 1], got {low:g} to {high:g}{hint}.")
    return pictures


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        return " Give grey images an axis of channels: images[..., None]."
    if len(shape) == 4 and shape[1] in (1, 3):
        return " Channels come last: np.moveaxis(images, 1, -1)."
    return ""


def _caption(true: str, predicted: str) -> str:
    """Return both names in one line if they fit under an image, or else one below the other."""
    width = _IMAGE + _GAP / 2
    parts = f"{true} →", predicted
    together = wrapped(" ".join(parts), width)
    return together if "\n" not in together else "\n".join(wrapped(part, width) for part in parts)


def _headline(wrong: int, shown: int, of: int) -> str:
    if not wrong:
        return f"None of {of} images is misclassified."
    those = f", the first {shown} of them here" if shown < wrong else ""
    return f"{wrong} of {of} images {'is' if wrong == 1 else 'are'} misclassified{those}: true → predicted class"


def _draw_sheet(figure: Figure, images: Host, captions: Sequence[str], note: str) -> None:
    """Place the images row by row from the top; all measures are in inches."""
    width, heading = figure.get_figwidth(), figure.get_figheight()
    tall = _IMAGE * min(images.shape[1] / images.shape[2], _TALLEST)
    rows = [captions[start : start + _COLUMNS] for start in range(0, len(captions), _COLUMNS)]
    bottoms = (
        heading + 0.2 + lines_in([note]) * LINE + np.cumsum([tall + lines_in(row) * LINE + 0.25 for row in rows])
    )
    height = float(bottoms[-1]) if rows else heading + 0.3 + lines_in([note]) * LINE
    figure.set_figheight(height)
    if heading:
        figure.suptitle(figure.get_suptitle(), y=1 - 0.1 / height, va="top", size=TITLE, weight="bold")
    figure.text(_GAP / width, 1 - (heading + 0.1) / height, note, va="top")
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(index, _COLUMNS)
        bottom = height - bottoms[row] + lines_in(rows[row]) * LINE + 0.25
        place = (_GAP + column * (_IMAGE + _GAP)) / width, bottom / height, _IMAGE / width, tall / height
        _draw_image(figure.add_axes(place), image, caption)


def _draw_image(axes: Axes, image: Host, caption: str) -> None:
    axes.imshow(
        image[..., 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
    axes.set_anchor("S")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.set_xlabel(caption, labelpad=4)

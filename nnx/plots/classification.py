"""Which examples were taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.checks import check_count
from nnx.errors import DataError, ShapeError
from nnx.plots.drawing import DARK, TEXT, TITLE, page, text_width, wrapped
from nnx.plots.given import Host, class_names, host_array, labels_of, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEAST_CELL = 0.45
_NAMES = 1.8
"""Inches: the least side of a cell, and the most that names of classes take."""

_FEW = 4
"""So many classes have room for large cells."""

_DARK_FROM = 0.55
"""The share from which the shade of a cell is so dark that white figures read better."""

_COLUMNS = 6
_IMAGE, _GAP = 1.15, 0.15
"""Inches: the width of an image, and the room between two."""

_LINE = 1.25 * TEXT / 72


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
        NnxError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.confusion_matrix([[16, 1], [6, 27]], ["no cat", "cat"])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['16', '1', '6', '27']
    """
    names = class_names(classes)
    table = _check_counts(counts, len(names))
    with page(1.0, 1.0, path, title) as figure:
        widest = max(text_width(str(count)) for count in table.ravel())
        cell = max(_LEAST_CELL, widest + 0.15, 1.0 if len(names) <= _FEW else 0.0)
        below, upright = _names_below(names, cell)
        beside = [wrapped(name, _NAMES) for name in names]
        side = cell * len(names)
        heading = figure.get_figheight() - 1.0
        figure.set_size_inches(
            side + _width_of(beside) + 1.6,
            heading + side + 0.7 + (_width_of(below) if upright else _height_of(below)),
        )
        axes = figure.add_subplot()
        _draw_counts(figure, axes, table)
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
        NnxError: matplotlib is not installed.

    Examples:
        >>> images = np.zeros((3, 8, 8, 1))
        >>> figure = nnx.plots.misclassified(images, [0, 1, 1], [0, 0, 1], ["cat", "dog"])
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['dog → cat']
    """
    names, limit = class_names(classes), check_count("most", most)
    pictures = _check_images(images)
    true, predicted = (
        _one_each(labels_of(value, argument, len(names)), argument, len(pictures))
        for value, argument in ((labels, "labels"), (predictions, "predictions"))
    )
    wrong = np.flatnonzero(true != predicted)
    shown = wrong[:limit]
    captions = [f"{names[true[index]]} → {names[predicted[index]]}" for index in shown]
    with page(_COLUMNS * (_IMAGE + _GAP) + _GAP, 1.0, path, title, layout=None) as figure:
        _draw_sheet(figure, pictures[shown], captions, _headline(len(wrong), len(shown), len(true)))
    return figure


def _check_counts(counts: Any, classes: int) -> Host:
    table = whole_numbers(counts, "counts")
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ShapeError(f"counts must be square, (C, C), got shape {table.shape}.")
    if len(table) != classes:
        raise ShapeError(f"counts must have one row and column per class, {classes}, got shape {table.shape}.")
    if (table < 0).any():
        raise DataError(f"counts must be at least 0, got {table.min()}.")
    return table


def _names_below(names: Sequence[str], cell: float) -> tuple[list[str], bool]:
    """Return the names of the columns in lines, and whether they stand upright because a cell is too narrow."""
    width = cell - 0.1
    upright = any(text_width(word) > width for name in names for word in name.split())
    return [wrapped(name, _NAMES if upright else width) for name in names], upright


def _width_of(texts: Sequence[str]) -> float:
    return max(text_width(line) for text in texts for line in text.split("\n"))


def _height_of(texts: Sequence[str]) -> float:
    return max(1 + text.count("\n") for text in texts) * _LINE


def _draw_counts(figure: Figure, axes: Axes, table: Host) -> None:
    from matplotlib.ticker import PercentFormatter

    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(table):
        shade = "white" if shares[row, column] > _DARK_FROM else DARK
        axes.text(column, row, str(count), ha="center", va="center", color=shade)
    axes.spines[:].set_visible(True)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    figure.colorbar(image, ax=axes, label="share of the row", format=PercentFormatter(1.0, symbol=" %"))


def _check_images(images: Any) -> Host:
    pictures = host_array(images, "images")
    if pictures.ndim != 4 or pictures.shape[3] not in (1, 3):
        raise ShapeError(f"images must have shape (N, H, W, 1 or 3), got {pictures.shape}.{_hint(pictures.shape)}")
    low, high = (float(found(pictures, initial=0.0)) for found in (np.min, np.max))
    if not (low >= 0 and high <= 1):
        hint = " Divide by 255." if high <= 255 and low >= 0 else ""
        raise DataError(f"images must be in [0, 1], got {low:g} to {high:g}.{hint}")
    return pictures


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        return " Give grey images an axis of channels: images[..., None]."
    if len(shape) == 4 and shape[1] in (1, 3):
        return " Channels come last: np.moveaxis(images, 1, -1)."
    return ""


def _one_each(values: Host, argument: str, images: int) -> Host:
    if len(values) != images:
        raise ShapeError(f"{argument} must be one per image, {images}, got {len(values)}.")
    return values


def _headline(wrong: int, shown: int, of: int) -> str:
    if not wrong:
        return f"None of {of} images is misclassified."
    part = f", the first {shown} of them" if shown < wrong else ""
    return (
        f"{wrong} of {of} images {'are' if wrong > 1 else 'is'} misclassified{part}: true class → predicted class"
    )


def _draw_sheet(figure: Figure, images: Host, captions: Sequence[str], headline: str) -> None:
    """Place the images row by row from the top; all measures are in inches."""
    width, heading = figure.get_figwidth(), figure.get_figheight() - 1.0
    lines = [wrapped(caption, _IMAGE + _GAP - 0.06) for caption in captions]
    tall = _IMAGE * images.shape[1] / images.shape[2] if len(images) else 0.0
    note = wrapped(headline, width - 2 * _GAP)
    steps = [tall + _height_of(lines[start : start + _COLUMNS]) + 0.2 for start in range(0, len(lines), _COLUMNS)]
    top = heading + (1 + note.count("\n")) * _LINE + 0.2
    height = top + sum(steps) + 0.05
    figure.set_figheight(height)
    if figure.get_suptitle():
        figure.suptitle(figure.get_suptitle(), y=1 - 0.1 / height, va="top", size=TITLE, weight="bold")
    figure.text(_GAP / width, 1 - (heading + 0.1) / height, note, va="top")
    for index, (image, line) in enumerate(zip(images, lines, strict=True)):
        row, column = divmod(index, _COLUMNS)
        left, bottom = _GAP + column * (_IMAGE + _GAP), height - top - sum(steps[:row]) - tall
        axes = figure.add_axes((left / width, bottom / height, _IMAGE / width, tall / height))
        axes.imshow(image[..., 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=1, aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        axes.set_xlabel(line, labelpad=3)

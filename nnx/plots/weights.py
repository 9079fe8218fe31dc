"""Weights, layer by layer: how they are distributed, and how two networks differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.errors import DataError, ShapeError
from nnx.plots.drawing import LINES, TEXT, colour, cycled, legend_below, page, wrapped
from nnx.plots.given import Host, filled, finite_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEWEST, MOST = 8, 40
"""Intervals: where there are few weights, many intervals would show nothing but chance."""

MOST_ROWS = 300
"""As many as a panel has pixels for; the mean of more would be near 0 whatever the weights did."""

_MOST_COLUMNS = 3
_PANEL = 3.1
"""Inches of width."""


def weight_histograms(
    weights: Mapping[str, Mapping[str, Any]], path: str | Path | None = None, *, title: str = ""
) -> Figure:
    """Draw how weights are distributed: one panel per layer, in it a line per label.

    Each panel has a range of its own; within it, all labels are counted in the same intervals,
    8 to 40 of them, the fewer the fewer weights there are.

    Args:
        weights: for each label, such as "with L2", its layers: arrays of any shape.
        path: where to write the picture; None for nowhere.
        title: a heading.

    Raises:
        DataError: nothing given, or weights that are not finite.
        OptionError: not mappings; the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.weight_histograms({"before": {"1": [[0.1, -0.2], [0.0, 0.3]]}})
        >>> figure.axes[0].get_title()
        '1'
    """
    found = {
        label: _arrays(layers, f"weights[{label!r}]")
        for label, layers in filled(weights, "weights", "labels to mappings from layers to arrays").items()
    }
    layers = list(dict.fromkeys(layer for own in found.values() for layer in own))
    columns, rows = _grid(len(layers))
    with page(_PANEL * columns, 2.5 * rows, path, title) as figure:
        for place, layer in enumerate(layers, start=1):
            axes = figure.add_subplot(rows, columns, place)
            _draw_histograms(axes, [own.get(layer) for own in found.values()])
            axes.set_title(wrapped(str(layer), _PANEL - 0.6, 10.5))
            axes.set_xlabel("weight")
            if place % columns == 1 or columns == 1:
                axes.set_ylabel("share of the weights")
        legend_below(figure, [(_handle(index), str(label)) for index, label in enumerate(found)])
    return figure


def weight_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], path: str | Path | None = None, *, title: str = ""
) -> Figure:
    """Draw second - first as a heat map per layer: rows are inputs, columns are outputs; of biases a single row.

    Each layer has a scale of its own, beside it, the same length to both sides of 0: white is no difference. Where
    there are more inputs or outputs than can be told apart, neighbours share a line, which shows the largest.

    Args:
        first: by layer, weights (I, O) or biases (O,).
        second: the same layers, in the same shapes.
        path: where to write the picture; None for nowhere.
        title: a heading.

    Raises:
        ShapeError: weights that are not (I, O) or (O,), or not of one shape.
        DataError: nothing given, weights that are not finite, or a layer that the other does not have.
        OptionError: not mappings; the path cannot be written to.
        MissingLibraryError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.weight_differences({"1": [[0.0, 1.0]]}, {"1": [[0.5, 0.5]]})
        >>> figure.axes[0].get_title()
        '1 (1 × 2)'
    """
    before, after = _arrays(first, "first"), _arrays(second, "second")
    differences = _differences(before, after)
    columns, rows = _grid(len(differences))
    width = _PANEL * columns
    with page(width, 3.2 * rows + 0.4, path, title) as figure:
        for place, (layer, difference) in enumerate(differences.items(), start=1):
            axes = figure.add_subplot(rows, columns, place)
            _draw_difference(figure, axes, difference)
            size = f"({' × '.join(map(str, difference.shape))})"
            axes.set_title(wrapped(f"{layer} {size}", _PANEL - 1.0, 10.5), pad=10)  # clear of the scale's numbers
            axes.set_xlabel("output")
            if difference.ndim == 2:
                axes.set_ylabel("input")
            else:
                axes.set_yticks([])
        figure.supxlabel(wrapped(_note(differences), width - 0.3), size=TEXT)
    return figure


def _arrays(layers: Any, argument: str) -> dict[str, Host]:
    given = filled(layers, argument, "layers to arrays")
    return {layer: finite_array(values, f"{argument}[{layer!r}]") for layer, values in given.items()}


def _grid(panels: int) -> tuple[int, int]:
    """Return columns and rows."""
    columns = 2 if panels == 4 else min(panels, _MOST_COLUMNS)
    return columns, -(-panels // columns)


def _handle(index: int) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour(index), linestyle=cycled(LINES, index), linewidth=1.6)


def _draw_histograms(axes: Axes, arrays: Sequence[Host | None]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    edges = _edges([array for array in arrays if array is not None])
    for index, array in enumerate(arrays):
        if array is not None:
            shares = np.histogram(array, edges)[0] / array.size
            axes.stairs(shares, edges, fill=True, color=colour(index), alpha=0.15)
            axes.stairs(shares, edges, color=colour(index), linestyle=cycled(LINES, index), linewidth=1.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.grid(True, axis="y")


def _edges(arrays: Sequence[Host]) -> Host:
    """Return the limits of intervals that hold all values, of some width even where all values are alike."""
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    least = 0.01 * max(abs(low), abs(high)) or 1.0
    room = max(least - (high - low), 0.0) / 2
    count = int(2 * np.sqrt(min(array.size for array in arrays)))
    return np.linspace(low - room, high + room, min(max(count, FEWEST), MOST) + 1)


def _differences(first: Mapping[str, Host], second: Mapping[str, Host]) -> dict[str, Host]:
    for argument, own, others in (("first", first, second), ("second", second, first)):
        if lonely := [repr(layer) for layer in own if layer not in others]:
            raise DataError(
                f"first and second must have the same layers, got {', '.join(lonely)} in {argument} only."
            )
    return {layer: _difference(first[layer], second[layer], layer) for layer in first}


def _difference(first: Host, second: Host, layer: str) -> Host:
    for argument, array in (("first", first), ("second", second)):
        if array.ndim not in (1, 2):
            raise ShapeError(
                f"{argument}[{layer!r}] must be weights (I, O) or biases (O,), got shape {array.shape}; give "
                "kernels of convolutions as .reshape(-1, channels)."
            )
    if first.shape != second.shape:
        raise ShapeError(
            f"second[{layer!r}] must have the shape of first[{layer!r}], {first.shape}, got {second.shape}."
        )
    return second - first


def _note(differences: Mapping[str, Host]) -> str:
    """Say in the picture what cannot be seen."""
    note = "second − first; each layer has a scale of its own"
    if any(max(difference.shape) > MOST_ROWS for difference in differences.values()):
        note += "; where weights are too many to be told apart, the largest difference of neighbours"
    return note


def _draw_difference(figure: Figure, axes: Axes, difference: Host) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    reach = float(np.abs(difference).max()) or 1.0
    drawn = np.atleast_2d(difference)
    rows, columns = drawn.shape
    image = axes.imshow(
        condensed(condensed(drawn).T).T,
        cmap="RdBu_r",
        vmin=-reach,
        vmax=reach,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
    )
    numbers = FuncFormatter(lambda value, _: f"{value:g}")
    figure.colorbar(image, ax=axes, format=numbers, ticks=MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.spines[:].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))


def condensed(values: Host) -> Host:
    """Return at most 300 rows: of neighbours that must share one, the value furthest from 0 in each column."""
    count = -(-len(values) // MOST_ROWS)
    if count == 1:
        return values
    together = np.pad(values, ((0, -len(values) % count), (0, 0))).reshape(-1, count, values.shape[1])
    furthest = np.abs(together).argmax(axis=1, keepdims=True)
    return np.take_along_axis(together, furthest, axis=1)[:, 0]  # (rows, columns)

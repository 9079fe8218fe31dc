"""Weights, layer by layer: how they are distributed, and how two networks differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.errors import ShapeError, UnknownNameError
from nnx.plots.drawing import LINES, colour, cycled, legend_below, page, wrapped
from nnx.plots.given import Host, filled, finite_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 40
_MOST_COLUMNS = 3
_PANEL = 3.1
"""Inches of width."""


def weight_histograms(
    weights: Mapping[str, Mapping[str, Any]], path: str | Path | None = None, *, title: str = ""
) -> Figure:
    """Draw how weights are distributed: one panel per layer, in it a line per label.

    Each panel has a range of its own; within it, all labels are counted in the same 40 intervals.

    Args:
        weights: for each label, such as "with L2", its layers: arrays of any shape.
        path: where to write the picture; None for nowhere.
        title: a heading.

    Raises:
        DataError: nothing given, or weights that are not finite.
        OptionError: not mappings; the path cannot be written to.
        NnxError: matplotlib is not installed.

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
        figure.supxlabel("weight", size="medium")
        figure.supylabel("share of the weights", size="medium")
        legend_below(figure, [(_handle(index), str(label)) for index, label in enumerate(found)])
    return figure


def weight_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], path: str | Path | None = None, *, title: str = ""
) -> Figure:
    """Draw second - first as a heat map per layer: rows are inputs, columns are outputs.

    Each layer has a scale of its own, beside it, the same length to both sides of 0: white is no difference.

    Args:
        first, second: by layer, weights (I, O); the same layers in both.
        path: where to write the picture; None for nowhere.
        title: a heading.

    Raises:
        ShapeError: weights that are not (I, O), or not of one shape.
        DataError: nothing given, or weights that are not finite.
        UnknownNameError: a layer that the other does not have.
        OptionError: not mappings; the path cannot be written to.
        NnxError: matplotlib is not installed.

    Examples:
        >>> figure = nnx.plots.weight_differences({"1": [[0.0, 1.0]]}, {"1": [[0.5, 0.5]]})
        >>> figure.axes[0].get_title()
        '1 (1 × 2)'
    """
    before, after = _arrays(first, "first"), _arrays(second, "second")
    differences = _differences(before, after)
    columns, rows = _grid(len(differences))
    with page(_PANEL * columns + 0.6, 3.3 * rows, path, title) as figure:
        for place, (layer, difference) in enumerate(differences.items(), start=1):
            axes = figure.add_subplot(rows, columns, place)
            _draw_difference(figure, axes, difference)
            size = f"({difference.shape[0]} × {difference.shape[1]})"
            axes.set_title(wrapped(f"{layer} {size}", _PANEL - 0.6, 10.5))
        figure.supxlabel("output", size="medium")
        figure.supylabel("input", size="medium")
    return figure


def _arrays(layers: Any, argument: str) -> dict[str, Host]:
    given = filled(layers, argument, "layers to arrays")
    return {layer: finite_array(values, f"{argument}[{layer!r}]") for layer, values in given.items()}


def _grid(panels: int) -> tuple[int, int]:
    """Return columns and rows."""
    columns = min(panels, _MOST_COLUMNS)
    return columns, -(-panels // columns)


def _handle(index: int) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour(index), linestyle=cycled(LINES, index), linewidth=1.6)


def _draw_histograms(axes: Axes, arrays: Sequence[Host | None]) -> None:
    edges = _edges([array for array in arrays if array is not None])
    for index, array in enumerate(arrays):
        if array is not None:
            shares = np.histogram(array, edges)[0] / array.size
            axes.stairs(shares, edges, fill=True, color=colour(index), alpha=0.15)
            axes.stairs(shares, edges, color=colour(index), linestyle=cycled(LINES, index), linewidth=1.6)
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid(True, axis="y")


def _edges(arrays: Sequence[Host]) -> Host:
    """Return the limits of intervals that hold all values, of some width even where all values are alike."""
    low, high = min(array.min() for array in arrays), max(array.max() for array in arrays)
    least = 1e-6 * max(abs(low), abs(high)) or 1.0
    room = max(least - (high - low), 0.0) / 2
    return np.linspace(low - room, high + room, BINS + 1)


def _differences(first: Mapping[str, Host], second: Mapping[str, Host]) -> dict[str, Host]:
    for argument, layers, others in (("first", second, first), ("second", first, second)):
        for layer in layers:
            if layer not in others:
                raise UnknownNameError(f"layer: {argument} has no", layer, map(str, others))
    return {layer: _difference(first[layer], second[layer], layer) for layer in first}


def _difference(first: Host, second: Host, layer: str) -> Host:
    for argument, array in (("first", first), ("second", second)):
        if array.ndim != 2:
            raise ShapeError(
                f"{argument}[{layer!r}] must be weights (I, O), got shape {array.shape}; leave biases out, and give "
                "kernels of convolutions as .reshape(-1, channels)."
            )
    if first.shape != second.shape:
        raise ShapeError(
            f"second[{layer!r}] must have the shape of first[{layer!r}], {first.shape}, got {second.shape}."
        )
    return second - first


def _draw_difference(figure: Figure, axes: Axes, difference: Host) -> None:
    from matplotlib.ticker import MaxNLocator

    reach = float(np.abs(difference).max()) or 1.0
    image = axes.imshow(difference, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
    figure.colorbar(image, ax=axes)
    axes.spines[:].set_visible(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))

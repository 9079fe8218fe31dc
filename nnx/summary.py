"""A model as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnx.pages import notebooks

if TYPE_CHECKING:
    from nnx.model import Sequential


HEADINGS = "layer", "output shape", "parameters"


def layer_table(model: Sequential) -> str:
    """Return a table of the layers, their output shapes and numbers of parameters."""
    return f"{_table([HEADINGS, *layer_rows(model)])}\n{_total(model)}"


def layer_html(model: Sequential) -> str:
    """Return that table as HTML; of a model that is not built, its layers alone."""
    if model.built:
        return notebooks.table(HEADINGS, layer_rows(model), HEADINGS[2:]) + notebooks.text(_total(model))
    layers = [(f"{index} {layer!r}",) for index, layer in enumerate(model.chain.layers)]
    unbuilt = f"not built yet, {model.dtype}, on {model.backend.name} ({model.backend.device()})"
    return notebooks.table(HEADINGS[:1], layers) + notebooks.text(unbuilt)


def _total(model: Sequential) -> str:
    return f"{model.store.count():,} parameters, {model.dtype}, on {model.backend.name} ({model.backend.device()})"


def layer_rows(model: Sequential) -> list[tuple[str, str, str]]:
    """Return the cells of that table, a row per layer, below `HEADINGS`."""
    counts = _parameters_by_layer(model)
    return [
        (f"{index} {layer!r}", f"(N, {', '.join(map(str, shape))})", f"{counts[index]:,}")
        for index, (layer, shape) in enumerate(zip(model.chain.layers, model.chain.shapes, strict=True))
    ]


def _parameters_by_layer(model: Sequential) -> list[int]:
    counts = [0] * len(model.chain.layers)
    for parameter in model.store.parameters:
        counts[int(parameter.name.split(".")[0])] += math.prod(parameter.shape)
    return counts


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule])

"""A kept run, or a saved model, as a section of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from nnx.errors import excerpt, in_units, shown
from nnx.history import History
from nnx.pages import curves
from nnx.pages.parts import pairs, paragraph, scrolling, table
from nnx.report.section import Section
from nnx.serialization import Record, read_record
from nnx.summary import HEADINGS, layer_rows

_MOST_LAYERS, _MOST_FACTS = 200, 40
_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
_OPTIONS = ("batch_size", "shuffle")
"""Of the terms of a run, those that say something to people; the others are checksums."""


def section(path: Path) -> Section:
    """Return the section of a file.

    Raises:
        FileFormatError: it is damaged or foreign.
    """
    record = read_record(path, "numpy")
    return Section(_kind(record), "\n".join(_parts(path, record)), _figures(record.history))


def _kind(record: Record) -> str:
    return "model" if record.history is None else "run"


def _figures(history: History | None) -> Mapping[str, str]:
    """Return the last of each measurement that runs are compared by."""
    if history is None or not history.epochs:
        return {}
    last = {name: f"{history[name][-1]:.4g}" for name in _FIGURES if history.get(name)}
    return {"epochs": f"{history.epochs:,}", **last, "seconds": f"{sum(history.get('seconds', ())):.4g}"}


def _parts(path: Path, record: Record) -> Iterator[str]:
    model, history = record.model, record.history
    yield paragraph(f"{model.store.count():,} parameters, {model.dtype}", "small")
    if history is not None:
        yield f"<h3>What was measured</h3>\n{_measured(history)}"
    yield f"<h3>Network</h3>\n{_layers(record)}"
    yield f"<h3>Options</h3>\n{pairs(_options(record))}"
    yield f"<h3>Machine and versions</h3>\n{pairs(_made_by(path, record.config))}"
    if history is None:
        yield paragraph("The file is that of a model alone: checkpoints keep what was measured too.", "small")


def _measured(history: History) -> str:
    if not history.epochs:
        return paragraph("No epoch was done yet.")
    drawn = [scrolling(image, "Learning curve") for image in curves.pictures(history)]
    measured = table(curves.HEADINGS, curves.rows(history), "Measurements", curves.NUMBERS)
    legend = paragraph("Solid: training; dashed: validation.", "small") if "val_loss" in history else ""
    return f'<div class="charts">{"".join(drawn)}</div>\n{legend}{measured}'


def _layers(record: Record) -> str:
    rows = [tuple(excerpt(cell) for cell in row) for row in layer_rows(record.model)]
    more = [(f"and {len(rows) - _MOST_LAYERS} more", "", "")] if len(rows) > _MOST_LAYERS else []
    return table(HEADINGS, [*rows[:_MOST_LAYERS], *more], "Layers", HEADINGS[2:], kind="numbers layers")


def _options(record: Record) -> Iterator[tuple[str, str]]:
    model, history, run = record.model, record.history, record.config.get("run")
    yield "input shape", str(model.input_shape)
    if model.compiled:
        yield "loss", repr(model.loss)
        yield "optimizer", repr(model.optimizer)
        yield "l2", f"{model.l2:g}"
    yield "seed", str(model.seed)
    if isinstance(run, dict) and isinstance(run.get("options"), dict):
        terms = run["options"]
        yield from ((name.replace("_", " "), _plain(terms.get(name))) for name in _OPTIONS)
        yield "callbacks", _callbacks(terms.get("callbacks"))
    yield "epochs trained", f"{model.epoch:,}"
    if history is not None and history.stopped:
        yield "ended early", excerpt(history.stopped)
    yield from _facts(model.metadata)


def _callbacks(stored: object) -> str:
    """Return those on which training depends, with their options."""
    if stored == []:
        return "none on which training depends"
    if not isinstance(stored, list) or not all(isinstance(one, list) and len(one) == 2 for one in stored):
        return shown(stored)
    return excerpt("; ".join(f"{_plain(name)} {_plain(options)}" for name, options in stored))


def _made_by(path: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("machine", "versions"):
        if isinstance(config.get(part), dict):
            yield from _facts(config[part])
    told = path.stat()
    yield "file", f"{in_units(told.st_size)}, of {datetime.fromtimestamp(told.st_mtime, UTC):%Y-%m-%d %H:%M} UTC"


def _facts(values: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, value in list(values.items())[:_MOST_FACTS]:
        yield excerpt(str(name), 60), _plain(value)


def _plain(value: object) -> str:
    return excerpt(value) if isinstance(value, str) else shown(value)


def overview(named: Mapping[str, tuple[str, Section]]) -> str:
    """Return a table of several runs, one row each; the names are those of links within the page."""
    columns = [
        name for name in ("epochs", *_FIGURES, "seconds") if any(name in s.figures for _, s in named.values())
    ]
    head = "".join(f'<th scope="col" class="number">{column}</th>' for column in columns)
    rows = "\n".join(
        f'<tr><td><a href="#{anchor}">{escape(title)}</a></td>'
        + "".join(f'<td class="number">{escape(section.figures.get(column, ""))}</td>' for column in columns)
        + "</tr>"
        for anchor, (title, section) in named.items()
    )
    head = f'<thead><tr><th scope="col">run</th>{head}</tr></thead>'
    return scrolling(f'<table class="numbers">{head}\n<tbody>\n{rows}\n</tbody></table>', "Runs")

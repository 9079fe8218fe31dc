"""Kept runs to report on, and pages of reports as they are read."""

from __future__ import annotations

from pathlib import Path

import nnx
from nnx.report.finding import find
from nnx.report.page import make
from support.pages import Reader
from support.saved_models import X, Y, make_model


def save_run(path: Path, **options: object) -> Path:
    """Keep a run of two epochs, with a validation part."""
    keep, model = nnx.callbacks.Checkpoint(path), make_model()
    watchers = [nnx.callbacks.EarlyStopping(patience=1, **options), keep]
    model.fit(X, Y, epochs=2, batch_size=16, validation_split=0.2, callbacks=watchers)
    return path


def page_of(*paths: Path) -> Reader:
    return Reader(make(find(paths)).html())

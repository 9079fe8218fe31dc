"""Training that is measured on parts of the data while it goes on; the time of measuring is not training's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnx.callbacks import Callback, Logs
from nnx.datasets.dataset import Split
from nnx.experiments.result import Curve, thinned
from nnx.measurement import Measurement
from nnx.model import Sequential
from nnx.training import Run

_BATCH = 1024
"""Examples that are measured at once, as many as `evaluate` takes."""


@dataclass(frozen=True)
class Look:
    """What was measured once: after which epoch, from 0, and loss and accuracy by the name of the part."""

    epoch: float
    parts: Mapping[str, Logs]


class Watch(Callback):
    """Measures parts of the data before training, every so many steps of it, and at its end.

    Args:
        parts: (x, y) by name; none to look at nothing.
        every: steps from one look to the next; None to look before training and at its end only.
        steps_per_epoch: how many steps are an epoch.

    Attributes:
        looks: what was measured, in order.
        seconds: how long all of it took, up to now.
    """

    def __init__(self, parts: Mapping[str, Split], every: int | None = None, steps_per_epoch: int = 1) -> None:
        """Begin with nothing measured."""
        self.parts, self.steps_per_epoch = parts, steps_per_epoch
        self.every = every if parts else None
        self.looks: list[Look] = []
        self.seconds = 0.0
        self._measurements: dict[str, Measurement] = {}

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        start = time.perf_counter()
        self._measurements = {
            name: Measurement(run.model, run.model.take(*part), _BATCH) for name, part in self.parts.items()
        }
        self.seconds += time.perf_counter() - start
        self._look(0)

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """See `Callback`."""
        del run, logs
        self._look(step)

    def on_train_end(self, run: Run) -> None:
        """See `Callback`."""
        step = steps_done(run.model)
        if run.completed and self.looks[-1].epoch != step / self.steps_per_epoch:
            self._look(step)

    def _look(self, step: int) -> None:
        start = time.perf_counter()
        with np.errstate(all="ignore"):  # as when the model evaluates
            measured = {name: measurement.measure() for name, measurement in self._measurements.items()}
        self.looks.append(Look(step / self.steps_per_epoch, measured))
        self.seconds += time.perf_counter() - start

    def values(self, part: str, quantity: str) -> list[float]:
        """Return what was measured of a part, look by look."""
        return [look.parts[part][quantity] for look in self.looks]

    def curve(self, part: str, quantity: str) -> Curve:
        """Return what was measured of a part over the epochs."""
        return thinned([look.epoch for look in self.looks], self.values(part, quantity))


def steps_done(model: Sequential) -> int:
    """Return how often the weights of a model have changed."""
    return int(model.backend.to_numpy(model.step))

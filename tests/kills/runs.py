"""Runs to be killed, made from seeds: a network, its examples, and how it is trained and kept."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, ReduceLROnPlateau

FILE, TABLE = "run.h5", "epochs.csv"
BACKENDS = ("numpy", "numba")

Tell = Callable[[str, object], None]
"""Takes a word and what belongs to it: ("begun", step), ("writing", step), ("saved", step)."""


@dataclass(frozen=True)
class Problem:
    """A network and its examples, the same whenever they are made."""

    layers: Callable[[], list[nnx.layers.Layer]]
    x: Any
    y: Any
    lengths: Any = None


def _dense() -> Problem:
    random = np.random.default_rng(1)
    return Problem(_dense_layers, random.normal(size=(240, 20)), random.integers(0, 3, 240))


def _dense_layers() -> list[nnx.layers.Layer]:
    first = [nnx.Dense(64, bias=False), nnx.BatchNorm(), nnx.Activation("relu"), nnx.Dropout(0.3)]
    return [*first, nnx.Dense(3)]


def _lstm() -> Problem:
    random = np.random.default_rng(2)
    x, lengths = random.normal(size=(150, 12, 5)), random.integers(1, 13, 150)
    return Problem(lambda: [nnx.LSTM(16), nnx.Dense(3)], x, random.integers(0, 3, 150), lengths)


def _cnn() -> Problem:
    random = np.random.default_rng(3)
    return Problem(_cnn_layers, random.normal(size=(120, 12, 12, 1)), random.integers(0, 3, 120))


def _cnn_layers() -> list[nnx.layers.Layer]:
    first = [nnx.Conv2D(4, 3, bias=False), nnx.BatchNorm(), nnx.Activation("relu"), nnx.MaxPool2D(2)]
    return [*first, nnx.Flatten(), nnx.Dense(3)]


NETWORKS: Mapping[str, Callable[[], Problem]] = {"dense": _dense, "lstm": _lstm, "cnn": _cnn}

_OPTIMIZERS: Mapping[str, Callable[[int], nnx.optimizers.Optimizer]] = {
    "momentum": lambda _: nnx.Momentum(0.05),
    "rmsprop": lambda _: nnx.RMSprop(0.002),
    "adam": lambda epochs: nnx.Adam(nnx.schedules.Cosine(0.01, epochs)),
}


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        network, backend, optimizer, seed: what is trained, on what, how, and from which seed.
        epochs: as many as asked for; early stopping may end them sooner.
        watchers: what is asked after epochs or steps, besides.
        every, interval, keep_last: as `Checkpoint` takes them.
    """

    network: str
    backend: str
    optimizer: str
    seed: int
    epochs: int
    watchers: Callable[[], list[Callback]]
    every: int | None
    interval: float
    keep_last: int

    def model(self) -> nnx.Sequential:
        """Return the network, untrained."""
        model = nnx.Sequential(NETWORKS[self.network]().layers(), seed=self.seed, backend=self.backend)
        return model.compile("softmax_cross_entropy", _OPTIMIZERS[self.optimizer](self.epochs), l2=0.01)

    def train(self, folder: Path, tell: Tell | None) -> dict[str, str]:
        """Train to the end; with `tell`, go on from the file in the folder, keep the run there, and tell of it.

        Returns:
            what came of it: a checksum or a value of everything that must not depend on interruptions, by name.
        """
        problem, model, path = NETWORKS[self.network](), self.model(), folder / FILE
        callbacks = [*self.watchers(), CSVLogger(folder / TABLE)]
        if tell is not None:
            callbacks.append(Told(path, tell, every=self.every, interval=self.interval, keep_last=self.keep_last))
        history = model.fit(
            problem.x,
            problem.y,
            lengths=problem.lengths,
            epochs=self.epochs,
            batch_size=32,
            validation_split=0.2,
            callbacks=callbacks,
            progress=False,
            resume=path if tell is not None and path.exists() else None,
        )
        return outcome(model, history, folder / TABLE)


class Told(Checkpoint):
    """A checkpoint that tells where a run begins, what it is about to write, and what it has written."""

    def __init__(self, path: Path, tell: Tell, **options: Any) -> None:
        super().__init__(path, **options)
        self._tell, self._step = tell, 0

    def on_train_begin(self, run: nnx.training.Run) -> None:
        super().on_train_begin(run)
        self._tell("begun", _steps(run.model))

    def save(self, run: nnx.training.Run) -> None:
        before, self._step = self._saved, _steps(run.model)
        super().save(run)
        if self._saved != before:
            self._tell("saved", self._step)

    def _keep_former(self) -> None:  # the first thing that is done if a file is due
        self._tell("writing", self._step)
        super()._keep_former()


def _steps(model: nnx.Sequential) -> int:
    return int(model.backend.to_numpy(model.step))


def outcome(model: nnx.Sequential, history: nnx.History, table: Path) -> dict[str, str]:
    """Return all that an interruption must not change: every bit of the model, the history and the table."""
    names = ["parameters", "statistics", "step", *model.moment_names]
    arrays = [model.backend.to_numpy(array) for array in model.state_arrays()]
    found = {name: _checksum(array.tobytes()) for name, array in zip(names, arrays, strict=True)}
    measured = {name: values if name != "seconds" else len(values) for name, values in history.items()}
    with table.open(newline="", encoding="utf-8") as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    return {
        **found,
        "epoch": str(model.epoch),
        "history": _checksum(repr((measured, history.stopped)).encode()),
        "table": _checksum(repr(rows).encode()),
    }


def _checksum(contents: bytes) -> str:
    return hashlib.blake2b(contents, digest_size=16).hexdigest()


def plan(network: str, seed: int) -> Plan:
    """Return the run of that network and seed."""
    place = list(NETWORKS).index(network)
    random = np.random.default_rng([place, seed])
    often = bool(random.random() < 0.7)
    return Plan(
        network=network,
        backend=BACKENDS[(seed + place) % 2],
        optimizer=list(_OPTIMIZERS)[seed // 2 % 3],
        seed=seed,
        epochs=int(random.integers(8, 16)),
        watchers=partial(_watchers, int(random.integers(4))),
        every=int(random.integers(1, 11)) if often else 1,
        interval=0.0 if often else float(random.uniform(0.005, 0.05)),
        keep_last=int(random.integers(1, 4)),
    )


def _watchers(kind: int) -> list[Callback]:
    stopping = [EarlyStopping(patience=3), EarlyStopping(patience=6, every=3)]
    return [[], stopping[:1], stopping[1:], [stopping[1], ReduceLROnPlateau(patience=1)]][kind]

"""One fit and one save, and what goes with them, of a network whose shapes hang on a number."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.interface import Array
from nnx.layers import Backward, Context

BACKENDS = ("numpy", "numba")

Task = tuple[list[nnx.Layer], Any, dict[str, Any]]
"""Layers, inputs, and options of `fit` and `predict`."""


@dataclass(eq=False, repr=False)
class Doubling(nnx.Layer):
    """y = 2 x, as people write layers of their own."""

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        del context
        return self.ops.add(x, x), lambda dy: self.ops.add(dy, dy)


def dense(draw: random.Random, rows: int) -> Task:
    widths, features = [draw.randint(1, 40) for _ in range(draw.randint(1, 3))], draw.randint(1, 50)
    inner: list[nnx.Layer] = [nnx.Dense(width, activation="relu") for width in widths]
    return inner, np.random.default_rng(rows).normal(size=(rows, features)), {}


def normalised(draw: random.Random, rows: int) -> Task:
    layers, x, options = dense(draw, rows)
    return [*layers, nnx.BatchNorm(), nnx.Dropout(draw.uniform(0.1, 0.9)), Doubling()], x, options


def images(draw: random.Random, rows: int) -> Task:
    size, channels = draw.randint(5, 14), draw.randint(1, 4)
    layers = [nnx.Conv2D(draw.randint(1, 8), draw.randint(1, 3)), nnx.MaxPool2D(2), nnx.Flatten()]
    return layers, np.random.default_rng(rows).normal(size=(rows, size, size, channels)), {}


def sequences(draw: random.Random, rows: int) -> Task:
    steps, features = draw.randint(1, 12), draw.randint(1, 9)
    kind = draw.choice([nnx.LSTM, nnx.GRU, nnx.SimpleRNN])
    lengths = np.arange(rows) % steps + 1
    x = np.random.default_rng(rows).normal(size=(rows, steps, features))
    return [kind(draw.randint(1, 12))], x, {"lengths": lengths}


KINDS: tuple[Callable[[random.Random, int], Task], ...] = (dense, normalised, images, sequences)


def run(number: int, folder: Path) -> None:
    """Make the network of this number, train, save, load and predict; every eighth in a thread that then ends."""
    if number % 8:
        _run(number, folder)
        return
    failures: list[BaseException] = []
    thread = threading.Thread(target=_noted, args=(number, folder, failures))
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _noted(number: int, folder: Path, failures: list[BaseException]) -> None:
    try:
        _run(number, folder)
    except BaseException as error:
        failures.append(error)


def _run(number: int, folder: Path) -> None:
    draw = random.Random(number)
    rows, classes = draw.randint(4, 60), draw.randint(2, 6)
    layers, x, options = KINDS[number % len(KINDS)](draw, rows)
    with nnx.use_backend(draw.choice(BACKENDS)):
        dtype = draw.choice(["float32", "float64"])
        model = nnx.Sequential([*layers, nnx.Dense(classes)], seed=number, dtype=dtype)
    model.compile("softmax_cross_entropy", draw.choice(["sgd", "adam", "rmsprop"]))
    y, path = np.arange(rows) % classes, folder / f"{number % 10}.h5"
    size, kept = draw.randint(1, rows), folder / f"run{number % 10}.h5"
    watchers: list[nnx.callbacks.Callback] = [nnx.callbacks.CSVLogger(folder / "log.csv")]
    watchers.append(nnx.callbacks.Checkpoint(kept, keep_last=2))
    model.fit(x, y, batch_size=size, callbacks=watchers, **options)
    model.evaluate(x, y, **options)
    expected = model.predict(x, **options)
    model.save_weights(folder / f"{number % 10}.safetensors")
    model.load_weights(folder / f"{number % 10}.safetensors")
    model.save(path)
    copy = nnx.load(path, model.backend, own_classes=[Doubling])
    np.testing.assert_array_equal(copy.predict(x, **options), expected)
    if number % 5 == 0:
        copy.fit(x, y, epochs=2, batch_size=size, resume=kept, **options)
        copy.to(draw.choice(BACKENDS))
    if "lengths" in options:
        copy.stream(2).predict(x[:2])

"""The part of a model's file that holds a run of `fit`: `RunState` as JSON values and named arrays, and back.

In `config`, under "run": options, step, steps_before, epoch_factor, epoch_override, rate_factor, rate_override,
stopped, measurements (the length of each list of the history, by name), callbacks (what each remembers) and kept
(the epoch of the weights that each keeps, or null). Datasets:

==========================  =================  ===================================================================
dataset                     type               contents
==========================  =================  ===================================================================
history.K                   float64 (epochs)   measurement number K, in the order of `measurements`
losses, correct             float64, int64     one per step done in the unfinished epoch
callback.K.NAME             as NAME            NAME (values, state, step, moment...) as callback number K keeps it
==========================  =================  ===================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_count, check_number
from nnx.history import History
from nnx.movable import Weights
from nnx.resumption import Position, RunState

Host: TypeAlias = NDArray[Any]
Read: TypeAlias = Callable[[str, str, tuple[int, ...]], Host]
"""Reads the dataset of that name, dtype and shape."""


def facts(run: RunState) -> dict[str, Any]:
    """Return what stands in `config`."""
    return {
        "options": dict(run.options),
        **asdict(run.position),
        "rate_factor": run.rate_factor,
        "rate_override": run.rate_override,
        "stopped": run.history.stopped,
        "measurements": {name: len(values) for name, values in run.history.measurements.items()},
        "callbacks": list(run.callbacks),
        "kept": [None if kept is None else kept.epoch for kept in run.kept],
    }


def arrays(run: RunState, names: Sequence[str]) -> dict[str, Host]:
    """Return the datasets; `names` are those of the arrays of a model's state, in their order."""
    named = {"losses": run.losses, "correct": run.correct}
    for number, values in enumerate(run.history.measurements.values()):
        named[f"history.{number}"] = np.asarray(values, np.float64)
    for number, kept in enumerate(run.kept):
        if kept is not None:
            named |= {f"callback.{number}.{name}": held for name, held in zip(names, kept.arrays, strict=True)}
    return named


def read(stored: Mapping[str, Any], layout: Mapping[str, tuple[str, tuple[int, ...]]], fetch: Read) -> RunState:
    """Return the run that `facts` and `arrays` describe.

    Args:
        stored: what stands in `config`.
        layout: dtype and shape of the arrays of the model's state, by name, in their order.
        fetch: reads a dataset.

    Raises:
        KeyError, TypeError, ValueError: `stored` is not what `facts` gives.
        FileFormatError: a dataset is not what it should be.
    """
    step = check_count("step", stored["step"], 0)
    losses, correct = fetch("losses", "float64", (step,)), fetch("correct", "int64", (step,))
    if not (np.isfinite(losses).all() and (correct >= 0).all()):
        raise ValueError("losses must be finite, and correct at least 0")
    return RunState(
        dict(stored["options"]),
        read_history(stored, fetch),
        Position(step, check_count("steps_before", stored["steps_before"], 0), *_rates(stored, "epoch")),
        *_rates(stored, "rate"),
        [dict(state) for state in stored["callbacks"]],
        [
            None if epoch is None else _weights(number, check_count("epoch", epoch, 0), layout, fetch)
            for number, epoch in enumerate(stored["kept"])
        ],
        losses,
        correct,
    )


def _rates(stored: Mapping[str, Any], kind: str) -> tuple[float, float | None]:
    """Return what the learning rate is multiplied and replaced by."""
    factor, override = f"{kind}_factor", f"{kind}_override"
    rate = stored[override]
    return check_number(factor, stored[factor], 0), None if rate is None else check_number(override, rate, 0)


def _weights(number: int, epoch: int, layout: Mapping[str, tuple[str, tuple[int, ...]]], fetch: Read) -> Weights:
    held = tuple(fetch(f"callback.{number}.{name}", *wanted) for name, wanted in layout.items())
    if not all(np.isfinite(values).all() for values in held):
        raise ValueError(f"the weights that callback {number} keeps hold NaN or infinity")
    return Weights(held, epoch)


def read_history(stored: Mapping[str, Any], fetch: Read) -> History:
    """Return the history of the run that `facts` and `arrays` describe, and read nothing else.

    Raises:
        KeyError, TypeError, ValueError, FileFormatError: as `read`.
    """
    lengths = {name: check_count("epochs", length, 0) for name, length in stored["measurements"].items()}
    measured = {
        name: fetch(f"history.{number}", "float64", (length,)).tolist()
        for number, (name, length) in enumerate(lengths.items())
    }
    return History(_sound(measured), _text("stopped", stored["stopped"]))


_ALWAYS = ("loss", "learning_rate", "seconds")
_RANGES = {
    "loss": (-np.inf, np.inf),
    "accuracy": (0, 1),
    "val_accuracy": (0, 1),
    "learning_rate": (0, np.inf),
    "seconds": (0, np.inf),
}
"""Between what numbers the finite values lie that every epoch measures; callbacks may add others of any kind."""


def _sound(measured: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return measurements that training can have made.

    Raises:
        ValueError: one is missing, was not made in every epoch, or has a value that it cannot have.
    """
    epochs = len(measured.get("loss", ()))
    for name in _ALWAYS if any(measured.values()) else ():
        if name not in measured:
            raise ValueError(f"the history must hold {name}")
    for name in measured.keys() & {*_RANGES, "val_loss"}:
        if len(measured[name]) != epochs:
            raise ValueError(f"the history must hold {name} of {epochs} epochs, got {len(measured[name])}")
    for name in measured.keys() & _RANGES.keys():
        low, high = _RANGES[name]
        wrong = [value for value in measured[name] if not (np.isfinite(value) and low <= value <= high)]
        if wrong:
            raise ValueError(f"the history's {name} must be finite and in [{low:g}, {high:g}], got {wrong[0]:g}")
    return measured


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got a {type(value).__name__}")
    return value

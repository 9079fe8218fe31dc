"""A run of `fit` as it stands between two steps: taken down, checked, and gone on with.

A run is decided by its model, its examples, its options and its callbacks. What it adds to the model is its
position, its history, the losses of the epoch it stands in, and what callbacks remember.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import FileFormatError, OptionError
from nnx.history import History
from nnx.inputs import Examples
from nnx.network import Weights

if TYPE_CHECKING:
    from nnx.callbacks import Callback

Host = NDArray[Any]


@dataclass(frozen=True)
class RunState:
    """What a run adds to its model.

    Attributes:
        options: what it was started with and must be started with again, as JSON values, by name.
        history: the epochs done so far.
        step: steps done in the epoch after them.
        steps_before: steps done in the epochs of `history`.
        rate_factor, rate_override: see `nnx.training.Run`.
        callbacks: what each callback remembers, as JSON values.
        kept: the weights that each callback keeps, or None.
        losses, correct: (step,) float64 and int64, the trace of the steps of this epoch.
    """

    options: Mapping[str, Any]
    history: History
    step: int = 0
    steps_before: int = 0
    rate_factor: float = 1.0
    rate_override: float | None = None
    callbacks: Sequence[Mapping[str, Any]] = ()
    kept: Sequence[Weights | None] = ()
    losses: Host = field(default_factory=lambda: np.zeros(0))
    correct: Host = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class Checkpoint:
    """What a file of `Run.save` holds besides the configuration of the model."""

    path: str
    weights: Weights
    run: RunState


def describe(batch_size: int, shuffle: bool, callbacks: Sequence[Callback], digests: Mapping[str, str]) -> Any:
    """Return what must be the same for a run to go on, as JSON values."""
    return {
        "batch_size": batch_size,
        "shuffle": shuffle,
        "callbacks": [type(callback).__name__ for callback in callbacks],
        **digests,
    }


def check_same(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a run goes on under the terms it was begun under.

    Raises:
        OptionError: naming the first difference.
    """
    for name, value in now.items():
        if name not in before or before[name] == value:
            continue
        if name.endswith("examples"):
            raise OptionError(
                f"{path!r} is a run on other {name}; give fit the same data in the same order, or train on "
                "the new ones by loading the model with nnx.load and calling fit without resume."
            )
        raise OptionError(
            f"{path!r} is a run with {name}={before[name]!r}, got {value!r}; go on with the former, or begin a new "
            "run with another file."
        )


def check_position(checkpoint: Checkpoint, steps: int) -> None:
    """Make sure that a checkpoint stands within an epoch of so many steps.

    Raises:
        FileFormatError: it does not.
    """
    step = checkpoint.run.step
    if step > steps:
        raise FileFormatError(f"{checkpoint.path}: there is no step {step} in an epoch of {steps} steps.")


def digest(examples: Examples | None) -> str:
    """Return a checksum of examples that tells these from any others; of none, an empty text."""
    if examples is None:
        return ""
    found = hashlib.blake2b(digest_size=16)
    for part in (examples.x, examples.targets, examples.weight, examples.lengths):
        if part is None:
            found.update(b"none")
            continue
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


def restore_callbacks(path: str, callbacks: Sequence[Callback], states: Sequence[Mapping[str, Any]]) -> None:
    """Give callbacks back what they remembered.

    Raises:
        FileFormatError: it is not what they gave.
    """
    for callback, state in zip(callbacks, states, strict=True):
        try:
            callback.restore(state)
        except (KeyError, TypeError, ValueError) as error:
            name = type(callback).__name__
            raise FileFormatError(f"{path}: what {name} remembered does not fit it: {error!r}.") from error

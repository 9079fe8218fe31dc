"""What a callback is, and how it follows a measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from nnx.checks import check_count, check_number
from nnx.errors import DataError, OptionError, shown

if TYPE_CHECKING:
    from nnx.movable import Snapshot
    from nnx.training import Run

Logs = Mapping[str, float]
"""Measurements by name: "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"."""

MEASURED = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
"""What nnx itself measures in an epoch."""


class Callback:
    """Base of all callbacks; override what you need.

    A callback whose decisions depend on what it saw before gives that in `state` and takes it back in `restore`, so
    that a run which was interrupted goes on as if it had not been.

    Attributes:
        every: ask `on_steps` after every so many training steps; None for never.
        saves: whether it writes checkpoints, so that it is asked by `save` and training ends in order when it is
            interrupted.
        kept: weights that it keeps for later, or None; they go into checkpoints too.
    """

    every: int | None = None
    saves: bool = False
    kept: Snapshot | None = None

    def on_train_begin(self, run: Run) -> None:
        """Called before the first epoch; in a run that goes on, `run.history` holds the epochs before.

        The run's learning rates are then those that were kept; what is set here takes their place.
        """

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """Called every `every` steps, with the number of steps done in this run, those before an interruption
        included, and the measurements of those since the last call that belong to this epoch.
        """

    def on_epoch_end(self, run: Run, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch, counted from 0 in this run, with its measurements.

        What is put into `logs` under a new name is a measurement too: callbacks behind this one find it there, and
        it stands in the history, NaN in epochs that have none. Values that are there already must stay.
        """

    def on_train_end(self, run: Run) -> None:
        """Called after the last epoch, and also when training ends by an error."""

    def save(self, run: Run) -> None:
        """Called, if `saves`, for `run.save` to be called with a path.

        That is after every epoch, after every `every` steps, and when training is interrupted; `run.ending` tells
        whether nothing comes after.
        """

    def config(self) -> dict[str, Any] | None:
        """Return the options on which training depends, as JSON values.

        A run goes on with callbacks of the same classes and options only. None is for a callback that has no
        bearing on training: it may come, go and change.
        """
        return {}

    def state(self) -> dict[str, Any]:
        """Return what the callback remembers, as JSON values; `kept` goes by itself."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave, after `on_train_begin`; what stands in `kept` has been put there.

        Raises:
            KeyError, TypeError, ValueError: it is not what `state` gives.
        """

    @property
    def lasting(self) -> bool:
        """Whether a run that goes on must have it again: training depends on it, or it remembers something."""
        return self.config() is not None or type(self).state is not Callback.state

    @property
    def watches_steps(self) -> bool:
        """Whether `on_steps` does something, so that its measurements are worth making."""
        return type(self).on_steps is not Callback.on_steps


class Monitor:
    """Follows one measurement and remembers its best value.

    Args:
        name: a measurement such as "val_loss".
        min_delta: by how much a value must be better to count, >= 0.
        mode: "max" if larger values are better, "min" if smaller ones are; "auto" to tell by the name, which ends
            in "accuracy" or "loss".

    Raises:
        OptionError: min_delta is out of its range, or the name does not tell which values are better.
    """

    def __init__(self, name: str, min_delta: float = 0.0, mode: str = "auto") -> None:
        """Begin without a best value."""
        if not isinstance(name, str):
            raise OptionError(f"monitor must be the name of a measurement such as 'val_loss', got {name!r}.")
        self.name, self.min_delta = name, check_number("min_delta", min_delta, 0)
        self.mode = _known_mode(name) if mode == "auto" else mode
        if self.mode not in ("min", "max"):
            raise OptionError(f'mode must be "min", "max" or "auto", got {mode!r}.')
        self.reset()

    def config(self) -> dict[str, Any]:
        """Return the options, as JSON values."""
        return {"monitor": self.name, "min_delta": self.min_delta, "mode": self.mode}

    def reset(self) -> None:
        """Forget the best value."""
        self.best, self.waited = math.nan, 0

    def improved(self, logs: Logs) -> bool:
        """Take the newest value and tell whether it is the best so far; count how long none was.

        Raises:
            DataError: there is no such measurement.
        """
        if self.name not in logs:
            raise DataError(
                f"monitor {self.name!r} is not measured; there are {', '.join(sorted(logs))}.{_hint(self.name)}"
            )
        value = logs[self.name]
        gain = value - self.best if self.mode == "max" else self.best - value
        if not math.isnan(value) and (math.isnan(self.best) or gain > self.min_delta):
            self.best, self.waited = value, 0
            return True
        self.waited += 1
        return False

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes, as JSON values."""
        return {"best": None if math.isnan(self.best) else repr(self.best), "waited": self.waited}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            KeyError, TypeError, ValueError: it is not what `state` gives.
        """
        self.best = math.nan if state["best"] is None else float(state["best"])
        self.waited = check_count("waited", state["waited"], 0)


def _known_mode(name: str) -> str:
    for ending, mode in (("accuracy", "max"), ("loss", "min"), ("learning_rate", "min"), ("seconds", "min")):
        if name.endswith(ending):
            return mode
    raise OptionError(
        f"monitor={name!r} does not tell which values are better, as the names of accuracies and losses do; add "
        'mode="max" for larger ones, or mode="min".'
    )


def _hint(name: str) -> str:
    if name in ("val_loss", "val_accuracy"):
        return " Give fit validation_data or validation_split."
    return " A callback that puts it into logs must stand before this one, and do so in every epoch."


def check_added(callback: Callback, known: Logs, logs: dict[str, float]) -> dict[str, float]:
    """Return what `Callback.on_epoch_end` has put into the measurements of the epoch, and keep it there as floats.

    Raises:
        OptionError: it has changed what was there, or a value is no number, or has the name of another measurement.
    """
    name = type(callback).__name__
    if any(key not in logs or logs[key] is not value for key, value in known.items()):
        raise OptionError(f"{name} changed measurements in logs; put a value there under a name of its own.")
    added = {key: value for key, value in logs.items() if key not in known}
    for key, value in added.items():
        if not isinstance(key, str) or key in MEASURED:
            raise OptionError(f"{name} put {key!r} into logs, which is no name for a measurement beside nnx's own.")
        if isinstance(value, bool) or not isinstance(value, Real):
            raise OptionError(f"{name} put {key!r} into logs, which must be a number, got {shown(value)}.")
        logs[key] = added[key] = float(value)
    return added


def check_callbacks(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks as a list.

    Raises:
        OptionError: one callback in place of a list of them, or something that is none.
    """
    if isinstance(callbacks, Callback):
        raise OptionError(f"callbacks must be a list of nnx callbacks, got a single {type(callbacks).__name__}.")
    if isinstance(callbacks, str) or not isinstance(callbacks, Iterable):
        raise OptionError(
            f"callbacks must be a list of nnx callbacks, such as [nnx.callbacks.EarlyStopping()], got "
            f"{callbacks!r}."
        )
    checked = list(callbacks)
    for callback in checked:
        if not isinstance(callback, Callback):
            raise OptionError(
                f"callbacks must be nnx callbacks, got {callback!r}; subclass nnx.callbacks.Callback."
            )
    return checked

"""What a callback is, and how it follows a measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nnx.checks import check_count, check_number
from nnx.errors import DataError, OptionError

if TYPE_CHECKING:
    from nnx.movable import Snapshot
    from nnx.training import Run

Logs = Mapping[str, float]
"""Measurements by name: "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"."""


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

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """Called after each epoch, counted from 0 in this run, with its measurements."""

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
    """

    def __init__(self, name: str, min_delta: float = 0.0) -> None:
        """Begin without a best value."""
        if not isinstance(name, str):
            raise OptionError(f"monitor must be the name of a measurement such as 'val_loss', got {name!r}.")
        self.name, self.min_delta = name, check_number("min_delta", min_delta, 0)
        self.reset()

    def config(self) -> dict[str, Any]:
        """Return the options, as JSON values."""
        return {"monitor": self.name, "min_delta": self.min_delta}

    def reset(self) -> None:
        """Forget the best value."""
        self.best, self.waited = math.nan, 0

    def improved(self, logs: Logs) -> bool:
        """Take the newest value and tell whether it is the best so far; count how long none was.

        Raises:
            DataError: there is no such measurement.
        """
        if self.name not in logs:
            hint = " Give fit validation_data or validation_split." if self.name.startswith("val_") else ""
            raise DataError(f"monitor {self.name!r} is not measured; there are {', '.join(sorted(logs))}.{hint}")
        value = logs[self.name]
        gain = value - self.best if self.name.endswith("accuracy") else self.best - value
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

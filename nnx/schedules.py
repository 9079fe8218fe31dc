"""Learning-rate schedules: functions of the training time, counted in epochs and fractions of them.

An epoch of S steps has the times 0, 1/S, 2/S, ...; a schedule thus means the same at any batch size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from nnx.checks import check_number, dataclass_options

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "Schedule",
    "Step",
    "WarmUp",
]


class Schedule:
    """Base of all schedules: maps a time in epochs to a learning rate."""

    def __call__(self, epoch: float) -> float:
        """Return the learning rate at a time, in epochs, >= 0."""
        raise NotImplementedError(f"{type(self).__name__} must supply __call__")

    def config(self) -> dict[str, Any]:
        """Return the options, by field name; inner schedules stay objects.

        Raises:
            OptionError: the class is no dataclass, and does not override this.
        """
        return dataclass_options(self)

    def _check(self, **bounds: tuple[float, bool]) -> None:
        """Check options by name against (lowest value, whether it is excluded), and keep them as Python's floats.

        A rate computed in float32 would not be the one that the schedule gives once it was read back from a file.
        """
        for option, (low, is_open) in bounds.items():
            number = check_number(option, getattr(self, option), low, open_low=is_open)
            object.__setattr__(self, option, number)


@dataclass(frozen=True)
class Constant(Schedule):
    """Always the same rate."""

    rate: float

    def __post_init__(self) -> None:
        """Check the option."""
        self._check(rate=(0, False))

    def __call__(self, epoch: float) -> float:
        """See `Schedule.__call__`."""
        del epoch
        return self.rate


@dataclass(frozen=True)
class Step(Schedule):
    """rate * factor^floor(epoch / every): a drop every so many epochs."""

    rate: float
    factor: float = 0.5
    every: float = 10

    def __post_init__(self) -> None:
        """Check the options."""
        self._check(rate=(0, False), factor=(0, True), every=(0, True))

    def __call__(self, epoch: float) -> float:
        """See `Schedule.__call__`."""
        return self.rate * self.factor ** math.floor(epoch / self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """rate * factor^epoch: a steady decay."""

    rate: float
    factor: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        self._check(rate=(0, False), factor=(0, True))

    def __call__(self, epoch: float) -> float:
        """See `Schedule.__call__`."""
        return float(self.rate * self.factor**epoch)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from rate down to final over so many epochs, then final.

    Source: Loshchilov & Hutter 2017, one period.
    """

    rate: float
    epochs: float
    final: float = 0.0

    def __post_init__(self) -> None:
        """Check the options."""
        self._check(rate=(0, False), epochs=(0, True), final=(0, False))

    def __call__(self, epoch: float) -> float:
        """See `Schedule.__call__`."""
        share = min(epoch / self.epochs, 1.0)
        return self.final + (self.rate - self.final) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight rise from 0 to where another schedule begins, over so many epochs; then that schedule.

    Source: Goyal et al. 2017.
    """

    after: Schedule | float
    epochs: float

    def __post_init__(self) -> None:
        """Check the options; a number becomes a constant schedule."""
        object.__setattr__(self, "after", check_schedule(self.after))
        self._check(epochs=(0, True))

    def __call__(self, epoch: float) -> float:
        """See `Schedule.__call__`."""
        after = check_schedule(self.after)
        return after(0) * epoch / self.epochs if epoch < self.epochs else after(epoch - self.epochs)


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.__name__: schedule for schedule in (Constant, Step, Exponential, Cosine, WarmUp)
}
"""Every schedule that a saved model may hold, by name."""


def check_schedule(rate: float | Schedule) -> Schedule:
    """Return a schedule; a number becomes a constant one.

    Raises:
        OptionError: neither a schedule nor a non-negative number.
    """
    return rate if isinstance(rate, Schedule) else Constant(check_number("learning_rate", rate, 0))

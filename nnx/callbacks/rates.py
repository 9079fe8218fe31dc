"""Callbacks that change the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nnx.callbacks.base import Callback, Logs, Monitor
from nnx.checks import check_count, check_number

if TYPE_CHECKING:
    from nnx.training import Run


class LearningRateScheduler(Callback):
    """Take the learning rate of each epoch from a function of its number, instead of the optimizer's.

    Args:
        function: maps the number of the epoch, from 0 in this run, to a learning rate >= 0. A run that goes on
            must be given the same; it cannot be compared.
    """

    def __init__(self, function: Callable[[int], float]) -> None:
        """Keep the function."""
        self.function = function

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        self._set_rate(run, run.history.epochs)

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del logs
        self._set_rate(run, epoch + 1)

    def _set_rate(self, run: Run, epoch: int) -> None:
        if epoch < run.epochs:  # the function may know no more epochs than there are
            run.rate_override = check_number("learning rate", self.function(epoch), 0)


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by a factor when a measurement has not become better for a while.

    Args:
        monitor: the measurement, such as "val_loss", or one that a callback before this one puts into the logs.
        mode: "max" if larger values are better, "min" if smaller ones are; "auto" for accuracies and losses.
        factor: what the rate is multiplied by, in (0, 1).
        patience: how many epochs in a row without an improvement are borne, >= 1.
        min_delta: by how much it must be better to count, >= 0.
        min_factor: the product of all factors does not fall below this, in [0, 1).
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        mode: str = "auto",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        min_factor: float = 0.0,
    ) -> None:
        """Check the options."""
        self.monitor, self.patience = Monitor(monitor, min_delta, mode), check_count("patience", patience)
        self.factor = check_number("factor", factor, 0, 1, open_low=True)
        self.min_factor = check_number("min_factor", min_factor, 0, 1)

    def config(self) -> dict[str, Any]:
        """See `Callback`."""
        options = {"factor": self.factor, "patience": self.patience, "min_factor": self.min_factor}
        return {**self.monitor.config(), **options}

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        self.monitor.reset()

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        del epoch
        if not self.monitor.improved(logs) and self.monitor.waited >= self.patience:
            run.rate_factor = max(run.rate_factor * self.factor, self.min_factor)
            self.monitor.waited = 0

    def state(self) -> dict[str, Any]:
        """See `Callback`; the factor itself is kept with the run."""
        return self.monitor.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self.monitor.restore(state)

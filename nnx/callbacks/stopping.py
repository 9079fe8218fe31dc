"""Ending training early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnx.callbacks.base import Callback, Logs, Monitor
from nnx.checks import check_count, check_flag

if TYPE_CHECKING:
    from nnx.training import Run


class EarlyStopping(Callback):
    """End training when a measurement has not become better for a while.

    The best weights are put back when training ends, whether it was stopped or reached its last epoch.

    Args:
        monitor: the measurement, such as "val_loss" or "val_accuracy", or one that a callback before this one puts
            into the logs.
        min_delta: by how much it must be better to count, >= 0.
        mode: "max" if larger values are better, "min" if smaller ones are; "auto" for accuracies and losses.
        patience: how many looks in a row without an improvement are borne, >= 1.
        every: look after every so many training steps; None for after every epoch.
        restore_best_weights: whether to put the best weights back.
    Source: Prechelt 1998.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
        patience: int = 10,
        every: int | None = None,
        restore_best_weights: bool = True,
    ) -> None:
        """Check the options."""
        self.monitor, self.patience = Monitor(monitor, min_delta, mode), check_count("patience", patience)
        self.every = None if every is None else check_count("every", every)
        self.restore_best_weights = check_flag("restore_best_weights", restore_best_weights)

    def config(self) -> dict[str, Any]:
        """See `Callback`."""
        options = {
            "patience": self.patience,
            "every": self.every,
            "restore_best_weights": self.restore_best_weights,
        }
        return {**self.monitor.config(), **options}

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        del run
        self.monitor.reset()
        self.kept = None

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        """See `Callback`."""
        self._look(run, f"step {step}", logs)

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        if self.every is None:
            self._look(run, f"epoch {epoch + 1}", logs)

    def _look(self, run: Run, moment: str, logs: Logs) -> None:
        if self.monitor.improved(logs):
            self.kept = run.model.snapshot() if self.restore_best_weights else None
        elif self.monitor.waited >= self.patience:
            name, best = self.monitor.name, self.monitor.best
            run.stop(f"{name} was not better than {best:.4g} for {self.patience} looks, last at {moment}")

    def on_train_end(self, run: Run) -> None:
        """See `Callback`."""
        if self.kept is not None and run.completed:  # a run that diverged keeps its last good step instead
            run.model.restore(self.kept)
        self.kept = None

    def state(self) -> dict[str, Any]:
        """See `Callback`."""
        return self.monitor.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Callback`."""
        self.monitor.restore(state)

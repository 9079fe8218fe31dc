"""When a perceptron stops, and at which rates it learns: scikit-learn's rules, as a callback of `fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx.callbacks import Callback
from nnx.callbacks.base import Logs
from nnx.sklearn.settings import Settings
from nnx.training import Run

LEAST_RATE = 1e-6
"""Below it, an adaptive rate is not lowered any more."""

_SHRINKING = 5.0


class Rules(Callback):
    """Follows the loss, or the score on validation examples, and writes what it sees into the estimator.

    Attributes of the estimator that it reads and writes: n_iter_, t_, loss_, best_loss_, loss_curve_,
    validation_scores_ and best_validation_score_ as scikit-learn has them; _waited, how many epochs in a row were
    no better; _rate, the learning rate.
    """

    def __init__(
        self, estimator: Any, settings: Settings, examples: int, score: Callable[[], float] | None
    ) -> None:
        """Take down what is trained on.

        Args:
            estimator: what to write into.
            settings: of the estimator.
            examples: how many there are in an epoch.
            score: measures the model as it is now; None where there are no validation examples.
        """
        self._estimator, self._settings, self._examples, self._score = estimator, settings, examples, score

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        run.rate_override = self._estimator._rate
        if self._score is not None:
            self.kept = run.model.snapshot()

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        """See `Callback`."""
        held, settings = self._estimator, self._settings
        held.n_iter_, held.loss_, held.t_ = epoch + 1, logs["loss"], held.t_ + self._examples
        held.loss_curve_.append(held.loss_)
        self._say(f"Iteration {held.n_iter_}, loss = {held.loss_:.8f}")
        better = self._loss_is_better() if self._score is None else self._score_is_better(run, self._score())
        held._waited = 0 if better else held._waited + 1
        if settings.decays:
            self._change_rate(run, settings.rate / (held.t_ + 1) ** settings.power_t)
        if held._waited > settings.patience:
            self._end(run)

    def _change_rate(self, run: Run, rate: float) -> None:
        """Learn at another rate from the next epoch on.

        Momentum is a sum of steps in scikit-learn, each at the rate of its time, and one of gradients here, which
        the rate multiplies as a whole: dividing the new rate out makes the two the same.
        """
        former, self._estimator._rate = self._estimator._rate, rate
        run.rate_override = rate
        for velocity in run.model.moments if rate > 0 else ():
            velocity[...] = velocity * (former / rate)

    def _loss_is_better(self) -> bool:
        held = self._estimator
        better = bool(held.loss_ <= held.best_loss_ - self._settings.tol)
        held.best_loss_ = min(held.best_loss_, held.loss_)
        return better

    def _score_is_better(self, run: Run, score: float) -> bool:
        held = self._estimator
        held.validation_scores_.append(score)
        self._say(f"Validation score: {score:f}")
        better = not score < held.best_validation_score_ + self._settings.tol
        if score > held.best_validation_score_:
            held.best_validation_score_ = score
            self.kept = run.model.snapshot()
        return better

    def _end(self, run: Run) -> None:
        held, settings = self._estimator, self._settings
        measured = "Training loss" if self._score is None else "Validation score"
        reason = (
            f"{measured} did not improve more than tol={settings.tol:f} for {settings.patience} consecutive epochs."
        )
        if settings.adapts and held._rate > LEAST_RATE:
            self._change_rate(run, held._rate / _SHRINKING)
            held._waited = 0
            self._say(f"{reason} Setting learning rate to {held._rate:f}")
            return
        self._say(f"{reason} {'Learning rate too small. ' if settings.adapts else ''}Stopping.")
        run.stop(reason)

    def on_train_end(self, run: Run) -> None:
        """See `Callback`; the weights of the best score are put back."""
        if self.kept is not None and run.completed:
            run.model.restore(self.kept)
        self.kept = None

    def _say(self, words: str) -> None:
        if self._settings.verbose:
            print(words)


def keep_record(estimator: Any, settings: Settings, fresh: bool) -> None:
    """Give an estimator the attributes that rules go by, as they are if they fit, else anew.

    They are about the score on validation examples, or about the loss; L-BFGS, which follows no rules, has none.
    """
    held = vars(estimator)
    kind = "loss" if held.get("validation_scores_") is None else "score"
    wanted = "score" if settings.early_stopping else "loss"
    if fresh:
        estimator.t_ = 0
    if settings.full_batch:
        for name in _RECORD:
            held.pop(name, None)
    elif fresh or "loss_curve_" not in held or kind != wanted:
        _begin_record(estimator, settings.early_stopping)


_RECORD = ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_", "_waited")


def _begin_record(estimator: Any, scored: bool) -> None:
    estimator.t_, estimator.loss_curve_, estimator._waited = 0, [], 0
    if scored:
        estimator.best_loss_ = None
        estimator.validation_scores_, estimator.best_validation_score_ = [], -math.inf
    else:
        estimator.best_loss_ = math.inf
        estimator.validation_scores_, estimator.best_validation_score_ = None, None

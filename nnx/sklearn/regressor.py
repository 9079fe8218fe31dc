"""The regressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d

from nnx.errors import UnknownNameError
from nnx.sklearn.parameters import Choice
from nnx.sklearn.perceptron import Goal, Host, Perceptron, for_steps
from nnx.sklearn.rows import Rows

LOSSES = {
    "squared_error": ("mean_squared_error", 0.5),
    "absolute_error": ("mean_absolute_error", 1.0),
    "huber": ("huber", 1.0),
}
"""nnx's name of each loss, and what scikit-learn multiplies it by."""


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, Perceptron, Choice):
    """A regressor of dense layers with scikit-learn's interface, on any backend of nnx.

    Args:
        loss: "squared_error", half the squared error; "absolute_error"; or "huber", the one within a distance of 1
            and the other beyond.
        hidden_layer_sizes, activation, ...: see `MLPClassifier`.

    Attributes:
        model_: the trained `nnx.Sequential`.
        validation_scores_, best_validation_score_: coefficients of determination with early_stopping, else None.
        loss_, coefs_, ...: see `MLPClassifier`.

    Examples:
        >>> from nnx.sklearn import MLPRegressor
        >>> regressor = MLPRegressor(hidden_layer_sizes=(), alpha=0, solver="sgd", learning_rate_init=0.2, tol=1e-6)
        >>> regressor.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).predict([[3.0]]).round(1)
        array([7.])
    """

    @for_steps
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch; the optimizer goes on where it ended. Arguments and errors are those of `fit`.

        Raises:
            OptionError: early_stopping is on.
            AttributeError: the solver is "lbfgs", which takes all examples at once.
        """
        return self._partial_fit(X, y, sample_weight)

    def _learn_targets(self, y: Host) -> Host:
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _encode(self, y: Host, complete: bool) -> Host:
        del complete
        return self._learn_targets(y)

    def _goal(self, targets: Host) -> Goal:
        if not isinstance(self.loss, str) or self.loss not in LOSSES:
            raise UnknownNameError("loss", self.loss, LOSSES)
        name, factor = LOSSES[self.loss]
        outputs = 1 if targets.ndim == 1 else targets.shape[1]
        return Goal(name, factor * outputs, outputs, "identity")

    def _stratified(self) -> bool:
        return False

    def _score(self, outputs: Host, rows: Rows) -> float:
        return float(r2_score(rows.targets, outputs, sample_weight=rows.weight))

    def predict(self, X: Any) -> Host:
        """Return the values, (N,), or (N, O) for several outputs.

        Raises:
            NotFittedError: `fit` was not called.
            ValueError, TypeError, NnxError: X is not what was trained on.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what is taken."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

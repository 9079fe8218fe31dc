"""What the two perceptrons have in common: parameters, training, and what there is to see of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from nnx.errors import DivergenceError, OptionError
from nnx.history import History
from nnx.model import Sequential
from nnx.sklearn.full_batch import minimise, unfinished
from nnx.sklearn.networks import Maps, draw_maps, make_layers, make_model, read_maps
from nnx.sklearn.parameters import Parameters
from nnx.sklearn.rows import Rows, check_weights, scale, set_aside, steps_of
from nnx.sklearn.rules import Rules, keep_record
from nnx.sklearn.settings import Settings, check_settings

Host = NDArray[Any]
Method = TypeVar("Method", bound=Callable[..., Any])

DTYPES = (np.float64, np.float32)
"""Of inputs and networks; all others become the first."""

_SEEDS = 1 << 63
_UNFINISHED = "Training ended at max_iter={} epochs, before the loss or the score stopped improving; allow more."


@dataclass(frozen=True)
class Goal:
    """What a perceptron is trained to do.

    Attributes:
        loss: nnx's name of the loss.
        factor: what that is multiplied by, so that gradients are those of scikit-learn: nnx means over outputs.
        outputs: how many the network has.
        out_activation: scikit-learn's name of what turns them into predictions.
    """

    loss: str
    factor: float
    outputs: int
    out_activation: str


def for_steps(method: Method) -> Method:
    """Decorate a method that an estimator has only if its solver trains by steps on parts of the data."""
    offered: Method = available_if(_trains_by_steps)(method)
    return offered


def _trains_by_steps(estimator: Perceptron) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit trains by steps on parts of the data, but solver='lbfgs' takes all examples at once; use "
            "solver='adam' or 'sgd'."
        )
    return True


class Perceptron(Parameters):
    """A network of dense layers behind scikit-learn's interface; see `MLPClassifier` and `MLPRegressor`."""

    model_: Sequential

    def _learn_targets(self, y: Host) -> Host:
        """Return targets as the loss takes them, and remember what they stand for."""
        raise NotImplementedError(f"{type(self).__name__} must supply _learn_targets")

    def _encode(self, y: Host, complete: bool) -> Host:
        """Return targets as the loss takes them, from a y like the one before, of all its labels if complete."""
        raise NotImplementedError(f"{type(self).__name__} must supply _encode")

    def _goal(self, targets: Host) -> Goal:
        """Return what the network is to do."""
        raise NotImplementedError(f"{type(self).__name__} must supply _goal")

    def _score(self, outputs: Host, rows: Rows) -> float:
        """Return how good outputs are, the more the better."""
        raise NotImplementedError(f"{type(self).__name__} must supply _score")

    def _stratified(self) -> bool:
        """Whether validation examples are to hold each target in its share."""
        raise NotImplementedError(f"{type(self).__name__} must supply _stratified")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network; with warm_start, go on from the weights there are, with a new optimizer.

        Args:
            X: (M, F) numbers, dense: an array, lists, or a frame of pandas or polars.
            y: (M,) or (M, O) targets.
            sample_weight: (M,) how much each example counts, >= 0 and not all 0.

        Raises:
            OptionError, UnknownNameError: a parameter is out of its range.
            ValueError, TypeError: scikit-learn's own errors on data.
            DivergenceError: the network became NaN or infinite; it is left as it was before that.
            BackendUnavailableError: the backend cannot run here.
        """
        settings = check_settings(self)
        fresh = not (self.warm_start and hasattr(self, "model_"))
        x, y, weight = self._take(X, y, sample_weight, fresh)
        rows = Rows(x, self._learn_targets(y) if fresh else self._encode(y, complete=True), weight)
        source, goal = check_random_state(self.random_state), self._goal(rows.targets)
        maps = draw_maps(settings, x.shape[1], goal.outputs, source) if fresh else []
        validation: Rows | None = None
        if settings.early_stopping:
            rows, validation = set_aside(rows, settings.validation_fraction, source, self._stratified())
        if fresh:
            self._begin(settings, goal, maps, x.dtype.name, source)
        self._compile(settings, goal)
        keep_record(self, settings, fresh)
        early = self._learn(rows, validation, settings, goal)
        if early:
            warnings.warn(early, ConvergenceWarning, stacklevel=2)
        return self

    def _learn(self, rows: Rows, validation: Rows | None, settings: Settings, goal: Goal) -> str:
        """Train by the solver; return why that ended too early, or an empty text."""
        if settings.full_batch:
            return self._minimise(rows, settings, goal)
        stopped = self._train(rows, validation, settings, goal, settings.max_iter).stopped
        return "" if stopped else _UNFINISHED.format(settings.max_iter)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """Train for one epoch, optimizer and learning rate going on where they ended."""
        settings = check_settings(self)
        if settings.early_stopping:
            raise OptionError("early_stopping sets examples aside for many epochs; partial_fit trains for one.")
        fresh = not hasattr(self, "model_")
        x, y, weight = self._take(X, y, sample_weight, fresh)
        rows = Rows(x, self._encode(y, complete=False), weight)
        goal = self._goal(rows.targets)
        if fresh:
            source = check_random_state(self.random_state)
            maps = draw_maps(settings, x.shape[1], goal.outputs, source)
            self._begin(settings, goal, maps, x.dtype.name, source)
            self._compile(settings, goal)
        keep_record(self, settings, fresh)
        self._train(rows, None, settings, goal, epochs=1)
        return self

    def _take(self, X: Any, y: Any, sample_weight: Any, fresh: bool) -> tuple[Host, Host, Host | None]:
        numeric = is_regressor(self)
        x, y = validate_data(self, X, y, multi_output=True, y_numeric=numeric, dtype=DTYPES, reset=fresh)
        return x, y.toarray() if issparse(y) else y, check_weights(sample_weight, len(x))

    def _begin(self, settings: Settings, goal: Goal, maps: Maps, dtype: str, source: np.random.RandomState) -> None:
        """Make a network; its seed is drawn last, so that all before is drawn as in scikit-learn."""
        self.model_ = make_model(settings, maps, dtype, int(source.randint(_SEEDS, dtype=np.int64)))
        self.n_outputs_, self.out_activation_ = goal.outputs, goal.out_activation
        self.n_layers_ = len(maps) + 1

    def _compile(self, settings: Settings, goal: Goal) -> None:
        """Begin with a new optimizer."""
        wanted = [repr(layer) for layer in make_layers(settings, goal.outputs)]
        held = [repr(layer) for layer in self.model_.chain.layers]
        if wanted != held:
            raise OptionError(
                f"warm_start goes on with the network there is, {', '.join(held)}, but the parameters now ask for "
                f"{', '.join(wanted)}; set warm_start=False to begin anew."
            )
        self.model_.compile(goal.loss, settings.optimizer)
        self._rate = settings.rate

    def _scale(self, rows: Rows, settings: Settings, goal: Goal) -> Host | None:
        """Return the weights that nnx is to give the examples, and set the penalty that goes with them."""
        weight, mean = scale(rows.weight, goal.factor, len(rows.x))
        self.model_.l2 = settings.alpha / mean  # scikit-learn divides the penalty by the sum of the weights
        return weight

    def _minimise(self, rows: Rows, settings: Settings, goal: Goal) -> str:
        """Train on all examples at once; see `_learn`."""
        weight = self._scale(rows, settings, goal)
        found = minimise(self.model_.objective(rows.x, rows.targets, sample_weight=weight), settings)
        self.n_iter_, self.loss_ = int(found.nit), float(found.fun)
        return unfinished(found, settings)

    def _train(self, rows: Rows, validation: Rows | None, settings: Settings, goal: Goal, epochs: int) -> History:
        count, weight = len(rows.x), self._scale(rows, settings, goal)
        score = None if validation is None else partial(self._score_now, validation)
        return self.model_.fit(
            rows.x,
            rows.targets,
            epochs=epochs,
            batch_size=steps_of(settings.batch_size, count),
            sample_weight=weight,
            callbacks=[Rules(self, settings, count, score)],
            shuffle=settings.shuffle,
            progress=False,
        )

    def _score_now(self, rows: Rows) -> float:
        outputs = self.model_.predict(rows.x)
        if not np.isfinite(outputs).all():
            raise DivergenceError(
                "The outputs for the examples of early_stopping became NaN or infinite. Lower learning_rate_init, "
                "or scale the inputs, and the targets of a regression."
            )
        return self._score(outputs, rows)

    def _outputs(self, X: Any) -> Host:
        """Return what the network gives for inputs, (N, O)."""
        check_is_fitted(self, "model_")
        return self.model_.predict(validate_data(self, X, dtype=DTYPES, reset=False))

    @property
    def coefs_(self) -> list[Host]:
        """Copies of the weights of each affine map, (I, O); the scales of batch normalisation are in them."""
        check_is_fitted(self, "model_")
        return [weight for weight, _ in read_maps(self.model_)]

    @property
    def intercepts_(self) -> list[Host]:
        """Copies of the offsets of each affine map, (O,), those of batch normalisation included."""
        check_is_fitted(self, "model_")
        return [offset for _, offset in read_maps(self.model_)]

"""Any compiled model as an estimator of scikit-learn."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_regressor
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from nnx.callbacks import Callback
from nnx.copying import duplicate
from nnx.errors import DataError, OptionError, ShapeError
from nnx.history import History
from nnx.model import Sequential
from nnx.random import check_seed
from nnx.sklearn.labels import check_labels, encode, find_classes
from nnx.sklearn.rows import check_weights

Host = NDArray[Any]


def wrap(model: Sequential, **options: Any) -> SequentialClassifier | SequentialRegressor:
    """Return an estimator that trains copies of a model: a classifier or a regressor, by its loss.

    The model itself is never changed: each `fit` begins with it as it is given, be it with new weights or with
    those of a file, which are then trained further.

    Args:
        model: compiled, with one row of outputs per example; one unit per class for softmax cross-entropy.
        options: parameters of `SequentialClassifier` and `SequentialRegressor`.

    Raises:
        NotBuiltError: the model is not compiled.
        OptionError: model is no `nnx.Sequential`.

    Examples:
        >>> import nnx
        >>> from nnx.sklearn import wrap
        >>> model = nnx.Sequential([nnx.Dense(8, "relu"), nnx.Dense(2)]).compile("softmax_cross_entropy")
        >>> wrap(model, epochs=50).fit([[0.0], [1.0]] * 20, ["low", "high"] * 20).classes_
        array(['high', 'low'], dtype='<U4')
    """
    if not isinstance(model, Sequential):
        raise OptionError(f"model must be an nnx.Sequential, got {model!r}.")
    kind = SequentialRegressor if model.loss.targets == "values" else SequentialClassifier
    return kind(model, **options)


class _Wrapped(BaseEstimator):
    """What both kinds have in common."""

    model_: Sequential

    def __init__(
        self,
        model: Sequential,
        *,
        epochs: int = 20,
        batch_size: int | str = 32,
        validation_split: float = 0.0,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        random_state: int | None = None,
    ) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.shuffle = shuffle
        self.callbacks = callbacks
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a copy of the model.

        Args:
            X: (M, *input shape) numbers, dense.
            y: (M,) or (M, O) targets.
            sample_weight: (M,) how much each example counts, >= 0 and not all 0.

        Raises:
            ValueError, TypeError: scikit-learn's own errors on data.
            NnxError: as `Sequential.fit`.
        """
        x, y, weight = self._take(X, y, sample_weight)
        model = duplicate(self.model, _check_random_state(self.random_state))
        model.build(x.shape[1:])
        if len(model.output_shape) != 1:
            raise ShapeError(
                f"model must give one row of outputs per example, got outputs of shape {model.output_shape}; end "
                "it in Flatten(), global pooling or return_sequences=False."
            )
        targets = self._learn_targets(model, y)
        self.model_ = model
        return self._train(x, targets, weight, self.epochs, self.validation_split)

    def _train(self, x: Host, targets: Host, weight: Host | None, epochs: int, share: float) -> Self:
        self.history_: History = self.model_.fit(
            x,
            targets,
            epochs=epochs,
            batch_size=self.batch_size,
            validation_split=share,
            sample_weight=weight,
            callbacks=copy.deepcopy(list(self.callbacks)),  # they remember what they see
            shuffle=self.shuffle,
            progress=False,
        )
        self.n_iter_ = self.history_.epochs
        return self

    def _take(self, X: Any, y: Any, sample_weight: Any) -> tuple[Host, Host, Host | None]:
        numeric = is_regressor(self)
        x, y = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=numeric, reset=True)
        return x, y, check_weights(sample_weight, len(x))

    def _learn_targets(self, model: Sequential, y: Host) -> Host:
        """Return targets as the loss of the model takes them, and remember what they stand for."""
        raise NotImplementedError(f"{type(self).__name__} must supply _learn_targets")

    def _inputs(self, X: Any) -> Host:
        check_is_fitted(self, "model_")
        checked: Host = validate_data(self, X, allow_nd=True, reset=False)
        return checked


class SequentialClassifier(ClassifierMixin, _Wrapped):
    """A model with a classification loss as an estimator; see `wrap`.

    Labels may be of any type that sorts. Under sigmoid cross-entropy, a model of several outputs takes an
    indicator: 0 and 1 for each of several labels that an example may have.

    Args:
        model: the model to begin with.
        epochs, batch_size, validation_split, shuffle: as in `Sequential.fit`.
        callbacks: `nnx.callbacks`; each `fit` uses copies of them.
        random_state: the seed in place of the model's, 0 to 2^64 - 1; None for that of the model.

    Attributes:
        model_: the trained copy.
        classes_: the labels, sorted; for an indicator the numbers of its columns.
        history_: what the last `fit` measured.
        n_iter_: epochs of the last `fit`.
        n_features_in_, feature_names_in_: as in scikit-learn; the first counts the second axis of X.
    """

    def _learn_targets(self, model: Sequential, y: Host) -> Host:
        labels, several = check_labels(y)
        outputs = model.output_shape[-1]
        if several:
            if model.loss.targets != "binary" or labels.shape[1] != outputs:
                raise DataError(
                    f"y is an indicator of {labels.shape[1]} labels, which takes a model with as many outputs "
                    f"under sigmoid_cross_entropy, got {outputs} under {model.loss.name}."
                )
            self.classes_, self._several = np.arange(outputs), True
            return labels
        self.classes_, self._several = _classes_for(model, labels, outputs), False
        return encode(labels, self.classes_)

    def predict(self, X: Any) -> Host:
        """Return the most likely label of each row, (N,), or an indicator of the likely ones, (N, O).

        Raises:
            NotFittedError: `fit` was not called.
            ValueError, TypeError, NnxError: X is not what was trained on.
        """
        x = self._inputs(X)
        decided = self.model_.predict_classes(x)
        return decided if self._several else self.classes_[decided]

    def predict_proba(self, X: Any) -> Host:
        """Return the probability of each class, (N, C), in the order of `classes_`; raises as `predict` does."""
        x = self._inputs(X)
        if self._several or self.model_.loss.targets == "labels":
            return self.model_.predict_proba(x)
        outputs = self.model_.predict(x)
        return np.hstack([expit(-outputs), expit(outputs)])

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what is taken."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.model.loss.targets == "binary"
        return tags


class SequentialRegressor(RegressorMixin, _Wrapped):
    """A model with a loss on values as an estimator; see `wrap`, and `SequentialClassifier` for what it holds."""

    def _learn_targets(self, model: Sequential, y: Host) -> Host:
        del model
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def predict(self, X: Any) -> Host:
        """Return the values, (N,), or (N, O) for several outputs.

        Raises:
            NotFittedError: `fit` was not called.
            ValueError, TypeError, NnxError: X is not what was trained on.
        """
        x = self._inputs(X)
        outputs = self.model_.predict(x)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


def _check_random_state(value: object) -> int | None:
    try:
        return None if value is None else check_seed(value)
    except OptionError as error:
        raise OptionError(
            "random_state must be None, for the seed of the model, or an integer from 0 to 2**64 - 1, got "
            f"{value!r}."
        ) from error


def _classes_for(model: Sequential, labels: Host, outputs: int) -> Host:
    """Return the classes that the outputs stand for.

    Where labels are whole numbers that the outputs could count, they need not all occur.
    """
    found, wanted = find_classes(labels), 2 if model.loss.targets == "binary" else outputs
    if model.loss.targets == "binary" and outputs > 1:
        raise DataError(
            f"y must be an indicator of {outputs} labels for this model of {outputs} outputs under "
            f"{model.loss.name}, got one label per row."
        )
    if len(found) == wanted:
        return found
    if len(found) < wanted and found.dtype.kind in "iu" and found[0] >= 0 and found[-1] < wanted:
        return np.arange(wanted)
    raise DataError(
        f"y must have {wanted} classes for this model of {outputs} output{'s' if outputs > 1 else ''} under "
        f"{model.loss.name}, got {len(found)}: {', '.join(map(repr, found.tolist()))}. Give the last layer one "
        "unit per class."
    )

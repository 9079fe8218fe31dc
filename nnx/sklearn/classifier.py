"""The classifier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import type_of_target

from nnx.errors import DataError, OptionError
from nnx.sklearn.labels import MULTILABEL, check_labels, encode, find_classes
from nnx.sklearn.perceptron import Goal, Host, Perceptron, for_steps
from nnx.sklearn.rows import Rows


class MLPClassifier(ClassifierMixin, Perceptron):
    """A classifier of dense layers with scikit-learn's interface, on any backend of nnx.

    Labels may be of any type that sorts; y of 0 and 1 with several columns gives each row any number of labels.

    Args:
        hidden_layer_sizes: units of each hidden layer, or those of a single one.
        activation: "identity", "logistic", "tanh", "relu", or another elementwise one of nnx: "gelu", "silu", ...
        solver: "adam"; "sgd"; or "lbfgs", L-BFGS of SciPy on all examples at once, which suits small data sets. It
            does without batch_size, learning_rate and all that is for the other two, without early_stopping, and
            takes no dropout, since its line search needs the same loss again at the same weights.
        alpha: factor of the L2 penalty alpha / (2 m) sum W^2, m being the number of examples in the batch.
        batch_size: examples per step; "auto" for 200, or all if they are fewer.
        learning_rate: for "sgd": "constant"; "invscaling", learning_rate_init / t^power_t after t examples; or
            "adaptive", a fifth whenever there was no improvement for n_iter_no_change epochs.
        learning_rate_init: the learning rate, > 0.
        power_t: see learning_rate.
        max_iter: most epochs to train for; for "lbfgs", most iterations.
        shuffle: whether each epoch takes the examples in a new order.
        random_state: decides initial weights, validation examples, shuffles and dropout.
        tol: by how much loss or score must be better to count as an improvement; for "lbfgs", below which slope,
            by every parameter, training ends.
        verbose: whether to print loss and score of each epoch or iteration.
        warm_start: whether `fit` goes on from the weights of the last one.
        momentum: for "sgd", in [0, 1).
        nesterovs_momentum: for "sgd", whether momentum looks ahead.
        early_stopping: whether to set examples aside, to stop by the score on them, and to keep the best weights.
        validation_fraction: the share of examples to set aside, in [0, 1).
        beta_1, beta_2: for "adam", how much of the moments is kept, in [0, 1).
        epsilon: for "adam", added to the root, > 0.
        n_iter_no_change: how many epochs in a row without an improvement are borne; may be numpy.inf.
        max_fun: for "lbfgs", most evaluations of the loss.
        backend: the name of a backend; None for the one selected when `fit` begins.
        batch_norm: whether to normalise each hidden layer over the batch, before its activation.
        dropout: share of each hidden layer's outputs that a step leaves out, in [0, 1).

    Attributes:
        model_: the trained `nnx.Sequential`.
        classes_: the labels, sorted; for an indicator the numbers of its columns.
        coefs_, intercepts_: weights and offsets of the affine maps that predictions consist of.
        loss_, loss_curve_, best_loss_: loss of the last epoch, of each, and the least (None with early_stopping);
            L2 penalty included. With "lbfgs" the first alone, that of the end.
        validation_scores_, best_validation_score_: accuracies with early_stopping, else None; not with "lbfgs".
        n_iter_, t_: epochs or iterations of the last `fit`, and examples that steps were done on in all.
        n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_: as in scikit-learn.

    Examples:
        >>> from nnx.sklearn import MLPClassifier
        >>> classifier = MLPClassifier((8,), solver="sgd", learning_rate_init=0.5, random_state=1, tol=0.001)
        >>> classifier.fit([[0.0], [0.2], [0.8], [1.0]] * 10, ["low", "low", "high", "high"] * 10).n_features_in_
        1
        >>> classifier.predict([[0.1], [0.9]])
        array(['low', 'high'], dtype='<U4')
    """

    classes_: Host

    @for_steps
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch; the optimizer goes on where it ended.

        Args:
            X: as in `fit`.
            y: as in `fit`.
            sample_weight: as in `fit`.
            classes: all labels that there will ever be; needed in the first call, unless y is an indicator.

        Raises:
            OptionError: no classes in the first call, others in a later one, or early_stopping.
            AttributeError: the solver is "lbfgs", which takes all examples at once.
            ValueError, TypeError, NnxError: as `fit`.
        """
        known = None if classes is None else find_classes(np.asarray(classes))
        if hasattr(self, "model_"):
            if known is not None and not np.array_equal(known, self.classes_):
                raise OptionError(f"classes must be those of the first call, {self.classes_}, got {known}.")
        elif type_of_target(y) == MULTILABEL:
            self._several, self.classes_ = True, np.arange(np.asarray(y).shape[1])
        elif known is None:
            raise OptionError("classes must be given in the first call of partial_fit: later y may hold others.")
        else:
            self._several, self.classes_ = False, known
        return self._partial_fit(X, y, sample_weight)

    def _learn_targets(self, y: Host) -> Host:
        labels, self._several = check_labels(y)
        self.classes_ = np.arange(labels.shape[1]) if self._several else find_classes(labels)
        return labels if self._several else encode(labels, self.classes_)

    def _encode(self, y: Host, complete: bool) -> Host:
        labels, several = check_labels(y)
        if several != self._several or (several and labels.shape[1] != len(self.classes_)):
            before = f"an indicator of {len(self.classes_)} labels" if self._several else "one label per row"
            given = f"an indicator of {labels.shape[1]}" if several else "one label per row"
            raise DataError(f"y must be {before}, as before, got {given}.")
        if several:
            return labels
        found = find_classes(labels)
        if complete and not np.array_equal(found, self.classes_):
            raise DataError(f"warm_start needs the classes of the fit before, {self.classes_}, got {found}.")
        return encode(labels, self.classes_)

    def _goal(self, targets: Host) -> Goal:
        del targets
        count = len(self.classes_)
        if self._several:
            return Goal("sigmoid_cross_entropy", count, count, "logistic")
        if count > 2:
            return Goal("softmax_cross_entropy", 1, count, "softmax")
        return Goal("sigmoid_cross_entropy", 1, 1, "logistic")

    def _stratified(self) -> bool:
        return not self._several and len(self.classes_) <= 2  # with more, as scikit-learn, which sees many columns

    def _score(self, outputs: Host, rows: Rows) -> float:
        return float(accuracy_score(rows.targets, self._decide(outputs), sample_weight=rows.weight))

    def _decide(self, outputs: Host) -> Host:
        """Return the place of each class, (N,), or an indicator, (N, O)."""
        if self._several:
            return (outputs > 0).astype(np.int64)
        if outputs.shape[1] > 1:
            return np.asarray(outputs.argmax(axis=1))
        return ((outputs[:, 0] > 0) & (len(self.classes_) > 1)).astype(np.int64)

    def predict(self, X: Any) -> Host:
        """Return the most likely label of each row, (N,), or an indicator of the likely ones, (N, O).

        Raises:
            NotFittedError: `fit` was not called.
            ValueError, TypeError, NnxError: X is not what was trained on.
        """
        decided = self._decide(self._outputs(X))
        return decided if self._several else self.classes_[decided]

    def predict_proba(self, X: Any) -> Host:
        """Return the probability of each class, (N, C), in the order of `classes_`; raises as `predict` does."""
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return np.asarray(softmax(outputs, axis=1))
        if self._several:
            return np.asarray(expit(outputs))
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        return np.hstack([expit(-outputs), expit(outputs)])

    def predict_log_proba(self, X: Any) -> Host:
        """Return the logarithms of `predict_proba`, (N, C), finite also where that is 0."""
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return np.asarray(log_softmax(outputs, axis=1))
        if self._several:
            return np.asarray(log_expit(outputs))
        if len(self.classes_) == 1:
            return np.zeros_like(outputs)
        return np.hstack([log_expit(-outputs), log_expit(outputs)])

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn what is taken."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

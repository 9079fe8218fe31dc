"""Networks as scikit-learn's estimators: for pipelines, searches, cross-validation and all else that takes one.

    from nnx.sklearn import MLPClassifier          # in place of: from sklearn.neural_network import MLPClassifier
    classifier = MLPClassifier((64, 32), backend="numba", batch_norm=True, random_state=1).fit(x, y)

`MLPClassifier` and `MLPRegressor` have scikit-learn's parameters, attributes and rules for stopping, and besides
`backend`, `batch_norm` and `dropout`; `wrap` makes an estimator of any compiled `nnx.Sequential`. They pass
`sklearn.utils.estimator_checks.check_estimator`.

From the same random_state, the initial weights and the validation examples are those of scikit-learn, and without
shuffling so is the whole run, to rounding, with solver="sgd". What differs, and why:

- solver="lbfgs" is refused: nnx trains by steps on batches.
- Shuffles come from nnx's own generator, so that they are the same on every backend.
- Sample weights are divided by their mean over all examples, not over each batch: an example counts the same
  whatever batch it comes in. With one batch for all of them, the two are the same.
- The loss of several outputs, and so `loss_curve_`, is their sum, which is what both train on; scikit-learn's
  regressor shows the mean.
- epsilon of Adam stands where the paper has it, beside the corrected second moment. It tells only where gradients
  are hardly larger.
- A network that becomes NaN or infinite raises `nnx.errors.DivergenceError`, which names epoch, step and layer.
- Ctrl-C raises KeyboardInterrupt; scikit-learn warns and returns the unfinished network.
"""

from nnx.errors import MissingLibraryError

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingLibraryError("scikit-learn", "nnx.sklearn", "sklearn") from error

from nnx.sklearn.classifier import MLPClassifier
from nnx.sklearn.regressor import MLPRegressor
from nnx.sklearn.wrapping import SequentialClassifier, SequentialRegressor, wrap

__all__ = ["MLPClassifier", "MLPRegressor", "SequentialClassifier", "SequentialRegressor", "wrap"]

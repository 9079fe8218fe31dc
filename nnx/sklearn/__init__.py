"""Networks as scikit-learn's estimators: for pipelines, searches, cross-validation and all else that takes one.

    from nnx.sklearn import MLPClassifier          # in place of: from sklearn.neural_network import MLPClassifier
    classifier = MLPClassifier((64, 32), backend="numba", batch_norm=True, random_state=1).fit(x, y)

`MLPClassifier` and `MLPRegressor` have scikit-learn's parameters, attributes and rules for stopping, and besides
`backend`, `batch_norm` and `dropout`; `wrap` makes an estimator of any compiled `nnx.Sequential`. They pass
`sklearn.utils.estimator_checks.check_estimator`.

From the same random_state, the initial weights and the validation examples are those of scikit-learn, and so is
the whole run, to rounding, with solver="lbfgs" and, without shuffling, with solver="sgd". L-BFGS makes rounding
grow: after some tens of iterations two runs part. What differs, and why:

- Shuffles come from nnx's own generator, so that they are the same on every backend.
- Sample weights are divided by their mean over all examples, not over each batch: an example counts the same
  whatever batch it comes in. With one batch for all of them, the two are the same.
- The loss of several outputs, and so `loss_curve_`, is their sum, the gradient of which both follow; scikit-learn's
  regressor shows the mean, and gives L-BFGS that with the gradient of the sum, so that its steps are others.
- The loss of scikit-learn's classifiers is computed of probabilities: it loses digits, and is then cut off, where
  one comes within 1e-15 of 0 or 1. That of nnx, computed of logits, stays right. It tells where a line search of
  L-BFGS goes far.
- Warnings that training ended early come from the line that calls `fit`, those of scikit-learn from within it: a
  filter by module="sklearn" lets them through.
- epsilon of Adam stands where the paper has it, beside the corrected second moment. It tells only where gradients
  are hardly larger.
- A network that becomes NaN or infinite raises `nnx.errors.DivergenceError`, which names epoch, step and layer;
  with solver="lbfgs", which has no epochs, it names the iterations done.
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

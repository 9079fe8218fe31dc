"""scikit-learn's own checks of estimators."""

from __future__ import annotations

import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

import nnx
from nnx.sklearn import MLPClassifier, MLPRegressor, wrap

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"),
    # labels drawn by a check, of which a regression would have as many kinds
    pytest.mark.filterwarnings("ignore:The number of unique classes is greater than 50%:UserWarning"),
]


def failures(estimator: BaseEstimator) -> dict[str, str]:
    """Return the checks that did not pass, by name; none is expected to fail."""
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert len(results) > 40
    return {
        result["check_name"]: repr(result["exception"])
        for result in results
        if result["status"] not in ("passed", "skipped")
    }


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_scikit_learn_finds_nothing_that_an_estimator_should_do_otherwise(
    kind: type[BaseEstimator], backend: str
) -> None:
    assert not failures(kind(backend=backend))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_nor_with_a_solver_that_takes_all_examples_at_once(kind: type[BaseEstimator]) -> None:
    # few iterations, since more take runs apart that differ by rounding; and a penalty, without which probabilities
    # come to be 0 and 1, of which the checks, unlike predict_log_proba, take logarithms
    assert not failures(kind(solver="lbfgs", max_iter=20, alpha=0.1, backend="numba"))


def test_a_wrapped_regression_is_an_estimator_like_any_other() -> None:
    model = nnx.Sequential([nnx.Dense(16, "relu"), nnx.Dense(1)], dtype="float64", backend="numpy")
    model.compile("mean_squared_error", nnx.Adam(0.02))
    assert not failures(wrap(model, epochs=30))

"""The same run as in scikit-learn, to rounding: initial weights, steps, penalties, rates, stopping."""

from __future__ import annotations

import doctest
import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

import nnx.sklearn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((130, 6))
WEIGHT = RNG.uniform(0, 3, 130)
VALUES = X[:, 0] * 2 + X[:, 1] ** 2
TARGETS = {
    "two classes": (X[:, 0] > 0).astype(int),
    "three classes": (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3),
    "three labels": (X[:, :3] > 0).astype(int),
    "one value": VALUES,
    "two values": np.c_[VALUES, X[:, 2]],
}
SHARED: dict[str, Any] = {"hidden_layer_sizes": (7, 5), "batch_size": 40, "max_iter": 25, "random_state": 3}
RUNS: dict[str, dict[str, Any]] = {
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False, "alpha": 3.0},
    "no momentum": {"solver": "sgd", "learning_rate_init": 0.5, "momentum": 0, "learning_rate": "invscaling"},
    "invscaling": {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "invscaling", "power_t": 0.3},
    # no eps, which the two put in different places
    "adam": {"epsilon": 1e-300, "activation": "tanh", "learning_rate_init": 0.01},
    "early stopping": {
        "solver": "sgd",
        "learning_rate_init": 0.5,
        "activation": "logistic",
        "early_stopping": True,
        "n_iter_no_change": 3,
    },
}
TOLERANCE = 1e-9
"""25 epochs of 4 steps add some 1e-15 each; relu and Adam's quotients make up to thousands of times that of it."""


def both(targets: str, options: dict[str, Any], weight: Any = None) -> list[Any]:
    name = "MLPRegressor" if "value" in targets else "MLPClassifier"
    fitted = []
    for package in (neural_network, nnx.sklearn):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.append(getattr(package, name)(**SHARED | options).fit(X, TARGETS[targets], weight))
    return fitted


def assert_same_maps(theirs: Any, ours: Any) -> None:
    for a, b in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(b, a, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("targets", TARGETS)
def test_without_shuffling_a_run_is_that_of_scikit_learn(run: str, targets: str) -> None:
    theirs, ours = both(targets, {**RUNS[run], "shuffle": False})
    assert (ours.n_iter_, ours.t_, ours.out_activation_) == (theirs.n_iter_, theirs.t_, theirs.out_activation_)
    assert_same_maps(theirs, ours)
    if targets != "two values":  # of which scikit-learn shows the mean, and trains on the sum
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=TOLERANCE)
    if run == "early stopping":
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=TOLERANCE)


def test_an_adaptive_rate_falls_when_that_of_scikit_learn_does() -> None:
    options = {"solver": "sgd", "learning_rate_init": 0.5, "learning_rate": "adaptive", "shuffle": False}
    theirs, ours = both("two classes", {**options, "tol": 0.01, "n_iter_no_change": 2, "max_iter": 40})
    assert ours._rate == theirs._optimizer.learning_rate < 0.5
    assert_same_maps(theirs, ours)


def test_weights_of_examples_and_penalty_count_as_in_scikit_learn() -> None:
    options = {"solver": "sgd", "learning_rate_init": 0.1, "alpha": 3.0, "batch_size": 130}
    assert_same_maps(*both("three classes", options, WEIGHT))


@pytest.mark.parametrize(("name", "fitted"), [("MLPClassifier", "clf"), ("MLPRegressor", "regr")])
def test_the_example_in_scikit_learns_own_documentation_gives_the_same_with_the_import_changed(
    name: str, fitted: str
) -> None:
    page = inspect.getdoc(getattr(neural_network, name))
    lines = "".join(example.source for example in doctest.DocTestParser().get_examples(page))
    changed = lines.replace("from sklearn.neural_network import", "from nnx.sklearn import")
    assert changed != lines
    theirs: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    exec(lines, theirs)
    exec(changed, ours)
    assert type(ours[fitted]).__module__.startswith("nnx.")
    scores = [shown[fitted].score(shown["X_test"], shown["y_test"]) for shown in (theirs, ours)]
    # all examples are one batch, so that there is no order of them; eps = 1e-8 of Adam stands at another place,
    # which may end a run an epoch earlier or later
    assert abs(ours[fitted].n_iter_ - theirs[fitted].n_iter_) < 0.01 * theirs[fitted].n_iter_
    assert scores[1] == pytest.approx(scores[0], abs=0.005)  # the page shows two digits


def test_a_network_of_nnx_reads_digits_as_well_as_that_of_scikit_learn() -> None:
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, test_size=0.3, random_state=1, stratify=y)
    options = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "tol": 1e-2, "random_state": 1}
    scores = [
        package.MLPClassifier(**options).fit(x_train, y_train).score(x_test, y_test)
        for package in (neural_network, nnx.sklearn)
    ]
    assert scores[0] > 0.95
    # 540 test examples at 0.97: two runs that are equally good differ by less than three standard deviations
    assert abs(scores[1] - scores[0]) < 3 * np.sqrt(2 * 0.97 * 0.03 / len(y_test))

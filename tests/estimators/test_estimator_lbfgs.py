"""solver="lbfgs": runs of scikit-learn to rounding, its rules for ending, its examples with the import changed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import nnx
import nnx.sklearn
from nnx.errors import DivergenceError, OptionError
from nnx.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((130, 6))
WEIGHT = RNG.uniform(0, 3, 130)
TARGETS = {
    "two classes": (X[:, 0] > 0).astype(int),
    "three classes": (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3),
    "three labels": (X[:, :3] > 0).astype(int),
    "one value": X[:, 0] * 2 + X[:, 1] ** 2,
}
PACKAGES = (neural_network, nnx.sklearn)
SHORT: dict[str, Any] = {
    "solver": "lbfgs",
    "hidden_layer_sizes": (7, 5),
    "activation": "tanh",
    "max_iter": 10,
    "random_state": 3,
}
TOLERANCE = 1e-11
"""Some 1e-15 per evaluation of the loss; each iteration about doubles what there is: a thousand times in ten."""


@contextmanager
def cut_off() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def both(targets: str, weight: Any = None, **options: Any) -> tuple[Any, Any]:
    name = "MLPRegressor" if "value" in targets else "MLPClassifier"
    with cut_off():
        made = [getattr(package, name)(**SHORT | options) for package in PACKAGES]
        theirs, ours = (estimator.fit(X, TARGETS[targets], weight) for estimator in made)
    return theirs, ours


def assert_same(theirs: Any, ours: Any) -> None:
    assert (ours.n_iter_, ours.t_, ours.n_outputs_) == (theirs.n_iter_, theirs.t_, theirs.n_outputs_)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=TOLERANCE)
    for a, b in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(b, a, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_a_short_run_is_that_of_scikit_learn(backend: nnx.Backend, targets: str, weight: Any) -> None:
    with nnx.use_backend(backend):
        assert_same(*both(targets, weight, alpha=0.5))


@pytest.mark.parametrize(
    "options", [{"activation": "logistic"}, {"activation": "relu"}, {"max_fun": 4}, {"tol": 0.05, "max_iter": 50}]
)
def test_options_mean_what_they_mean_in_scikit_learn(options: dict[str, Any]) -> None:
    assert_same(*both("three classes", **options))


def test_a_warm_start_goes_on_from_the_weights_as_in_scikit_learn() -> None:
    estimators = both("one value", warm_start=True, max_iter=5)
    with cut_off():
        assert_same(*(estimator.fit(X, TARGETS["one value"]) for estimator in estimators))


def test_the_program_of_the_user_guide_gives_the_same() -> None:
    shown = []
    for package in PACKAGES:
        classifier = package.MLPClassifier(
            solver="lbfgs", alpha=1e-5, hidden_layer_sizes=(5, 2), random_state=1
        ).fit([[0.0, 0.0], [1.0, 1.0]], [0, 1])
        assert [weight.shape for weight in classifier.coefs_] == [(2, 5), (5, 2), (2, 1)]
        assert classifier.predict([[2.0, 2.0], [-1.0, -2.0]]).tolist() == [1, 0]
        shown.append(classifier.predict_proba([[2.0, 2.0], [1.0, 2.0]]))
    np.testing.assert_allclose(shown[1], shown[0], rtol=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_penalties_shape_decisions_as_in_the_example_of_alpha(alpha: float) -> None:
    x, y = make_moons(noise=0.3, random_state=0)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.4, random_state=42)
    grid = np.stack(np.meshgrid(np.arange(-1.5, 2.5, 0.1), np.arange(-1, 1.5, 0.1)), axis=-1).reshape(-1, 2)
    options = {"solver": "lbfgs", "random_state": 1, "max_iter": 2000, "early_stopping": True}
    surfaces, scores = [], []
    for package in PACKAGES:
        classifier = package.MLPClassifier(alpha=alpha, hidden_layer_sizes=[10, 10], **options)
        pipeline = make_pipeline(StandardScaler(), classifier).fit(x_train, y_train)
        surfaces.append(pipeline.predict_proba(grid)[:, 1])
        scores.append(pipeline.score(x_test, y_test))
    # relu has kinks, across which rounding takes runs of a hundred iterations apart: the picture is the same
    assert np.abs(surfaces[1] - surfaces[0]).mean() < 0.01
    assert scores[1] == pytest.approx(scores[0], abs=1 / len(y_test))


@pytest.mark.parametrize("options", [{"momentum": 0}, {"learning_rate": "invscaling", "nesterovs_momentum": True}])
def test_training_curves_on_iris_are_those_of_the_example(options: dict[str, Any]) -> None:
    x, y = load_iris(return_X_y=True)
    curves = []
    for package in PACKAGES:
        with cut_off():
            classifier = package.MLPClassifier(
                random_state=0, max_iter=60, solver="sgd", learning_rate_init=0.2, **options
            ).fit(MinMaxScaler().fit_transform(x), y)
        curves.append(classifier.loss_curve_)
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-9)  # all 150 examples are one batch: no order of them


def test_early_stopping_and_batch_size_mean_nothing_to_it_as_in_scikit_learn() -> None:
    plain, other = (
        both("two classes", **options)[1] for options in ({}, {"early_stopping": True, "batch_size": 7})
    )
    np.testing.assert_array_equal(other.predict_proba(X), plain.predict_proba(X))
    assert not hasattr(other, "loss_curve_")
    assert not hasattr(other, "validation_scores_")


def test_a_run_that_is_cut_off_says_by_what_and_one_that_ends_says_nothing() -> None:
    with pytest.warns(ConvergenceWarning, match=r"after 3 iterations and \d+ evaluations .* max_iter=3, before"):
        MLPRegressor(**SHORT | {"max_iter": 3}).fit(X, TARGETS["one value"])
    with pytest.warns(ConvergenceWarning, match=r"after 1 iteration and \d+ evaluations .* max_iter=1, before"):
        MLPRegressor(**SHORT | {"max_iter": 1}).fit(X, TARGETS["one value"])
    with pytest.warns(ConvergenceWarning, match=r"max_fun=4, before it converged; allow more"):
        MLPRegressor(**SHORT | {"max_fun": 4}).fit(X, TARGETS["one value"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPRegressor(**SHORT | {"tol": 0.1, "max_iter": 200}).fit(X, TARGETS["one value"])


def test_verbose_tells_the_loss_of_every_iteration(capsys: pytest.CaptureFixture[str]) -> None:
    with cut_off():
        classifier = MLPClassifier(**SHORT | {"verbose": 10}).fit(X, TARGETS["two classes"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == classifier.n_iter_ == 10
    assert lines[-1] == f"Iteration 10, loss = {classifier.loss_:.8f}"


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_there_is_no_partial_fit_since_all_examples_are_taken_at_once(kind: type) -> None:
    assert hasattr(kind(), "partial_fit")
    assert not hasattr(kind(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        _ = kind(solver="lbfgs").partial_fit
    assert "takes all examples at once; use solver='adam' or 'sgd'" in str(caught.value.__cause__)


def test_dropout_is_refused_and_batch_normalisation_predicts_by_all_examples() -> None:
    with pytest.raises(OptionError, match=r"dropout must be 0 with solver='lbfgs', .* got 0.3"):
        MLPClassifier(**SHORT | {"dropout": 0.3}).fit(X, TARGETS["two classes"])
    with cut_off():
        normalised = MLPRegressor(**SHORT | {"batch_norm": True, "alpha": 0.0}).fit(X, TARGETS["one value"])
    measured = 0.5 * np.mean((normalised.predict(X) - TARGETS["one value"]) ** 2)
    # predictions divide by the variance over n - 1 = 129 examples, training by that over n = 130
    assert measured == pytest.approx(normalised.loss_, rel=4 / 130)
    assert normalised.score(X, TARGETS["one value"]) > 0.5


def test_solvers_may_take_turns_in_a_warm_start() -> None:
    with cut_off():
        classifier = MLPClassifier(**SHORT | {"warm_start": True}).fit(X, TARGETS["two classes"])
        before = classifier.loss_
        classifier.set_params(solver="adam", max_iter=3).fit(X, TARGETS["two classes"])
        assert len(classifier.loss_curve_) == 3
        assert classifier.loss_ < 1.1 * before
        classifier.set_params(solver="lbfgs").fit(X, TARGETS["two classes"])
    assert not hasattr(classifier, "loss_curve_")
    assert classifier.loss_ < before


def test_a_loss_beyond_all_numbers_is_an_error_and_leaves_the_weights() -> None:
    with cut_off():
        regressor = MLPRegressor(**SHORT | {"warm_start": True}).fit(X, TARGETS["one value"])
    before = regressor.predict(X)
    with pytest.raises(DivergenceError, match="loss became NaN or infinite after 0 iterations of L-BFGS"):
        regressor.fit(X, 1e200 * TARGETS["one value"])
    np.testing.assert_array_equal(regressor.predict(X), before)


def test_outputs_beyond_all_numbers_are_not_taken_for_inputs_that_are() -> None:
    with pytest.raises(DivergenceError, match="outputs for the examples of early_stopping became NaN or infinite"):
        MLPRegressor(
            activation="identity", solver="sgd", learning_rate_init=1.0, early_stopping=True, random_state=0
        ).fit(*load_iris(return_X_y=True))

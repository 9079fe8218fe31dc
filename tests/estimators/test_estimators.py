"""The perceptrons in the places where people put estimators, and what they say when something is wrong."""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
from typing import Any

import joblib
import numpy as np
import pandas
import polars
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnx
from nnx.errors import DivergenceError, MissingLibraryError, OptionError, UnknownNameError
from nnx.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=1)
NAMES = [f"feature {column}" for column in range(6)]
QUICK: dict[str, Any] = {"hidden_layer_sizes": 12, "learning_rate_init": 0.02, "max_iter": 25, "random_state": 1}


def forward(estimator: Any, x: np.ndarray) -> np.ndarray:
    """Do by hand what `coefs_` and `intercepts_` stand for; the activation is tanh."""
    for weight, offset in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
        x = np.tanh(x @ weight + offset)
    return x @ estimator.coefs_[-1] + estimator.intercepts_[-1]


@pytest.mark.parametrize(
    "names",
    [
        ["low", "middle", "high"],
        [-1.0, 0.0, 7.0],
        np.array(["x", "y", "z"], object),
        np.array(["2020", "2021", "2022"], "datetime64[Y]").astype(str),
        [True, False],
    ],
    ids=lambda names: type(names[0]).__name__,
)
def test_labels_of_any_type_come_back_as_they_were(names: Any) -> None:
    labels = np.asarray(names)[Y % len(names)]
    classifier = MLPClassifier(**QUICK).fit(X, labels)
    np.testing.assert_array_equal(classifier.classes_, np.unique(labels))
    predicted = classifier.predict(X)
    assert predicted.dtype == labels.dtype
    assert (predicted == labels).mean() > 0.6  # by chance it would be a third, or a half
    best = classifier.classes_[classifier.predict_proba(X).argmax(axis=1)]
    np.testing.assert_array_equal(best, predicted)


def test_labels_without_an_order_among_them_are_refused() -> None:
    with pytest.raises(TypeError, match="got NoneType, int, str; convert them"):
        MLPClassifier().fit(X, np.array([1, "two", None], object)[Y])


@pytest.mark.parametrize("y", [Y, Y > 0, np.c_[Y > 0, Y > 1].astype(int)], ids=["three", "two", "indicator"])
def test_logarithms_of_probabilities_are_finite_where_probabilities_vanish(y: np.ndarray) -> None:
    classifier = MLPClassifier(**QUICK).fit(X, y)
    far = 1e4 * X
    with np.errstate(divide="ignore"):
        logs = np.log(classifier.predict_proba(X))
        assert np.isinf(np.log(classifier.predict_proba(far))).any()
    np.testing.assert_allclose(classifier.predict_log_proba(X), logs, atol=1e-9)
    assert np.isfinite(classifier.predict_log_proba(far)).all()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_predictions_are_what_coefs_and_intercepts_say(batch_norm: bool) -> None:
    options = {**QUICK, "hidden_layer_sizes": (9, 5), "batch_norm": batch_norm, "dropout": 0.1}
    regressor = MLPRegressor(activation="tanh", **options).fit(X, np.c_[Y, X[:, 0]])
    assert [weight.shape for weight in regressor.coefs_] == [(6, 9), (9, 5), (5, 2)]
    # some 20 roundings per product of float64
    np.testing.assert_allclose(forward(regressor, X), regressor.predict(X), rtol=1e-11, atol=1e-11)


def test_the_selected_backend_trains_unless_one_is_named(backend: nnx.Backend) -> None:
    with nnx.use_backend(backend):
        assert MLPClassifier(**QUICK).fit(X, Y).model_.backend is backend
        assert MLPClassifier(backend="generic:numpy", **{**QUICK, "max_iter": 1}).fit(X, Y).model_.backend.name != (
            backend.name
        )


def test_float32_examples_make_a_float32_network_and_all_others_float64() -> None:
    for given, expected in (("float32", "float32"), ("float64", "float64"), ("int64", "float64")):
        assert MLPRegressor(**QUICK).fit(X.astype(given), Y).predict(X).dtype == expected


@pytest.mark.parametrize("library", [pandas, polars])
def test_frames_name_the_features_and_their_order_is_held_to(library: Any) -> None:
    frame = library.DataFrame({name: X[:, column] for column, name in enumerate(NAMES)})
    classifier = MLPClassifier(**QUICK).fit(frame, library.Series(Y))
    assert classifier.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(classifier.predict(frame), MLPClassifier(**QUICK).fit(X, Y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame[NAMES[::-1]])


def test_without_scikit_learn_the_module_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "nnx.sklearn")
    with pytest.raises(MissingLibraryError, match=r"nnx-framework\[sklearn\]"):
        importlib.import_module("nnx.sklearn")


def test_sparse_examples_are_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"dense data is required. Use '.toarray\(\)'"):
        MLPClassifier().fit(csr_array(X), Y)


def test_a_search_over_a_pipeline_runs_in_several_threads() -> None:
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**QUICK))
    grid = {"mlpclassifier__dropout": [0.0, 0.9], "mlpclassifier__batch_norm": [True]}
    with joblib.parallel_config("threading"):
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, Y)
    assert search.best_params_["mlpclassifier__dropout"] == 0.0
    assert search.best_score_ > cross_val_score(MLPClassifier(max_iter=1, random_state=1), X, Y, cv=2).mean()
    importances = permutation_importance(search.best_estimator_, X, Y, random_state=1).importances_mean
    assert importances.max() > 0.1


def test_a_pickled_estimator_predicts_and_trains_on_as_before() -> None:
    first = MLPClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1, 2])
    again = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(again.predict_proba(X), first.predict_proba(X))
    np.testing.assert_array_equal(
        again.partial_fit(X, Y).predict_proba(X), first.partial_fit(X, Y).predict_proba(X)
    )
    assert not hasattr(clone(first), "model_")


def test_parts_of_the_data_train_one_network_and_need_not_hold_all_labels() -> None:
    classifier = MLPClassifier(**QUICK)
    for _ in range(30):
        classifier.partial_fit(X[Y < 2], Y[Y < 2], classes=[0, 1, 2]).partial_fit(X[Y == 2], Y[Y == 2])
    assert len(classifier.loss_curve_) == 60
    assert classifier.t_ == 30 * len(X)
    assert classifier.score(X, Y) > 0.6
    with pytest.raises(ValueError, match="labels that are not among the classes: 9"):
        classifier.partial_fit(X, np.where(Y == 2, 9, Y))
    with pytest.raises(OptionError, match="classes must be those of the first call"):
        classifier.partial_fit(X, Y, classes=[0, 1])


def test_the_first_part_must_announce_the_classes() -> None:
    with pytest.raises(OptionError, match="classes must be given in the first call"):
        MLPClassifier().partial_fit(X, Y)


def test_a_part_in_early_stopping_is_refused_as_it_is_one_epoch() -> None:
    with pytest.raises(OptionError, match="early_stopping sets examples aside"):
        MLPRegressor(early_stopping=True).partial_fit(X, Y)


def test_an_indicator_of_labels_is_learned_also_in_parts() -> None:
    y = np.c_[X[:, 0] > 0, X[:, 1] > 0, np.zeros(len(X))].astype(int)
    classifier = MLPClassifier(**QUICK).fit(X, y)
    assert classifier.predict(X).shape == classifier.predict_proba(X).shape == y.shape
    assert (classifier.predict(X) == y).mean() > 0.85
    parts = MLPClassifier(**QUICK).partial_fit(X, y).partial_fit(X, y)
    assert parts.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="y must be an indicator of 3 labels, as before, got one label per row"):
        parts.partial_fit(X, Y)


def test_several_labels_per_row_that_are_no_indicator_are_refused() -> None:
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        MLPClassifier().fit(X, np.c_[Y, Y])


def test_a_warm_start_goes_on_from_the_weights_but_not_with_another_network() -> None:
    regressor = MLPRegressor(**{**QUICK, "warm_start": True}).fit(X, Y)
    before = regressor.loss_
    assert regressor.fit(X, Y).loss_ < before
    assert len(regressor.loss_curve_) == 2 * QUICK["max_iter"]
    with pytest.raises(OptionError, match="warm_start goes on with the network there is"):
        regressor.set_params(hidden_layer_sizes=(5,)).fit(X, Y)
    classifier = MLPClassifier(**{**QUICK, "warm_start": True}).fit(X, Y)
    with pytest.raises(ValueError, match="warm_start needs the classes of the fit before"):
        classifier.fit(X, Y > 0)


def test_early_stopping_ends_with_the_weights_of_the_best_score() -> None:
    options = {**QUICK, "early_stopping": True, "validation_fraction": 0.3, "max_iter": 200}
    classifier = MLPClassifier(**options).fit(X, Y)
    assert classifier.n_iter_ < 200
    assert classifier.best_validation_score_ == max(classifier.validation_scores_)
    assert classifier.validation_scores_[-1] < classifier.best_validation_score_ + classifier.tol
    assert classifier.best_loss_ is None
    with pytest.raises(OptionError, match="leaves 1 to validate on"):
        MLPClassifier(early_stopping=True, validation_fraction=0.01).fit(X[:90], Y[:90])


def test_a_run_that_is_cut_off_warns_and_one_that_ends_does_not() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=2 epochs"):
        MLPRegressor(max_iter=2).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPRegressor(max_iter=50, tol=10).fit(X, Y)
        MLPRegressor(max_iter=50, tol=10, n_iter_no_change=np.int64(3)).fit(X, Y)


def test_verbose_tells_loss_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    MLPClassifier(verbose=True, tol=1, n_iter_no_change=2, random_state=1).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration 1, loss = 1.")
    assert lines[-1].startswith("Training loss did not improve more than tol=1.000000 for 2 consecutive epochs.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"solver": "adamw"}, "Unknown solver 'adamw'. Did you mean 'adam'"),
        ({"max_fun": 0}, "max_fun must be a whole number"),
        ({"activation": "rleu"}, "Unknown activation 'rleu'. Did you mean 'relu'"),
        ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes must hold whole numbers of at least 1, got \(8, 0\)"),
        ({"hidden_layer_sizes": "8"}, r"such as \(64, 32\)"),
        ({"alpha": -1}, r"alpha must be a number in \[0, inf\), got -1"),
        ({"batch_size": "full"}, 'batch_size must be "auto" or a whole number'),
        ({"momentum": 1.0, "solver": "sgd"}, r"momentum must be a number in \[0, 1\)"),
        ({"dropout": 1}, r"dropout must be a number in \[0, 1\)"),
        ({"early_stopping": "yes"}, "early_stopping must be True or False"),
        ({"n_iter_no_change": 2.5}, "n_iter_no_change must be a whole number"),
        ({"backend": 3}, "backend must be the name of one"),
        ({"backend": "nunpy"}, "Did you mean 'numpy'"),
        ({"verbose": "very"}, "verbose must be True, False or a whole number"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_out_of_its_range_is_named_by_fit(options: dict[str, Any], words: str) -> None:
    with pytest.raises((OptionError, UnknownNameError), match=words):
        MLPClassifier(**options).fit(X, Y)


def test_a_loss_that_nnx_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Unknown loss 'poisson'"):
        MLPRegressor(loss="poisson").fit(X, Y)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_regressor_learns_under_each_of_its_losses(loss: str) -> None:
    options = {**QUICK, "loss": loss, "max_iter": 150}
    assert MLPRegressor(**options).fit(X, X[:, 0] - X[:, 1]).score(X, X[:, 0] - X[:, 1]) > 0.9


def test_nothing_is_predicted_before_fit_and_no_weights_are_shown() -> None:
    with pytest.raises(NotFittedError):
        MLPRegressor().predict(X)
    assert not hasattr(MLPRegressor(), "coefs_")


def test_a_network_that_runs_away_says_where() -> None:
    with pytest.raises(DivergenceError, match="epoch 1, step 1"):
        MLPRegressor(solver="sgd", learning_rate_init=1e200, batch_size=40).fit(1e100 * X, 1e200 * X[:, 0])


def test_a_batch_larger_than_the_data_is_cut_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="batch_size=500 is more than the 120 examples"):
        MLPRegressor(**QUICK, batch_size=500).fit(X, Y)

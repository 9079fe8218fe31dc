"""Any compiled model as an estimator."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, cross_val_score

import nnx
from nnx.errors import DataError, NotBuiltError, OptionError, ShapeError
from nnx.sklearn import wrap

RNG = np.random.default_rng(1)
X = RNG.standard_normal((60, 4)).astype("float32")
Y = np.array(["low", "high"])[(X[:, 0] > 0).astype(int)]


def network(outputs: int, loss: str, **options: object) -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(8, "relu"), nnx.Dense(outputs)], seed=1, **options)
    return model.compile(loss, nnx.Adam(0.05))


@pytest.mark.parametrize(("outputs", "loss"), [(2, "softmax_cross_entropy"), (1, "sigmoid_cross_entropy")])
def test_a_model_with_a_loss_of_classes_becomes_a_classifier(outputs: int, loss: str) -> None:
    classifier = wrap(network(outputs, loss))
    assert is_classifier(classifier)
    classifier.fit(X, Y)
    assert classifier.score(X, Y) > 0.9
    assert classifier.classes_.tolist() == ["high", "low"]
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(classifier.classes_[probabilities.argmax(axis=1)], classifier.predict(X))


def test_a_model_with_a_loss_of_values_becomes_a_regressor() -> None:
    regressor = wrap(network(2, "mean_squared_error"), epochs=60)
    assert is_regressor(regressor)
    assert regressor.fit(X, X[:, :2]).score(X, X[:, :2]) > 0.9
    assert wrap(network(1, "huber"), epochs=1).fit(X, X[:, 0]).predict(X).shape == (60,)


def test_a_model_of_several_binary_outputs_takes_an_indicator() -> None:
    indicator = (X[:, :3] > 0).astype(int)
    classifier = wrap(network(3, "sigmoid_cross_entropy"), epochs=40).fit(X, indicator)
    assert (classifier.predict(X) == indicator).mean() > 0.9
    assert classifier.predict_proba(X).shape == (60, 3)
    with pytest.raises(DataError, match="y must be an indicator of 3 labels"):
        classifier.fit(X, Y)
    with pytest.raises(DataError, match="indicator of 3 labels, which takes a model with as many outputs"):
        wrap(network(2, "softmax_cross_entropy")).fit(X, indicator)


def test_the_model_itself_is_never_changed_and_every_fit_begins_with_it() -> None:
    model = network(2, "softmax_cross_entropy", input_shape=(4,))
    before, classifier = model.get_weights(), wrap(model, epochs=2)
    first = classifier.fit(X, Y).predict_proba(X)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])
    np.testing.assert_array_equal(classifier.fit(X, Y).predict_proba(X), first)
    np.testing.assert_array_equal(clone(classifier).fit(X, Y).predict_proba(X), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(classifier)).predict_proba(X), first)


def test_a_search_tries_seeds_epochs_and_whole_models() -> None:
    models = [network(2, "softmax_cross_entropy", backend="numpy") for _ in range(2)]
    grid = {"model": models, "epochs": [1, 12], "random_state": [5]}
    search = GridSearchCV(wrap(models[0]), grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_["epochs"] == 12
    assert search.best_estimator_.model_.seed == 5


def test_callbacks_are_copied_so_that_folds_do_not_share_their_memory() -> None:
    stopping = nnx.callbacks.EarlyStopping(patience=1, min_delta=10)
    classifier = wrap(
        network(2, "softmax_cross_entropy"), epochs=9, validation_split=0.2, callbacks=[stopping]
    ).fit(X, Y)
    assert classifier.n_iter_ == 2
    assert np.isnan(stopping.monitor.best)
    assert len(cross_val_score(classifier, X, Y, cv=3)) == 3


def test_images_are_taken_as_they_are() -> None:
    images = RNG.random((40, 6, 6, 1)).astype("float32")
    labels = np.where(images.mean(axis=(1, 2, 3)) > 0.5, "bright", "dark")
    model = nnx.Sequential([nnx.Conv2D(2, 3, activation="relu"), nnx.Flatten(), nnx.Dense(2)])
    classifier = wrap(model.compile("softmax_cross_entropy", nnx.Adam(0.05)), epochs=40).fit(images, labels)
    assert classifier.score(images, labels) > 0.8


def test_whole_numbers_need_not_all_occur_and_other_labels_must_be_as_many_as_the_outputs() -> None:
    digits = (X[:, 0] > 0).astype(int) * 3
    classifier = wrap(network(5, "softmax_cross_entropy"), epochs=10).fit(X, digits)
    assert classifier.classes_.tolist() == [0, 1, 2, 3, 4]
    assert set(classifier.predict(X)) == {0, 3}
    with pytest.raises(DataError, match=r"y must have 5 classes for this model of 5 outputs.*got 2: 'high', 'low'"):
        classifier.fit(X, Y)


def test_weights_of_examples_reach_the_model() -> None:
    weight = (Y == "high").astype(float)
    classifier = wrap(network(2, "softmax_cross_entropy"), epochs=30).fit(X, Y, weight)
    assert (classifier.predict(X) == "high").mean() > 0.9  # and half of them without weights
    with pytest.raises(DataError, match="every weight is zero"):
        classifier.fit(X, Y, 0 * weight)


def test_what_cannot_be_wrapped_is_refused() -> None:
    with pytest.raises(NotBuiltError, match="compile"):
        wrap(nnx.Sequential([nnx.Dense(1)]))
    with pytest.raises(OptionError, match=r"model must be an nnx.Sequential, got 3"):
        wrap(3)
    with pytest.raises(OptionError, match="random_state must be None, for the seed of the model, or an integer"):
        wrap(network(1, "huber"), random_state=-1).fit(X, X[:, 0])
    steps = nnx.Sequential([nnx.LSTM(3, return_sequences=True), nnx.Dense(2)]).compile("softmax_cross_entropy")
    with pytest.raises(ShapeError, match="one row of outputs per example"):
        wrap(steps).fit(RNG.random((10, 4, 2)), np.arange(10) % 2)

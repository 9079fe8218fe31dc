"""What outputs mean under a loss: probabilities, classes, right answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nnx
from nnx import Backend
from nnx.errors import OptionError
from nnx.losses import check_loss

RANDOM = np.random.default_rng(21)
OUTPUTS = 2 * RANDOM.normal(size=(7, 4))
SOFT = RANDOM.dirichlet(np.ones(4), 7)
VALUES = RANDOM.normal(size=(7, 4))


def predictions(backend: Backend, loss: str, outputs: int) -> tuple[nnx.Sequential, NDArray[Any], NDArray[Any]]:
    model = nnx.Sequential([nnx.Dense(outputs)], dtype="float64", input_shape=(4,), backend=backend)
    model.compile(loss)
    return model, model.predict(OUTPUTS), OUTPUTS


@pytest.mark.parametrize("outputs", [1, 3])
def test_accuracy_is_the_share_of_single_right_answers(backend: Backend, outputs: int) -> None:
    model, logits, x = predictions(backend, "sigmoid_cross_entropy", outputs)
    y = VALUES[:, :outputs] > 0
    assert model.evaluate(x, y)["accuracy"] == pytest.approx(np.mean((logits > 0) == y))


def test_accuracy_of_labels_and_distributions_is_that_of_the_likeliest_class(backend: Backend) -> None:
    model, logits, x = predictions(backend, "softmax_cross_entropy", 4)
    expected = np.mean(logits.argmax(axis=1) == SOFT.argmax(axis=1))
    assert 0 < expected < 1
    assert model.evaluate(x, SOFT)["accuracy"] == pytest.approx(expected)
    assert model.evaluate(x, SOFT.argmax(axis=1))["accuracy"] == pytest.approx(expected)


def test_a_logit_of_zero_is_of_class_zero_and_classes_are_whole_numbers() -> None:
    loss = check_loss("sigmoid_cross_entropy")
    for outputs, expected in [
        (np.array([[0.0], [1e-300], [-1.0]]), [0, 1, 0]),
        (np.array([[0.0, 1.0], [-1.0, 2.0]]), [[0, 1], [0, 1]]),
        (np.array([[[0.0], [0.5]]]), [[0, 1]]),
    ]:
        classes = loss.classes(outputs)
        assert classes.dtype == np.int64
        np.testing.assert_array_equal(classes, expected)


def test_probabilities_of_a_softmax_sum_to_one_and_classes_are_the_largest(backend: Backend) -> None:
    model, logits, x = predictions(backend, "softmax_cross_entropy", 3)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(x), expected, rtol=1e-13)
    np.testing.assert_array_equal(model.predict_classes(x), logits.argmax(axis=1))
    assert model.predict_classes(x).dtype == np.int64


@pytest.mark.parametrize("outputs", [1, 3])
def test_probabilities_of_a_sigmoid_stand_alone_and_classes_are_on_their_side_of_a_half(
    backend: Backend, outputs: int
) -> None:
    model, logits, x = predictions(backend, "sigmoid_cross_entropy", outputs)
    np.testing.assert_allclose(model.predict_proba(x), 1 / (1 + np.exp(-logits)), rtol=1e-13)
    classes = (logits > 0).astype(np.int64)
    np.testing.assert_array_equal(model.predict_classes(x), classes[:, 0] if outputs == 1 else classes)


@pytest.mark.parametrize("method", ["predict_proba", "predict_classes"])
def test_regressions_have_neither_probabilities_nor_classes(backend: Backend, method: str) -> None:
    model, _, x = predictions(backend, "mean_squared_error", 2)
    with pytest.raises(OptionError) as caught:
        getattr(model, method)(x)
    what = {"predict_proba": "probabilities", "predict_classes": "classes"}[method]
    assert str(caught.value) == (
        f"{what} exist for classification losses only; this model has 'mean_squared_error'."
    )

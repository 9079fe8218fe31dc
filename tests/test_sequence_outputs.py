"""Outputs with more axes, one per step or pixel: their losses, accuracies, classes and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.problems import weights_of

import nnx
from nnx import Backend
from nnx.errors import DataError, ShapeError
from nnx.losses import LOSSES, check_loss

RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(5, 4, 3))
LABELS = RANDOM.integers(0, 3, (5, 4))
VALUES = RANDOM.normal(size=(5, 4, 3))
BITS = (VALUES > 0).astype(float)
WEIGHT = RANDOM.uniform(0.5, 2, (5, 4))
CLASS_WEIGHT = {0: 0.5, 1: 2.0, 2: 1.0}


def dense(backend: Backend | str, loss: str, outputs: int = 3, shape: tuple[int, ...] = (4, 3)) -> nnx.Sequential:
    """Make a model that maps every step alone, so that each step could be an example of its own."""
    model = nnx.Sequential([nnx.Dense(outputs)], seed=5, dtype="float64", input_shape=shape, backend=backend)
    return model.compile(loss, nnx.SGD(0.5))


def targets_of(loss: str) -> NDArray[Any]:
    return {"labels": LABELS, "binary": BITS, "values": VALUES}[check_loss(loss).targets]


def flat(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(-1, *array.shape[2:])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_steps_count_like_examples_of_their_own(backend: Backend, loss: str, weight: NDArray[Any] | None) -> None:
    steps, rows, y = dense(backend, loss), dense(backend, loss, shape=(3,)), targets_of(loss)
    one = steps.fit(X, y, epochs=2, batch_size="full", sample_weight=weight)
    other = rows.fit(
        flat(X), flat(y), epochs=2, batch_size="full", sample_weight=None if weight is None else flat(weight)
    )
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-12)
    np.testing.assert_allclose(weights_of(steps), weights_of(rows), rtol=1e-12, atol=1e-14)
    assert one.get("accuracy") == other.get("accuracy")
    assert steps.evaluate(X, y) == pytest.approx(rows.evaluate(flat(X), flat(y)), rel=1e-12)


def test_distributions_per_step_equal_their_labels(backend: Backend) -> None:
    one, other = (dense(backend, "softmax_cross_entropy") for _ in range(2))
    first, second = one.fit(X, LABELS, batch_size=2), other.fit(X, np.eye(3)[LABELS], batch_size=2)
    assert first["accuracy"] == second["accuracy"]
    np.testing.assert_allclose(weights_of(one), weights_of(other), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "y", [LABELS[..., None], LABELS.astype(float), LABELS.tolist()], ids=["column", "float", "list"]
)
def test_labels_per_step_are_taken_in_any_form(backend: Backend, y: Any) -> None:
    model = dense(backend, "softmax_cross_entropy")
    assert model.evaluate(X, y) == model.evaluate(X, LABELS)


@pytest.mark.parametrize("loss", ["sigmoid_cross_entropy", "mean_squared_error"])
def test_a_single_output_per_step_needs_no_axis_of_its_own(backend: Backend, loss: str) -> None:
    model = dense(backend, loss, outputs=1)
    assert model.evaluate(X, BITS[..., 0]) == model.evaluate(X, BITS[..., :1])


def test_a_weight_per_example_is_that_of_each_of_its_steps(backend: Backend) -> None:
    one, other = (dense(backend, "softmax_cross_entropy") for _ in range(2))
    weight = np.arange(5.0)
    one.fit(X, LABELS, batch_size=2, sample_weight=weight)
    other.fit(X, LABELS, batch_size=2, sample_weight=np.repeat(weight[:, None], 4, axis=1))
    np.testing.assert_array_equal(weights_of(one), weights_of(other))


def test_class_weights_are_the_weights_of_the_steps_with_those_labels(backend: Backend) -> None:
    one, other = (dense(backend, "softmax_cross_entropy") for _ in range(2))
    factors = np.vectorize(CLASS_WEIGHT.get)(LABELS)
    one.fit(X, LABELS, batch_size=2, class_weight=CLASS_WEIGHT, sample_weight=WEIGHT)
    other.fit(X, LABELS, batch_size=2, sample_weight=WEIGHT * factors)
    np.testing.assert_allclose(weights_of(one), weights_of(other), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("eager", [False, True], ids=["replayed", "eager"])
def test_images_of_outputs_are_trained_pixel_by_pixel(backend: Backend, eager: bool) -> None:
    x, y = RANDOM.normal(size=(5, 2, 2, 3)), RANDOM.integers(0, 3, (5, 2, 2))
    pixels, rows = dense(backend, "softmax_cross_entropy", shape=(2, 2, 3)), dense(backend, "softmax_cross_entropy")
    rows.fit(x.reshape(5, 4, 3), y.reshape(5, 4), batch_size=2, eager=eager)
    pixels.fit(x, y, batch_size=2)
    np.testing.assert_array_equal(weights_of(pixels), weights_of(rows))
    assert pixels.predict_classes(x).shape == (5, 2, 2)


def test_classes_and_probabilities_are_given_for_every_step(backend: Backend) -> None:
    model = dense(backend, "softmax_cross_entropy")
    logits = model.predict(X)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-13)
    np.testing.assert_array_equal(model.predict_classes(X), logits.argmax(axis=-1))


@pytest.mark.parametrize("outputs", [1, 3])
def test_binary_classes_of_steps_are_on_their_side_of_a_half(backend: Backend, outputs: int) -> None:
    model = dense(backend, "sigmoid_cross_entropy", outputs)
    positive = (model.predict(X) > 0).astype(np.int64)
    np.testing.assert_array_equal(model.predict_classes(X), positive[..., 0] if outputs == 1 else positive)


@pytest.mark.parametrize(
    ("loss", "y", "error", "says"),
    [
        (
            "softmax_cross_entropy",
            LABELS[:, 0],
            ShapeError,
            "y must be labels (N, 4) or distributions (N, 4, 3), got shape (5,). The model gives outputs for every "
            "step; for one target per example, end it in one output per example (return_sequences=False",
        ),
        ("softmax_cross_entropy", LABELS[:, :3], ShapeError, "y must be labels (N, 4) or distributions"),
        ("softmax_cross_entropy", LABELS.reshape(5, 2, 2), ShapeError, "y must be labels (N, 4) or distributions"),
        (
            "softmax_cross_entropy",
            np.eye(4)[LABELS],
            ShapeError,
            "or distributions (N, 4, 3), got shape (5, 4, 4).",
        ),
        ("softmax_cross_entropy", LABELS + 1, DataError, "labels y must be 0 to 2 for a model with 3 outputs"),
        ("softmax_cross_entropy", np.eye(3)[LABELS] * 2, DataError, "that sums to 1, row 0, step 0 sums to 2."),
        (
            "softmax_cross_entropy",
            np.where(np.arange(60).reshape(5, 4, 3) == 59, -0.5, np.eye(3)[LABELS]),
            DataError,
            "of shares of at least 0, row 4, step 3 holds -0.5.",
        ),
        ("mean_squared_error", VALUES[:, :3], ShapeError, "y must have shape (N, 4, 3) like the model's outputs"),
        ("mean_squared_error", LABELS, ShapeError, "like the model's outputs, got (5, 4)."),
        ("mean_squared_error", LABELS[:, 0], ShapeError, "got (5,). The model gives outputs for every step"),
        ("sigmoid_cross_entropy", VALUES * 9, DataError, "y must lie between 0 and 1 for this loss"),
    ],
)
def test_targets_that_do_not_fit_the_steps_are_refused(loss: str, y: Any, error: type, says: str) -> None:
    model = dense("generic:numpy", loss)
    for method in (model.fit, model.evaluate):
        with pytest.raises(error) as caught:
            method(X, y)
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"sample_weight": np.ones(4)}, ShapeError, "sample_weight must have shape (5,) or (5, 4), got (4,)."),
        ({"sample_weight": np.ones((5, 3))}, ShapeError, "must have shape (5,) or (5, 4), got (5, 3)."),
        (
            {"sample_weight": np.where(LABELS[1, 2] == LABELS, -1, 1)},
            DataError,
            "at least 0 as float64, got -1 for row",
        ),
        ({"sample_weight": np.diag([1, 1, 1, 1, np.inf])[:, 1:]}, DataError, "got inf for row 4, step 3."),
        ({"class_weight": {0: 1, 1: 1}}, DataError, "class_weight must name every class in y; 2 is missing."),
    ],
)
def test_weights_that_do_not_fit_the_steps_are_refused(options: dict[str, Any], error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        dense("generic:numpy", "softmax_cross_entropy").fit(X, LABELS, **options)
    assert says in str(caught.value)


def test_class_weights_of_steps_need_one_label_per_step() -> None:
    with pytest.raises(DataError, match="class_weight needs integer labels, one per step"):
        dense("generic:numpy", "mean_squared_error").fit(X, VALUES, class_weight={0: 1.0})
    with pytest.raises(DataError, match="class_weight needs integer labels, one per step"):
        dense("generic:numpy", "softmax_cross_entropy").fit(X, np.eye(3)[LABELS], class_weight={0: 1, 1: 1, 2: 1})

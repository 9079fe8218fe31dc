"""Weights of examples and classes that a model cannot take: refused before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.problems import classification, full_network, weights_of

from nnx import Dense, Sequential
from nnx.errors import DataError, DtypeError, OptionError, ShapeError

X, Y = classification(6)

BAD_WEIGHTS = [
    pytest.param(
        {"sample_weight": np.ones(5)}, ShapeError, "sample_weight must have shape (6,), got (5,)", id="short"
    ),
    pytest.param({"sample_weight": np.ones((6, 1))}, ShapeError, "must have shape (6,), got (6, 1)", id="column"),
    pytest.param({"sample_weight": [-1] * 6}, DataError, "must hold finite numbers of at least 0", id="negative"),
    pytest.param({"sample_weight": [np.inf] * 6}, DataError, "sample_weight must hold finite", id="infinite"),
    pytest.param({"sample_weight": ["a"] * 6}, DtypeError, "sample_weight must hold real numbers", id="text"),
    pytest.param(
        {"class_weight": {0: 1, 1: 1}}, DataError, "must name every class in y; 2 is missing", id="missing"
    ),
    pytest.param(
        {"class_weight": dict.fromkeys(range(3), -1)}, DataError, "class_weight must hold finite", id="below 0"
    ),
    pytest.param(
        {"class_weight": dict.fromkeys(range(3), "a")}, DataError, "class_weight must hold finite", id="words"
    ),
    pytest.param(
        {"sample_weight": np.ma.masked_less([1.0] * 6, 2)}, DataError, "sample_weight is a masked", id="masked"
    ),
    pytest.param(
        {"class_weight": {0: 1, 1: 1, 2: 1, 7: 1, "dog": 2}},
        DataError,
        "class_weight may name the labels 0 to 2 of this model, got [7, 'dog'] besides.",
        id="labels of no output",
    ),
    pytest.param({"class_weight": "balanced"}, OptionError, "class_weight must map labels to numbers", id="a word"),
]


@pytest.mark.parametrize(("options", "error", "says"), BAD_WEIGHTS)
def test_weights_of_examples_and_classes_are_refused(options: dict[str, Any], error: type, says: str) -> None:
    model = full_network("generic:numpy")
    before = weights_of(model)
    with pytest.raises(error) as caught:
        model.fit(X, Y, **options)
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"sample_weight": [1, 1e300, 1, 1, 1, 1]},
            "sample_weight must hold finite numbers of at least 0 as float32",
        ),
        (
            {"class_weight": {0: 1, 1: 1e300, 2: 1}},
            "class_weight must hold finite numbers of at least 0 as float32",
        ),
        (
            {"sample_weight": [1e30] * 6, "class_weight": {0: 1, 1: 1e30, 2: 1}},
            "sample_weight times class_weight must hold finite numbers of at least 0 as float32, got inf for row 1",
        ),
    ],
    ids=["of examples", "of classes", "of both"],
)
def test_weights_that_overflow_in_the_models_dtype_are_refused_before_training(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError) as caught:
        full_network("generic:numpy", "float32").fit(X, Y, **options)
    assert says in str(caught.value)


def test_binary_targets_have_two_classes_and_values_any_number_of_them() -> None:
    model = Sequential([Dense(1)], input_shape=(4,), backend="generic:numpy").compile("sigmoid_cross_entropy")
    model.fit(X, Y > 0, class_weight={0: 1.0, 1: 2.0})
    with pytest.raises(
        DataError, match=r"class_weight may name the labels 0 to 1 of this model, got \[2\] besides"
    ):
        model.fit(X, Y > 0, class_weight={0: 1.0, 1: 2.0, 2: 3.0})
    model.compile("mean_squared_error").fit(X, Y + 7, class_weight={7: 1.0, 8: 2.0, 9: 3.0})


def test_class_weights_need_classes() -> None:
    model = Sequential([Dense(1)], backend="generic:numpy").compile("mean_squared_error")
    with pytest.raises(DataError, match="class_weight needs integer labels, one per example"):
        model.fit(X, X[:, 0], class_weight={0: 1.0})

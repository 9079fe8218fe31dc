"""Data that a model cannot take: refused with the argument's name, leaving the model as it was."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from support.problems import classification, full_network, weights_of

import nnx
from nnx import Dense, Sequential, registry
from nnx.errors import DataError, DtypeError, NnxError, OptionError, ShapeError

X, Y = classification(6)
HOLE = X.copy()
HOLE[2, 1] = np.nan

BAD_X = [
    pytest.param(X[:, :3], ShapeError, "x must have shape (N, 4), got (6, 3).", id="too few features"),
    pytest.param(
        X[0], ShapeError, "got (4,). For a single example, add the batch axis: x[None].", id="one example"
    ),
    pytest.param(X[None], ShapeError, "x must have shape (N, 4), got (1, 6, 4).", id="an axis too many"),
    pytest.param(3.0, ShapeError, "x must have a batch axis first, got a single number.", id="a number"),
    pytest.param([], ShapeError, "x must have shape (N, 4), got (0,).", id="empty list"),
    pytest.param([[1, 2, 3, 4], [1, 2]], ShapeError, "x must be rectangular, got nested", id="ragged"),
    pytest.param(X.astype(object), DtypeError, "got dtype object. Objects are no numbers", id="objects"),
    pytest.param(
        X.astype(complex), DtypeError, "x must hold real numbers, got dtype complex128. Give real and", id="complex"
    ),
    pytest.param(X.astype(str), DtypeError, "x must hold real numbers, got dtype <U", id="text"),
    pytest.param("data", DtypeError, "got a text or a path, 'data': if it is a path, read it", id="a string"),
    pytest.param(
        np.ma.masked_greater(X, 1),
        DataError,
        "x is a masked array, but nnx would use the masked elements like all others; replace them by .filled",
        id="masked",
    ),
    pytest.param([*np.ma.masked_greater(X, 1)], DataError, "x is a masked array", id="masked rows"),
    pytest.param(None, DtypeError, "got dtype object: it holds missing values, such as None;", id="None"),
    pytest.param(HOLE, DataError, "x holds NaN or infinity as float64, first in row 2; replace", id="NaN"),
    pytest.param(np.where(HOLE == X, X, -np.inf), DataError, "x holds NaN or infinity", id="infinity"),
]

BAD_Y = [
    pytest.param(Y[:5], ShapeError, "y must have one row per example of x (6), got shape (5,).", id="too short"),
    pytest.param(1, ShapeError, "y must have one row per example of x (6), got shape ().", id="a number"),
    pytest.param(np.eye(4)[Y], ShapeError, "y must be labels (N,) or distributions (N, 3), got", id="four columns"),
    pytest.param(
        Y + 1,
        DataError,
        "labels y must be 0 to 2 for a model with 3 outputs, got 1 to 3, the first wrong one in row 2.",
        id="from one",
    ),
    pytest.param(
        Y - 1, DataError, "got -1 to 1, the first wrong one in row 0. Number the classes from 0 on.", id="negative"
    ),
    pytest.param(Y + 0.5, DataError, "labels y must be whole numbers, got 0.5 in row 0.", id="halves"),
    pytest.param(Y * 1e300, DataError, "labels y must be 0 to 2", id="huge"),
    pytest.param(np.full(6, 2**63, np.uint64), DataError, "labels y must be 0 to 2", id="beyond int64"),
    pytest.param(np.where(Y, Y, np.nan), DataError, "y holds NaN or infinity as float64, first in row 0", id="NaN"),
    pytest.param(["cat"] * 6, DtypeError, "got dtype <U3: it holds texts, such as 'cat';", id="names"),
    pytest.param(Y.astype(object), DtypeError, "y must hold real numbers, got dtype object.", id="objects"),
    pytest.param(np.eye(3)[Y] * 2, DataError, "must be a distribution that sums to 1, row 0 sums to 2.", id="sums"),
    pytest.param(
        [[1, 0, 0], [0.5, 0.4, 0], [1.5, -0.5, 0], *[[0, 1, 0]] * 3],
        DataError,
        "each row of y must be a distribution, of shares of at least 0, row 2 holds -0.5.",
        id="negative shares",
    ),
    pytest.param(np.ma.masked_equal(Y, 1), DataError, "y is a masked array", id="masked"),
]


@pytest.mark.parametrize(("x", "error", "says"), BAD_X)
@pytest.mark.parametrize("method", ["fit", "predict", "evaluate", "predict_proba"])
def test_inputs_are_refused_by_every_method(method: str, x: Any, error: type, says: str) -> None:
    model = full_network("generic:numpy")
    before = weights_of(model)
    arguments = (x,) if method.startswith("predict") else (x, Y)
    with pytest.raises(error) as caught:
        getattr(model, method)(*arguments)
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


@pytest.mark.parametrize(("y", "error", "says"), BAD_Y)
@pytest.mark.parametrize("method", ["fit", "evaluate", "validation_data"])
def test_targets_are_refused_by_every_method(method: str, y: Any, error: type, says: str) -> None:
    model = full_network("generic:numpy")
    before = weights_of(model)
    arguments = {"x": X, "y": Y, "validation_data": (X, y)} if method == "validation_data" else {"x": X, "y": y}
    with pytest.raises(error) as caught:
        getattr(model, "evaluate" if method == "evaluate" else "fit")(**arguments)
    for short, full in {"x": "validation_data[0]", "y": "validation_data[1]"}.items():
        says = re.sub(rf"\b{short}\b", full, says) if method == "validation_data" else says
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


def test_errors_call_validation_inputs_by_their_name() -> None:
    model = full_network("generic:numpy")
    for x, says in (
        (X[:, :3], "validation_data[0] must have shape (N, 4), got (6, 3)."),
        (X[0], "For a single example, add the batch axis: validation_data[0][None]."),
        (HOLE, "validation_data[0] holds NaN or infinity"),
    ):
        with pytest.raises(NnxError) as caught:
            model.fit(X, Y, validation_data=(x, Y))
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"epochs": -1}, OptionError, "epochs must be a whole number of at least 0, got -1"),
        ({"epochs": 1.5}, OptionError, "epochs must be a whole number of at least 0, got 1.5"),
        ({"batch_size": 0}, OptionError, "a whole number of at least 1, got 0"),
        ({"batch_size": "all"}, OptionError, "a whole number of at least 1, got 'all'"),
        ({"validation_split": 1}, OptionError, "validation_split must be a number in [0, 1), got 1"),
        (
            {"validation_split": 0.01},
            DataError,
            "leaves 6 to train on and 0 to validate on; both must be at least 1",
        ),
        ({"validation_split": 0.99}, DataError, "leaves 0 to train on and 6 to validate on"),
        ({"validation_split": 0.5, "validation_data": (X, Y)}, OptionError, "exclude each other; give one of them"),
        ({"validation_data": X}, OptionError, "validation_data must be (x, y) or (x, y, lengths), got ndarray."),
        ({"validation_data": (X,)}, OptionError, "must be (x, y) or (x, y, lengths), got tuple of 1."),
        ({"validation_data": [X, Y, Y, Y]}, OptionError, "must be (x, y) or (x, y, lengths), got list of 4."),
        ({"validation_data": (X, Y, Y)}, ShapeError, "validation_data[2] needs sequences, (N, T, features)"),
        ({"lengths": Y}, ShapeError, "lengths needs sequences, (N, T, features) or (N, T) tokens, but the model"),
        ({"validation_data": (X[:0], Y[:0])}, DataError, "validation_data[0] holds no examples"),
        ({"callbacks": [print]}, OptionError, "callbacks must be nnx callbacks, got <built-in function print>"),
        ({"callbacks": nnx.callbacks.EarlyStopping()}, OptionError, "callbacks must be a list of nnx callbacks"),
    ],
)
def test_options_of_fit_are_refused_before_anything_is_trained_or_built(
    options: dict[str, Any], error: type, says: str
) -> None:
    built, fresh = full_network("generic:numpy"), Sequential([Dense(3)]).compile("softmax_cross_entropy")
    before = weights_of(built)
    for model in (built, fresh):
        with pytest.raises(error) as caught:
            model.fit(X, Y, **options)
        assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(built), before)
    assert not fresh.built


@pytest.mark.parametrize(
    ("x", "y"),
    [(X, Y + 9), (X, Y[:2]), (HOLE, Y), (X[:0], Y[:0]), (X.astype(str), Y)],
    ids=["labels", "length", "NaN", "empty", "text"],
)
def test_a_refused_first_fit_does_not_build_the_model_for_those_data(x: Any, y: Any) -> None:
    model = Sequential([Dense(3)], backend="generic:numpy").compile("softmax_cross_entropy")
    with pytest.raises(NnxError):
        model.fit(x, y)
    assert not model.built
    model.fit(np.c_[X, X], Y)
    assert model.input_shape == (8,)


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_no_examples_are_refused(method: str) -> None:
    with pytest.raises(DataError, match="x holds no examples; training and evaluation need at least one"):
        getattr(full_network("generic:numpy"), method)(X[:0], Y[:0])


@pytest.mark.parametrize(
    ("loss", "y", "error", "says"),
    [
        (
            "mean_squared_error",
            X[:, :3],
            ShapeError,
            "y must have shape (N, 2) like the model's outputs, got (6, 3).",
        ),
        ("mean_squared_error", Y, ShapeError, "y must have shape (N, 2) like the model's outputs, got (6,)."),
        ("sigmoid_cross_entropy", X[:, :2], DataError, "y must lie between 0 and 1 for this loss, got "),
        (
            "sigmoid_cross_entropy",
            2 * np.ones((6, 2)),
            DataError,
            "y must lie between 0 and 1 for this loss, got 2 to 2",
        ),
        ("huber", np.full((6, 2), 1e39), DataError, "y holds 1e+39 in row 0, too large for float32; scale it"),
    ],
)
def test_targets_of_other_losses_are_refused(loss: str, y: Any, error: type, says: str) -> None:
    model = Sequential([Dense(2)], input_shape=(4,), backend="generic:numpy").compile(loss)
    with pytest.raises(error) as caught:
        model.fit(X, y)
    assert says in str(caught.value)


def test_bools_as_labels_of_too_few_outputs_are_refused_like_numbers() -> None:
    model = Sequential([Dense(1)], input_shape=(4,), backend="generic:numpy").compile("softmax_cross_entropy")
    with pytest.raises(DataError, match="labels y must be 0 to 0 for a model with 1 outputs, got 0 to 1"):
        model.fit(X, Y > 0)


IMAGES = np.ones((2, 5, 6, 1))


@pytest.mark.parametrize(
    ("x", "shape", "says"),
    [
        (IMAGES[..., 0], (5, 6, 1), "got (2, 5, 6). Give the images an axis of channels: x[..., None]."),
        (np.ones((2, 3, 5, 6)), (5, 6, 3), "got (2, 3, 5, 6). Channels come last: np.moveaxis(x, 1, -1)."),
        (IMAGES[0], (5, 6, 1), "For a single example, add the batch axis: x[None]."),
        (np.ones((2, 5, 6)), (5, 6, 3), "got (2, 5, 6)."),
        (np.ones((2, 4, 6, 1)), (5, 6, 1), "got (2, 4, 6, 1)."),
    ],
    ids=["no channels", "channels first", "one image", "no colours", "smaller"],
)
def test_images_of_other_axes_are_refused_with_the_way_to_change_them(
    x: Any, shape: tuple[int, ...], says: str
) -> None:
    model = Sequential([nnx.Conv2D(2, 3)], input_shape=shape, backend="generic:numpy")
    with pytest.raises(ShapeError) as caught:
        model.predict(x)
    assert str(caught.value).endswith(says)


@pytest.mark.parametrize("argument", ["x", "y", "sample_weight"])
def test_arrays_of_another_backend_are_taken_like_all_others(argument: str) -> None:
    strict = registry.get("generic:array_api_strict")
    model, plain = (full_network("generic:numpy") for _ in range(2))
    data = {"x": X, "y": Y, "sample_weight": np.ones(6)}
    plain.fit(**data)
    model.fit(**data | {argument: strict.asarray(data[argument], "float64")})
    np.testing.assert_array_equal(weights_of(model), weights_of(plain))


@pytest.mark.parametrize(
    ("x", "y", "hint"),
    [
        (np.zeros((4, 30)), np.zeros(30, int), r"give x\.T\.$"),
        (np.zeros((4, 30)), np.zeros((3, 30)), r"give x\.T and y\.T\.$"),
        (np.zeros((30, 4)), np.zeros((3, 30)), r"give y\.T\.$"),
        (np.zeros((30, 4)), np.zeros(29, int), r"got shape \(29,\)\.$"),
    ],
)
def test_features_times_examples_are_told_to_be_turned(x, y, hint):
    model = nnx.Sequential([nnx.Dense(3)], backend="numpy").compile("softmax_cross_entropy")
    with pytest.raises(ShapeError, match=hint):
        model.fit(x, y)

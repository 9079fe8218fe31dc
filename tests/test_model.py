"""The model: building, options, weights, snapshots, predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.problems import assert_same_bits, classification, full_network, regression, weights_of

import nnx
from nnx import Backend, Dense, Sequential
from nnx.errors import (
    BackendError,
    DataError,
    DtypeError,
    NotBuiltError,
    OptionError,
    ShapeError,
    UnknownNameError,
)


def test_a_model_keeps_the_backend_that_was_selected_when_it_was_made(backend: Backend) -> None:
    with nnx.use_backend(backend):
        model = Sequential([Dense(2)]).compile("mean_squared_error")
    assert not model.built
    with nnx.use_backend("generic:numpy"):
        model.fit(*regression())
    assert model.backend is backend


def test_a_model_built_early_equals_one_built_by_fit(backend: Backend) -> None:
    x, y = regression()
    early, late = (Sequential([Dense(2)], seed=3, input_shape=shape, backend=backend) for shape in ((4,), None))
    for model in (early, late):
        model.compile("mean_squared_error").fit(x, y)
    assert_same_bits(early, late)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_and_weights_have_the_models_dtype(backend: Backend, dtype: str) -> None:
    model = full_network(backend, dtype)
    assert model.predict(np.zeros((3, 4))).dtype == dtype
    assert {value.dtype for value in model.get_weights().values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_predictions_do_not_depend_on_how_they_are_cut(backend: Backend, batch_size: int) -> None:
    model, (x, _) = full_network(backend), classification(7)
    np.testing.assert_allclose(model.predict(x, batch_size=batch_size), model.predict(x), rtol=1e-12, atol=1e-14)


def test_predictions_of_no_examples_are_empty_and_of_one_a_row(backend: Backend) -> None:
    model = full_network(backend)
    assert model.predict(np.zeros((0, 4))).shape == (0, 3)
    assert model.predict(np.zeros((1, 4))).shape == (1, 3)
    assert model.compile("softmax_cross_entropy").predict_classes(np.zeros((0, 4))).shape == (0,)


def test_predicting_and_evaluating_change_nothing(backend: Backend) -> None:
    model, (x, y) = full_network(backend), classification()
    model.fit(x, y)
    before = weights_of(model)
    model.predict(x)
    model.predict_proba(x)
    model.evaluate(x, y)
    np.testing.assert_array_equal(weights_of(model), before)


def test_evaluation_is_the_loss_of_the_predictions_without_the_penalty(backend: Backend) -> None:
    model, (x, y) = full_network(backend), classification()
    logits = model.predict(x)
    expected = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(30), y])
    assert model.evaluate(x, y)["loss"] == pytest.approx(expected, rel=1e-12)
    assert model.evaluate(x, y)["accuracy"] == np.mean(logits.argmax(axis=1) == y)


def test_images_and_sequences_keep_their_axes(backend: Backend) -> None:
    layers = [nnx.Reshape((3, 8)), Dense(5, activation="relu"), nnx.LayerNorm(), nnx.Flatten(), Dense(3)]
    model = Sequential(layers, input_shape=(2, 3, 4), backend=backend).compile("softmax_cross_entropy")
    x = np.random.default_rng(0).normal(size=(6, 2, 3, 4))
    losses = model.fit(x, [0, 1, 2, 0, 1, 2], epochs=30)["loss"]
    assert losses[-1] < losses[0]
    assert model.predict(x).shape == (6, 3)


def test_a_snapshot_brings_back_every_bit(backend: Backend) -> None:
    model, (x, y) = full_network(backend), classification()
    model.fit(x, y, epochs=2)
    snapshot, before = model.snapshot(), weights_of(model)
    first = model.fit(x, y, epochs=2)
    after = weights_of(model)
    model.restore(snapshot)
    np.testing.assert_array_equal(weights_of(model), before)
    second = model.fit(x, y, epochs=2)
    np.testing.assert_array_equal(weights_of(model), after)
    assert first["loss"] == second["loss"]


def test_weights_given_out_are_copies_and_weights_taken_in_are_copied(backend: Backend) -> None:
    model = full_network(backend)
    weights = model.get_weights()
    before = {name: value.copy() for name, value in weights.items()}
    for value in weights.values():
        value += 1
    assert all((model.get_weights()[name] == before[name]).all() for name in before)
    model.set_weights(weights)
    given = {name: value.copy() for name, value in weights.items()}
    for value in weights.values():
        value += 1
    assert all((model.get_weights()[name] == given[name]).all() for name in given)


@pytest.mark.parametrize(
    ("weights", "error", "says"),
    [
        ({"0.wait": 0}, UnknownNameError, "Unknown weight '0.wait'. Did you mean '0.weight'?"),
        ({"0.weight": np.zeros((4, 3))}, ShapeError, "weight '0.weight' must have shape (4, 2), got (4, 3)."),
        ({"0.bias": [np.nan, 0]}, DataError, "weight '0.bias' holds NaN or infinity"),
        ({"0.bias": [1e39, 0]}, DataError, "weight '0.bias' holds 1e+39 in row 0, too large for float32"),
        ({"0.bias": ["a", "b"]}, DtypeError, "weight '0.bias' must hold real numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_none_is_taken(
    backend: Backend, weights: dict[str, Any], error: type, says: str
) -> None:
    model = Sequential([Dense(2)], input_shape=(4,), backend=backend)
    before = weights_of(model)
    good = {name: np.ones_like(value) for name, value in model.get_weights().items() if name not in weights}
    with pytest.raises(error) as caught:
        model.set_weights({**good, **weights})
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"dtype": "float16"}, OptionError, "dtype must be 'float32' or 'float64', got 'float16'"),
        ({"dtype": np.float32}, OptionError, "dtype must be 'float32' or 'float64', got <class"),
        ({"seed": -1}, OptionError, "seed must be an integer from 0 to 2**64 - 1, got -1"),
        ({"input_shape": 4}, OptionError, "input_shape must be the shape of one example, such as (784,), got 4"),
        ({"input_shape": "34"}, OptionError, "input_shape must be the shape of one example"),
        ({"input_shape": (0,)}, OptionError, "input_shape must hold whole numbers of at least 1, got (0,)."),
        ({"input_shape": (3.5,)}, OptionError, "input_shape must hold whole numbers of at least 1, got (3.5,)."),
        ({"input_shape": (None, 4)}, OptionError, "input_shape must hold whole numbers of at least 1, got (None"),
        (
            {"backend": "nunba", "input_shape": (4,)},
            UnknownNameError,
            "Unknown backend 'nunba'. Did you mean 'numba'?",
        ),
        ({"backend": 3, "input_shape": (4,)}, BackendError, "backend must be a name or an nnx.Backend, got 3"),
    ],
)
def test_bad_options_are_refused_when_the_model_is_made(options: dict[str, Any], error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        Sequential([Dense(2)], **options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda model: model.predict(np.zeros((1, 4))), "The model has no weights yet; call fit, or build"),
        (lambda model: model.get_weights(), "The model has no weights yet"),
        (lambda model: model.set_weights({}), "The model has no weights yet"),
        (lambda model: model.summary(), "The model has no weights yet"),
        (lambda model: model.evaluate(*regression()), "The model has no weights yet"),
        (lambda model: model.predict_proba(np.zeros((1, 4))), "The model has no loss yet; call model.compile"),
        (lambda model: model.fit(*regression()), "The model has no loss yet; call model.compile"),
    ],
)
def test_a_model_used_too_early_says_what_to_call_first(use: Callable[[Sequential], Any], says: str) -> None:
    model = Sequential([Dense(2)], backend="generic:numpy")
    with pytest.raises(NotBuiltError) as caught:
        use(model)
    assert says in str(caught.value)
    assert not model.built


@pytest.mark.parametrize("activation", ["softmax", "log_softmax", "sigmoid"])
@pytest.mark.parametrize(
    "last",
    [
        lambda name: Dense(3, activation=name),
        nnx.Activation,
        lambda name: nnx.Conv2D(3, 1, activation=name),
        lambda name: nnx.TimeDistributed([Dense(3), nnx.TimeDistributed([nnx.Activation(name)])]),
    ],
    ids=["Dense", "Activation", "Conv2D", "TimeDistributed"],
)
def test_a_final_activation_that_the_loss_applies_itself_is_refused(
    activation: str, last: Callable[[str], nnx.Layer]
) -> None:
    model = Sequential([Dense(3), last(activation)])
    with pytest.raises(OptionError) as caught:
        model.compile("softmax_cross_entropy")
    assert f"without activation={activation!r}, and use predict_proba for probabilities" in str(caught.value)
    with pytest.raises(NotBuiltError, match="no loss yet"):
        model.fit(*classification())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("huberr",), UnknownNameError),
        (("huber", "adan"), UnknownNameError),
        (("huber", "sgd", -1.0), OptionError),
        (("huber", "sgd", float("nan")), OptionError),
    ],
)
def test_a_refused_compile_leaves_the_former_choice(arguments: tuple[Any, ...], error: type) -> None:
    model = Sequential([Dense(2)], input_shape=(4,), backend="generic:numpy")
    model.compile("mean_squared_error", nnx.Adam(0.1), l2=0.5)
    before = model.loss, model.optimizer, model.l2
    with pytest.raises(error):
        model.compile(*arguments[:2], **({"l2": arguments[2]} if len(arguments) > 2 else {}))
    assert (model.loss, model.optimizer, model.l2) == before


def test_a_model_that_cannot_be_built_stays_unbuilt_and_is_built_with_another_shape() -> None:
    model = Sequential([nnx.Reshape((2, 2)), nnx.Flatten(), Dense(1)], backend="generic:numpy")
    with pytest.raises(ShapeError, match="cannot hold the 5 elements"):
        model.build((5,))
    assert not model.built
    model.build((4,))
    assert model.output_shape == (1,)


def test_building_again_is_only_allowed_for_the_same_shape() -> None:
    model = Sequential([Dense(2)], input_shape=(4,), backend="generic:numpy")
    before = model.get_weights()["0.weight"]
    model.build([4])
    np.testing.assert_array_equal(model.get_weights()["0.weight"], before)
    with pytest.raises(ShapeError, match=r"The model was built for examples of shape \(4,\), got \(5,\)"):
        model.build((5,))


def test_a_loss_needs_outputs_of_at_least_one_axis() -> None:
    model = Sequential([nnx.Activation("tanh")], backend="generic:numpy").compile("mean_squared_error")
    with pytest.raises(ShapeError, match=r"A loss needs outputs of shape \(N, outputs\), got \(N,\). Add an axis"):
        model.fit(np.zeros(5), np.zeros(5))
    assert not model.built


def test_the_summary_names_layers_shapes_and_counts() -> None:
    text = full_network("generic:numpy").summary()
    for part in (
        "Dense(8",
        "(N, 8)",
        "BatchNorm()",
        "Residual",
        "generic:numpy",
        "163 parameters",
        "float64",
    ):
        assert part in text


@pytest.mark.parametrize("option", ["eager", "progress"])
def test_options_that_are_true_or_false_are_nothing_else(option):
    model = nnx.Sequential([nnx.Dense(1)], backend="numpy").compile("mean_squared_error")
    with pytest.raises(OptionError, match=f"{option} must be True or False, got 2"):
        model.fit([[1.0]], [[1.0]], **{option: 2})

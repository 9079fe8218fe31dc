"""Training: eager and replayed, in one piece and in several, on one backend and on another."""

from __future__ import annotations

import numpy as np
import pytest
from support.problems import (
    CLASS_WEIGHT,
    assert_same_bits,
    classification,
    fit_fully,
    full_network,
    linear_network,
    measured,
    regression,
    weights_of,
)

import nnx
from nnx import Backend, random
from nnx.schedules import Schedule

TRAJECTORY = {"float64": 1e-9, "float32": 2e-3}
"""How far, relative to the largest weight, two backends may drift apart in a few dozen steps: sums are taken in
another order, and Adam divides by roots of gradients that may be small.
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, "full", 1])
def test_eager_and_replayed_training_are_the_same_bit_for_bit(
    backend: Backend, dtype: str, batch_size: int | str
) -> None:
    replayed, eager = full_network(backend, dtype), full_network(backend, dtype)
    options = {"batch_size": batch_size, "epochs": 1 if batch_size == 1 else 3}
    logs = [fit_fully(replayed, **options), fit_fully(eager, eager=True, **options)]
    assert_same_bits(replayed, eager)
    assert measured(logs[0]) == measured(logs[1])


@pytest.mark.parametrize("first", [1, 2])
def test_two_fits_in_a_row_equal_one_of_as_many_epochs(backend: Backend, first: int) -> None:
    once, twice = full_network(backend), full_network(backend)
    whole = measured(fit_fully(once, 4))
    parts = [measured(fit_fully(twice, epochs)) for epochs in (first, 4 - first)]
    assert_same_bits(once, twice)
    assert whole == {name: parts[0][name] + parts[1][name] for name in whole}


def test_a_seed_means_the_same_bits_and_another_seed_others(backend: Backend) -> None:
    models = [full_network(backend, seed=seed) for seed in (9, 9, 10)]
    for model in models:
        fit_fully(model)
    assert_same_bits(models[0], models[1])
    assert (weights_of(models[0]) != weights_of(models[2])).any()


@pytest.mark.parametrize("dtype", TRAJECTORY)
def test_every_backend_trains_like_the_reference(backend: Backend, dtype: str) -> None:
    ours, reference = full_network(backend, dtype), full_network("generic:numpy", dtype)
    logs = fit_fully(ours, 6), fit_fully(reference, 6)
    _assert_near(ours, reference, TRAJECTORY[dtype])
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=TRAJECTORY[dtype])


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_model_moved_in_mid_training_goes_on_as_if_it_had_stayed(backend: Backend, epochs: int) -> None:
    moved, stayed = full_network(backend), full_network("generic:numpy")
    fit_fully(moved, epochs)
    moved.to("generic:numpy")
    assert moved.backend.name == "generic:numpy"
    assert all(moved.backend.owns(array) for array in moved.state_arrays())
    fit_fully(moved, 1)
    moved.to(backend)
    fit_fully(moved, 1)
    fit_fully(stayed, epochs + 2)
    _assert_near(moved, stayed, TRAJECTORY["float64"])


def test_moving_there_and_back_changes_no_bit(backend: Backend) -> None:
    moved, stayed = full_network(backend), full_network(backend)
    for model in (moved, stayed):
        fit_fully(model, 1)
    assert_same_bits(moved.to("generic:array_api_strict").to("generic:numpy").to(backend), stayed)
    fit_fully(moved, 1)
    fit_fully(stayed, 1)
    assert_same_bits(moved, stayed)


def _assert_near(one: nnx.Sequential, other: nnx.Sequential, tolerance: float) -> None:
    a, b = weights_of(one), weights_of(other)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b[: one.store.values.shape[0]]).max())


def test_without_shuffling_the_batches_come_in_the_order_given(backend: Backend) -> None:
    x, y = regression(7, 4, 1)
    model = linear_network(backend, input_shape=(4,)).compile("mean_squared_error", nnx.SGD(0.1))
    w, b = (model.get_weights()[name] for name in ("0.weight", "0.bias"))
    model.fit(x, y, epochs=2, batch_size=3, shuffle=False)
    for start in (0, 3, 6) * 2:
        rows = slice(start, start + 3)
        slope = 2 * (x[rows] @ w + b - y[rows]) / len(y[rows])
        w, b = w - 0.1 * x[rows].T @ slope, b - 0.1 * slope.sum(axis=0)
    np.testing.assert_allclose(model.get_weights()["0.weight"], w, rtol=1e-12)
    np.testing.assert_allclose(model.get_weights()["0.bias"], b, rtol=1e-12)


def test_shuffling_takes_the_order_of_seed_and_epoch(backend: Backend) -> None:
    x, y = regression(7)
    shuffled, by_hand = (
        linear_network(backend, 2, seed=6, input_shape=(4,)).compile("mean_squared_error") for _ in range(2)
    )
    shuffled.fit(x, y, epochs=3, batch_size=2)
    orders = [random.permutation(7, 6, random.stream_of("shuffle"), epoch) for epoch in range(3)]
    for order in orders:
        by_hand.fit(x[order], y[order], batch_size=2, shuffle=False)
    assert len({tuple(order) for order in orders}) == 3
    assert_same_bits(shuffled, by_hand)


def test_shuffling_shows_every_example_once_per_epoch(backend: Backend) -> None:
    """One-hot inputs: each example moves a weight of its own by one."""
    x = np.eye(6)
    model = linear_network(backend, input_shape=(6,)).compile("mean_absolute_error", nnx.SGD(1.0))
    model.set_weights({"0.weight": np.full((6, 1), 100.0)})
    model.fit(x, np.zeros((6, 1)), batch_size=1)
    np.testing.assert_allclose(model.get_weights()["0.weight"], np.full((6, 1), 99.0))


def test_logistic_regression_is_gradient_descent_by_hand(backend: Backend) -> None:
    x, labels = classification(40, 5, 2)
    model = linear_network(backend, input_shape=(5,)).compile("sigmoid_cross_entropy", nnx.SGD(0.3))
    w, b = (model.get_weights()[name] for name in ("0.weight", "0.bias"))
    history = model.fit(x, labels, epochs=25, batch_size="full")
    costs = []
    for _ in range(25):
        a = 1 / (1 + np.exp(-(x @ w + b)))
        y = labels[:, None]
        costs.append(-np.mean(y * np.log(a) + (1 - y) * np.log(1 - a)))
        dz = (a - y) / len(y)
        w, b = w - 0.3 * x.T @ dz, b - 0.3 * dz.sum(axis=0)
    np.testing.assert_allclose(model.get_weights()["0.weight"], w, rtol=1e-11)
    np.testing.assert_allclose(model.get_weights()["0.bias"], b, rtol=1e-11)
    np.testing.assert_allclose(history["loss"], costs, rtol=1e-11)
    assert model.evaluate(x, labels)["accuracy"] == np.mean((x @ w + b > 0)[:, 0] == labels)


def test_a_weight_of_two_is_the_example_twice_and_a_weight_of_zero_is_its_absence(backend: Backend) -> None:
    x, y = regression(8)
    weighted, repeated = (
        linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", nnx.SGD(0.1)) for _ in range(2)
    )
    weight = np.array([2.0, 0, 1, 1, 1, 1, 1, 1])
    rows = [0, 0, 2, 3, 4, 5, 6, 7]
    first = weighted.fit(x, y, epochs=5, batch_size="full", sample_weight=weight)
    second = repeated.fit(x[rows], y[rows], epochs=5, batch_size="full")
    np.testing.assert_allclose(weights_of(weighted), weights_of(repeated), rtol=1e-12)
    np.testing.assert_allclose(first["loss"], second["loss"], rtol=1e-12)


def test_the_content_of_an_example_of_weight_zero_does_not_matter(backend: Backend) -> None:
    x, y = regression(8)
    other = x.copy()
    other[1] = 1e3
    weight = np.array([1.0, 0, 1, 1, 1, 1, 1, 1])
    models = [linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", "adam") for _ in range(2)]
    for model, inputs in zip(models, (x, other), strict=True):
        model.fit(inputs, y, epochs=3, batch_size=4, sample_weight=weight)
    np.testing.assert_allclose(weights_of(models[0]), weights_of(models[1]), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("labels_given", [True, False], ids=["alone", "times sample_weight"])
def test_class_weights_are_the_sample_weights_of_their_classes(backend: Backend, labels_given: bool) -> None:
    x, y = classification()
    by_class, extra = np.array([CLASS_WEIGHT[label] for label in y]), np.linspace(0.1, 2, 30)
    factor = np.ones(30) if labels_given else extra
    one, other = full_network(backend), full_network(backend)
    one.fit(x, y, class_weight=CLASS_WEIGHT, sample_weight=None if labels_given else extra)
    other.fit(x, y, sample_weight=by_class * factor)
    assert_same_bits(one, other)


def test_l2_adds_the_penalty_of_the_weights_to_loss_and_gradient_biases_exempt(backend: Backend) -> None:
    x, y = regression(10)
    model = linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", nnx.SGD(0.1), l2=0.6)
    model.set_weights({"0.bias": [3.0, -2.0]})
    w, b = (model.get_weights()[name] for name in ("0.weight", "0.bias"))
    plain = model.evaluate(x, y)["loss"]
    history = model.fit(x, y, batch_size="full")
    slope = 2 * (x @ w + b - y) / y.size
    np.testing.assert_allclose(history["loss"][0], plain + 0.6 / 20 * np.sum(w**2), rtol=1e-12)
    np.testing.assert_allclose(
        model.get_weights()["0.weight"], w - 0.1 * (x.T @ slope + 0.06 * w), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(model.get_weights()["0.bias"], b - 0.1 * slope.sum(axis=0), rtol=1e-12)


def test_a_layers_own_l2_replaces_the_models(backend: Backend) -> None:
    def loss_of(own: float | None, of_model: float) -> float:
        model = nnx.Sequential([nnx.Dense(2, l2=own)], dtype="float64", input_shape=(4,), backend=backend)
        return model.compile("mean_squared_error", nnx.SGD(0.0), l2=of_model).fit(*regression())["loss"][0]

    assert loss_of(0.5, 9.0) == loss_of(0.5, 0.0) == loss_of(None, 0.5) > loss_of(0.0, 9.0) == loss_of(None, 0.0)


@pytest.mark.parametrize("eager", [False, True])
def test_a_schedules_rates_are_applied_step_by_step(backend: Backend, eager: bool) -> None:
    class Counting(Schedule):
        """1, 2, 3, ... thousandths, four steps per epoch."""

        def __call__(self, epoch: float) -> float:
            return (round(epoch * 4) + 1) / 1000

    x, y = np.ones((8, 1)), np.zeros((8, 1))
    model = linear_network(backend, input_shape=(1,)).compile("mean_absolute_error", nnx.SGD(Counting()))
    model.set_weights({"0.weight": [[50.0]], "0.bias": [50.0]})
    history = model.fit(x, y, epochs=2, batch_size=2, eager=eager)
    np.testing.assert_allclose(model.get_weights()["0.bias"], 50 - sum(range(1, 9)) / 1000, rtol=1e-13)
    assert history["learning_rate"] == [0.004, 0.008]
    history = model.fit(x, y, epochs=1, batch_size=2, eager=eager)
    assert history["learning_rate"] == [0.012]


def test_history_holds_every_measurement_of_every_epoch(backend: Backend) -> None:
    x, y = classification()
    model = full_network(backend)
    history = model.fit(x, y, epochs=3, batch_size=7, validation_data=(x[:9], y[:9]))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    assert all(len(values) == 3 for values in history.values())
    assert history.epochs == 3
    assert history.stopped == ""
    after = model.evaluate(x[:9], y[:9])
    assert history["val_loss"][-1] == pytest.approx(after["loss"], rel=1e-12)
    assert history["val_accuracy"][-1] == after["accuracy"]


def test_regressions_have_no_accuracy(backend: Backend) -> None:
    model = linear_network(backend, 2).compile("mean_squared_error")
    assert "accuracy" not in model.fit(*regression())
    assert list(model.evaluate(*regression())) == ["loss"]


def test_the_loss_of_an_epoch_weighs_a_ragged_last_batch_by_its_rows(backend: Backend) -> None:
    x, y = regression(7)
    model = linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", nnx.SGD(0))
    expected = model.evaluate(x, y)["loss"]
    assert model.fit(x, y, batch_size=3)["loss"][0] == pytest.approx(expected, rel=1e-13)
    assert model.evaluate(x, y, batch_size=2)["loss"] == pytest.approx(expected, rel=1e-13)


def test_a_validation_split_trains_on_the_others_only_and_is_the_same_in_every_fit(backend: Backend) -> None:
    x, y = regression(10)
    order = random.permutation(10, 0, random.stream_of("validation_split"))
    held_out, rest = np.sort(order[:3]), np.sort(order[3:])
    split, by_hand = (linear_network(backend, 2).compile("mean_squared_error") for _ in range(2))
    first = [measured(split.fit(x, y, epochs=2, batch_size=3, validation_split=0.3)) for _ in range(2)]
    data = {"validation_data": (x[held_out], y[held_out])}
    second = [measured(by_hand.fit(x[rest], y[rest], epochs=2, batch_size=3, **data)) for _ in range(2)]
    assert_same_bits(split, by_hand)
    assert first == second


def test_no_epochs_train_nothing_and_measure_nothing(backend: Backend) -> None:
    model = full_network(backend)
    before = weights_of(model)
    assert dict(fit_fully(model, 0)) == {}
    np.testing.assert_array_equal(weights_of(model), before)


def test_a_batch_size_larger_than_the_data_is_the_full_batch(backend: Backend) -> None:
    one, other = full_network(backend), full_network(backend)
    fit_fully(one, batch_size=1000)
    fit_fully(other, batch_size="full")
    assert_same_bits(one, other)


def test_compiling_again_starts_the_optimizer_anew(backend: Backend) -> None:
    x, y = regression()
    used = linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", "adam")
    used.fit(x, y, epochs=3)
    fresh = linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", nnx.Adam(0.1))
    fresh.set_weights(used.get_weights())
    used.compile("mean_squared_error", nnx.Adam(0.1))
    for model in (used, fresh):
        model.fit(x, y, epochs=2, batch_size="full")
    for name, value in used.get_weights().items():
        np.testing.assert_array_equal(value, fresh.get_weights()[name])


def test_progress_is_silent_when_output_is_not_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    fit_fully(full_network("generic:numpy"))
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_changes_no_number(backend: Backend, capfd: pytest.CaptureFixture[str]) -> None:
    shown, silent = full_network(backend), full_network(backend)
    history = [fit_fully(model, 1, progress=bar, batch_size=3) for model, bar in ((shown, True), (silent, False))]
    assert_same_bits(shown, silent)
    assert measured(history[0]) == measured(history[1])
    assert capfd.readouterr().out == ""

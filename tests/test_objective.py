"""The training loss as a function of all parameters: what `fit` makes small; asking for it changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import nnx
from nnx.errors import BackendError, DataError, DtypeError, NotBuiltError, OptionError, ShapeError

RNG = np.random.default_rng(5)
X, LABELS, VALUES = RNG.normal(size=(9, 4)), RNG.integers(0, 3, 9), RNG.normal(size=(9, 2))
WEIGHT = RNG.uniform(0.2, 3, 9)


class Doubling(nnx.Layer):
    """A layer that computes by NumPy, which no recording holds."""

    def forward(self, x: Any, context: nnx.Context) -> Any:
        del context
        return self.ops.asarray(2 * self.ops.backend.to_numpy(x)), lambda dy: dy + dy


def make(*layers: nnx.Layer, backend: Any = "numpy", dtype: str = "float64", l2: float = 0.3) -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(5), *layers, nnx.Dense(3)], seed=1, dtype=dtype, backend=backend)
    return model.compile("softmax_cross_entropy", nnx.SGD(1.0), l2=l2)


NETWORKS = {
    "plain": lambda: [nnx.Activation("tanh")],
    "batch norm and dropout": lambda: [nnx.BatchNorm(), nnx.Activation("relu"), nnx.Dropout(0.4)],
    "a layer of one's own": lambda: [Doubling(), nnx.Activation("tanh")],
}


@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_the_loss_that_a_step_on_all_examples_goes_down(backend: nnx.Backend, network: str) -> None:
    model = make(*NETWORKS[network](), backend=backend)
    options: dict[str, Any] = {"sample_weight": WEIGHT, "class_weight": {0: 2.0, 1: 1.0, 2: 0.5}}
    objective = model.objective(X, LABELS, **options)
    before = objective.values()
    loss, gradient = objective(before)
    history = model.fit(X, LABELS, batch_size="full", eager=True, **options)
    assert loss == history["loss"][0]
    np.testing.assert_allclose(before - objective.values(), gradient, rtol=1e-12, atol=1e-15)  # rate 1


@pytest.mark.parametrize("network", NETWORKS)
def test_the_gradient_is_the_slope_at_any_values(backend: nnx.Backend, network: str) -> None:
    objective = make(*NETWORKS[network](), backend=backend).objective(X, LABELS)
    for seed in range(3):
        random = np.random.default_rng(seed)
        values, direction = random.normal(size=(2, objective.size))
        rise = objective(values + 1e-6 * direction)[0] - objective(values - 1e-6 * direction)[0]
        assert abs(rise / 2e-6 - objective(values)[1] @ direction) < 1e-7


def test_asking_changes_nothing_and_the_same_question_has_the_same_answer(backend: nnx.Backend) -> None:
    model = make(*NETWORKS["batch norm and dropout"](), backend=backend)
    objective = model.objective(X, LABELS)
    before, values = model.get_weights(), RNG.normal(size=objective.size)
    first, second = objective(values), objective(list(values))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    for name, held in model.get_weights().items():
        np.testing.assert_array_equal(held, before[name])
    assert int(backend.to_numpy(model.step)) == model.epoch == 0


def test_a_vector_holds_the_parameters_in_the_order_of_get_weights_without_gaps() -> None:
    model = make(nnx.BatchNorm())
    objective = model.objective(X, LABELS)
    weights = {name: held for name, held in model.get_weights().items() if "running" not in name}
    assert objective.size == sum(held.size for held in weights.values()) == model.store.count()
    np.testing.assert_array_equal(objective.values(), np.concatenate([held.ravel() for held in weights.values()]))
    parts = objective.split(objective.values())
    assert list(parts) == list(weights)
    for name, held in weights.items():
        np.testing.assert_array_equal(parts[name], held)
    model.set_weights(objective.split(objective.values() + 1))
    after = model.get_weights()
    np.testing.assert_array_equal(objective.values(), np.concatenate([after[name].ravel() for name in parts]))
    np.testing.assert_array_equal(after["1.running_var"], 1)
    _, gradient = objective(objective.values())
    objective.split(gradient)["0.weight"][...] = 0  # parts share the memory of the vector
    assert not gradient[:20].any()
    assert gradient[20:].any()


def test_values_that_are_assigned_predict_by_the_statistics_of_the_examples(backend: nnx.Backend) -> None:
    model = make(nnx.BatchNorm(momentum=0.02), backend=backend)
    objective = model.objective(X, LABELS)
    values = RNG.normal(size=objective.size)
    objective.assign(values)
    np.testing.assert_array_equal(objective.values(), values)
    held = model.get_weights()
    inputs = X @ held["0.weight"] + held["0.bias"]
    np.testing.assert_allclose(held["1.running_mean"], inputs.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(held["1.running_var"], inputs.var(axis=0, ddof=1), rtol=1e-12)
    assert model.chain.layers[1].momentum == 0.02
    assert model.epoch == 0


METHODS = {"L-BFGS-B": {"gtol": 1e-9, "ftol": 0}, "BFGS": {"gtol": 1e-9}, "CG": {"gtol": 1e-9}}


@pytest.mark.parametrize("method", METHODS)
def test_optimizers_of_scipy_solve_least_squares(backend: nnx.Backend, method: str) -> None:
    model = nnx.Sequential([nnx.Dense(2)], dtype="float64", backend=backend).compile("mean_squared_error")
    objective = model.objective(X, VALUES)
    objective.assign(minimize(objective, objective.values(), jac=True, method=method, options=METHODS[method]).x)
    expected = np.linalg.lstsq(np.c_[X, np.ones(9)], VALUES, rcond=None)[0]
    found = model.get_weights()
    # a slope below 1e-9 over curvatures of at least 0.1
    np.testing.assert_allclose(np.vstack([found["0.weight"], found["0.bias"]]), expected, atol=1e-7)


def test_a_float32_model_computes_in_float32_and_answers_in_float64(backend: nnx.Backend) -> None:
    exact, rounded = (
        make(nnx.Activation("tanh"), backend=backend, dtype=dtype).objective(X, LABELS)
        for dtype in ("float64", "float32")
    )
    values = rounded.values()
    (loss, gradient), (near, slope) = exact(values), rounded(values)
    assert near == np.float32(near)
    assert slope.dtype == np.float64
    assert near == pytest.approx(loss, rel=1e-6)  # some 10 roundings of 6e-8
    np.testing.assert_allclose(slope, gradient, atol=1e-6)


def test_padded_steps_count_as_little_as_in_training() -> None:
    model = nnx.Sequential([nnx.LSTM(3, return_sequences=True), nnx.Dense(1)], dtype="float64", backend="numpy")
    model.compile("mean_squared_error", nnx.SGD(1.0))
    x, y, lengths = RNG.normal(size=(4, 6, 2)), RNG.normal(size=(4, 6, 1)), [6, 2, 3, 1]
    objective = model.objective(x, y, lengths=lengths)
    loss, _ = objective(objective.values())
    y[3, 1:] = x[3, 1:] = 99.0
    assert model.objective(x, y, lengths=lengths)(objective.values())[0] == loss
    assert model.fit(x, y, lengths=lengths, batch_size="full")["loss"][0] == loss


def test_masks_of_dropout_are_those_of_the_step_that_the_model_is_at() -> None:
    model = make(nnx.Dropout(0.5))
    objective = model.objective(X, LABELS)
    values = objective.values()
    before = objective(values)[0]
    model.fit(X, LABELS)
    assert objective(values)[0] != before


def test_it_goes_on_with_a_model_that_was_trained_in_between() -> None:
    model = make(nnx.Activation("tanh"))
    objective = model.objective(X, LABELS)
    values = objective.values()
    before = objective(values)[0]
    model.fit(X, LABELS, epochs=3)
    trained = model.get_weights()
    assert objective(values)[0] == before
    np.testing.assert_array_equal(model.get_weights()["0.weight"], trained["0.weight"])


def test_far_away_the_loss_is_infinite_and_the_model_still_as_it_was() -> None:
    model = nnx.Sequential([nnx.Dense(2)], dtype="float64", backend="numpy").compile("mean_squared_error")
    objective = model.objective(X, VALUES)
    before = objective.values()
    assert objective(np.full(objective.size, 1e300))[0] == np.inf
    assert np.isnan(objective(np.full(objective.size, np.nan))[0])
    np.testing.assert_array_equal(objective.values(), before)


def test_a_vector_of_another_kind_is_refused() -> None:
    objective = make(dtype="float32").objective(X, LABELS)
    with pytest.raises(ShapeError, match=r"shape \(43,\), .* none for running statistics, .* got \(43, 1\)"):
        objective(np.zeros((43, 1)))
    with pytest.raises(ShapeError, match=r"vector must have shape \(43,\)"):
        objective.split(np.zeros(42))
    with pytest.raises(DtypeError, match="values must hold real numbers"):
        objective(["1"] * 43)
    bad = np.zeros(43)
    bad[26] = 1e39
    with pytest.raises(DataError, match=r"finite in float32, got 1e\+39 for an element of '1\.weight'"):
        objective.assign(bad)
    assert objective.values().any()


def test_a_model_that_is_another_one_by_now_is_refused() -> None:
    model = make()
    objective = model.objective(X, LABELS)
    values = objective.values()
    with pytest.raises(OptionError, match="moved or compiled anew"):
        model.compile("softmax_cross_entropy", l2=0.1) and objective(values)
    moved = make()
    objective = moved.objective(X, LABELS)
    with pytest.raises(OptionError, match="moved or compiled anew"):
        moved.to("generic:numpy") and objective.assign(values)


def test_nothing_is_asked_of_a_model_in_training() -> None:
    model = make()
    objective = model.objective(X, LABELS)

    class Asking(nnx.callbacks.Callback):
        def on_epoch_end(self, run: Any, epoch: int, logs: Any) -> None:
            del run, epoch, logs
            objective(objective.values())

    with pytest.raises(BackendError, match="trained or changed already"):
        model.fit(X, LABELS, callbacks=[Asking()])


def test_refused_examples_leave_a_model_unbuilt_and_a_loss_is_needed() -> None:
    model = make()
    with pytest.raises(DataError, match="y"):
        model.objective(X, LABELS + 7)
    assert not model.built
    with pytest.raises(NotBuiltError, match="compile"):
        nnx.Sequential([nnx.Dense(1)]).objective(X, LABELS)


def test_a_model_without_parameters_has_a_loss_all_the_same() -> None:
    model = nnx.Sequential([nnx.Flatten()], dtype="float64", backend="numpy").compile("mean_squared_error")
    objective = model.objective(VALUES, np.zeros((9, 2)))
    assert objective.size == 0
    assert objective.split([]) == {}
    loss, gradient = objective(np.zeros(0))
    assert loss == pytest.approx((VALUES**2).mean())
    assert gradient.shape == (0,)

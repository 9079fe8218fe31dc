"""Training by the plain functions goes through the numbers of `Sequential`, step by step."""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import nnx
from nnx import Backend, stepwise
from nnx.errors import DataError, DivergenceError, OptionError
from nnx.stepwise import logistic

ON_CPU = [name for name in ("numpy", "numba") if nnx.registry.describe(name).available]
RANDOM = np.random.default_rng(5)
X, LABELS = RANDOM.normal(size=(6, 50)), RANDOM.integers(0, 3, size=50)
ANSWERS = {1: (LABELS == 0)[None].astype(float), 3: np.eye(3)[LABELS].T}
SAME_COSTS = 1e-5  # Sequential adds the examples' costs in float32 and computes them from Z, `compute_cost` from AL


def sequential(dims: list[int], dtype: str = "float32", seed: int = 7) -> nnx.Sequential:
    hidden = [nnx.Dense(units, "relu") for units in dims[1:-1]]
    model = nnx.Sequential([nnx.Flatten(), *hidden, nnx.Dense(dims[-1])], seed=seed, dtype=dtype)
    model.build((dims[0],))
    return model


def trained(dims: list[int], optimizer: nnx.optimizers.Optimizer, l2: float = 0.0, **options: Any) -> Any:
    """Train a model on X; return its weights under the names of the plain functions, and the losses."""
    model = sequential(dims)
    model.compile("sigmoid_cross_entropy" if dims[-1] == 1 else "softmax_cross_entropy", optimizer, l2=l2)
    history = model.fit(X.T, ANSWERS[dims[-1]].T, progress=False, **options)
    return as_parameters(model), history["loss"]


def as_parameters(model: nnx.Sequential) -> dict[str, np.ndarray]:
    named = {}
    for name, value in model.get_weights().items():
        layer, kind = name.split(".")
        named[f"W{layer}" if kind == "weight" else f"b{layer}"] = value.T if kind == "weight" else value[:, None]
    return named


def check_same(ours: dict[str, Any], theirs: dict[str, np.ndarray], tolerance: float = 0.0) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        host = nnx.current_backend().to_numpy(value)
        np.testing.assert_allclose(host, theirs[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", ["he", "xavier", 0.5])
def test_the_same_seed_means_the_weights_of_sequential(backend: Backend, dtype: str, init: Any) -> None:
    with nnx.use_backend(backend):
        layers = [nnx.Flatten(), nnx.Dense(4, "relu", init=init), nnx.Dense(2, init=init)]
        model = nnx.Sequential(layers, seed=9, dtype=dtype, input_shape=(2, 3))
        check_same(stepwise.initialize_parameters([6, 4, 2], 9, init, dtype), as_parameters(model))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("lambd", [0.0, 0.5])
@pytest.mark.parametrize("batch_size", ["full", 16])
def test_training_ends_in_the_very_weights_of_sequential(
    backend: Backend, batch_size: int | str, lambd: float, outputs: int
) -> None:
    epochs = 8 if batch_size == "full" else 2  # of 4 batches, the last of 2 examples
    dims = [6, 5, 4, outputs]
    with nnx.use_backend(backend):
        weights, _ = trained(dims, nnx.SGD(0.1), lambd, epochs=epochs, batch_size=batch_size)
        ours, _ = stepwise.L_layer_model(X, ANSWERS[outputs], dims, 0.1, 8, batch_size, lambd=lambd, seed=7)
        # the same kernels in the same order leave no room for rounding, but where the reference stands in for fused
        # ones, which computes the same in one expression
        check_same(ours, weights, 0.0 if backend.name in ON_CPU else 1e-6)


def test_costs_are_those_before_every_hundredth_iteration() -> None:
    _, losses = trained([6, 4, 1], nnx.SGD(0.1), 0.5, epochs=201, batch_size="full")
    _, costs = stepwise.L_layer_model(X, ANSWERS[1], [6, 4, 1], 0.1, 201, lambd=0.5, seed=7)
    np.testing.assert_allclose(costs, losses[::100], rtol=SAME_COSTS)


def test_an_iteration_is_one_mini_batch() -> None:
    _, costs = stepwise.L_layer_model(X, ANSWERS[1], [6, 4, 1], 0.1, 101, 25, seed=7)
    parameters, _ = stepwise.L_layer_model(X, ANSWERS[1], [6, 4, 1], 0.1, 100, 25, seed=7)
    X_batch, Y_batch = stepwise.random_mini_batches(X.astype("float32"), ANSWERS[1], 25, 7, epoch=50)[0]
    AL, _ = stepwise.L_model_forward(X_batch, parameters)
    assert costs[1:] == [stepwise.compute_cost(AL, Y_batch)]


@pytest.fixture
def cats() -> tuple[np.ndarray, np.ndarray]:
    if not os.environ.get("NNX_DATA"):
        pytest.skip("NNX_DATA is not set: the photographs of cats cannot be read")
    return nnx.datasets.cats().train


@pytest.mark.parametrize(
    ("engine", "dtype", "dims", "iterations"),
    [
        *((engine, "float32", [12288, 20, 7, 5, 1], 101) for engine in ON_CPU),
        *((engine, "float64", [12288, 4, 1], 101) for engine in ON_CPU),
        (ON_CPU[-1], "float32", [12288, 4, 1], 501),
    ],
)
def test_cats_are_learned_at_the_costs_of_sequential(
    cats: tuple[np.ndarray, np.ndarray], engine: str, dtype: str, dims: list[int], iterations: int
) -> None:
    x, y = cats
    with nnx.use_backend(engine), threadpool_limits(1):  # two threads of BLAS on a busy machine wait for each other
        hidden = [nnx.Dense(units, "relu") for units in dims[1:-1]]
        model = nnx.Sequential([nnx.Flatten(), *hidden, nnx.Dense(1)], seed=1, dtype=dtype)
        model.compile("sigmoid_cross_entropy", nnx.SGD(0.0075))
        losses = model.fit(x, y, epochs=iterations, batch_size="full", progress=False)["loss"]
        columns, answers = x.reshape(len(x), -1).T, y.reshape(1, -1)
        parameters, costs = stepwise.L_layer_model(columns, answers, dims, 0.0075, iterations, seed=1, dtype=dtype)
        np.testing.assert_allclose(costs, losses[::100], rtol=SAME_COSTS)
        check_same(parameters, as_parameters(model))
        assert stepwise.predict(columns, answers, parameters) == model.evaluate(x, y)["accuracy"]


def test_a_loop_of_ones_own_over_numpy_arrays_comes_to_the_same_as_the_whole_model(backend: Backend) -> None:
    with nnx.use_backend(backend):
        expected, _ = stepwise.L_layer_model(X, ANSWERS[3], [6, 5, 3], 0.1, 5, seed=2)
        parameters = stepwise.initialize_parameters([6, 5, 3], seed=2)
        for _ in range(5):
            AL, caches = stepwise.L_model_forward(X, parameters)
            parameters = stepwise.update_parameters(
                parameters, stepwise.L_model_backward(AL, ANSWERS[3], caches), 0.1
            )
        # the product of arrays that lie otherwise in memory may add in another order, in float32
        check_same(parameters, {name: backend.to_numpy(value) for name, value in expected.items()}, 1e-5)


def test_batch_norm_and_other_activations_train_too(backend: Backend) -> None:
    with nnx.use_backend(backend):
        for activation in ("relu", "tanh", "sigmoid", "leaky_relu"):
            options = {"use_batchnorm": True, "activation": activation}
            parameters, _ = stepwise.L_layer_model(X, ANSWERS[3], [6, 8, 8, 3], 1.0, 30, **options)
            assert stepwise.predict(X, ANSWERS[3], parameters, **options) > 0.7


@pytest.mark.parametrize("batch_size", [16, 50, "full", 1])
def test_mini_batches_hold_every_example_once_with_its_own_answer(backend: Backend, batch_size: int | str) -> None:
    with nnx.use_backend(backend):
        numbers = np.arange(50.0)[None]
        batches = stepwise.random_mini_batches(np.repeat(numbers, 3, axis=0), numbers, batch_size, seed=1)
        pieces = [tuple(backend.to_numpy(part) for part in batch) for batch in batches]
        assert [part.shape[1] for part, _ in pieces] == {16: [16, 16, 16, 2], 1: [1] * 50}.get(batch_size, [50])
        for inputs, answers in pieces:
            np.testing.assert_array_equal(inputs, np.repeat(answers, 3, axis=0))
        assert sorted(np.concatenate([answers[0] for _, answers in pieces])) == list(range(50))


def test_mini_batches_are_another_order_in_every_epoch_and_the_same_for_a_seed() -> None:
    numbers = np.arange(50.0)[None]

    def order(seed: int, epoch: int) -> list[float]:
        batches = stepwise.random_mini_batches(numbers, numbers, 10, seed, epoch)
        return [float(number) for _, Y in batches for number in Y[0]]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(*given)) for given in ((1, 0), (1, 1), (2, 0))}) == 3


def test_training_leaves_what_it_was_given_as_it_was() -> None:
    inputs, answers = X.astype(np.float32), ANSWERS[1].astype(np.float32)
    kept = inputs.copy(), answers.copy()
    stepwise.L_layer_model(inputs, answers, [6, 4, 1], 0.1, 5)
    np.testing.assert_array_equal(inputs, kept[0])
    np.testing.assert_array_equal(answers, kept[1])


def test_one_example_is_enough(backend: Backend) -> None:
    with nnx.use_backend(backend):
        parameters, costs = stepwise.L_layer_model(X[:, :1], [[1]], [6, 4, 1], 0.1, 101, seed=3)
        assert costs[1] < costs[0]
        assert stepwise.predict(X[:, :1], [[1]], parameters) == 1.0


def test_divergence_is_an_error_and_no_nan_in_the_results() -> None:
    with pytest.raises(DivergenceError, match=r"cost is nan in iteration 100; lower the learning rate"):
        stepwise.L_layer_model(X * 1e15, ANSWERS[1], [6, 4, 1], 1e15, 150)
    with pytest.raises(DivergenceError, match="holds NaN or infinity after the last iteration"):
        stepwise.L_layer_model(X * 1e15, ANSWERS[1], [6, 4, 1], 1e15, 50)
    with pytest.raises(DataError, match="X holds NaN"):
        stepwise.L_layer_model(X * np.nan, ANSWERS[1], [6, 4, 1], 0.1, 5)


def test_options_out_of_range_are_refused_by_name() -> None:
    for option in (
        {"num_iterations": 0},
        {"num_iterations": -1},
        {"batch_size": 0},
        {"learning_rate": -1},
        {"lambd": -1},
    ):
        with pytest.raises(OptionError, match=next(iter(option))):
            stepwise.L_layer_model(X, ANSWERS[1], [6, 4, 1], **{"num_iterations": 2, **option})


def test_costs_are_printed_as_they_come_only_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    X, Y = [[1.0, -1.0]], [[1, 0]]
    train = functools.partial(stepwise.L_layer_model, X, Y, [1, 1], 0.1, 201)
    regress = functools.partial(logistic.model, X, Y, X, Y, 201, 0.1)
    costs = {train: train()[1], regress: regress()["costs"]}
    assert capsys.readouterr().out == ""
    for call, expected in costs.items():
        call(print_cost=True)
        lines = [f"Cost after iteration {100 * place}: {cost:f}" for place, cost in enumerate(expected)]
        assert capsys.readouterr().out.splitlines() == lines
        assert len(lines) == 3


def test_the_second_name_draws_the_same_weights() -> None:
    for options in ({}, {"seed": 3, "init": "xavier", "dtype": "float64"}):
        first, second = (
            make([4, 3, 1], **options)
            for make in (stepwise.initialize_parameters, stepwise.initialize_parameters_deep)
        )
        assert list(first) == list(second)
        for name, value in first.items():
            np.testing.assert_array_equal(second[name], value)
            assert second[name].dtype == value.dtype


@pytest.mark.parametrize("rate", [1e3, 1e9])
def test_a_run_that_blows_up_without_infinities_is_told(rate):
    random = np.random.default_rng(4)
    x, labels = random.normal(size=(6, 30)), random.integers(0, 3, 30)
    with pytest.raises(DivergenceError, match=r"after the last iteration.*lower the learning rate"):
        stepwise.L_layer_model(x, np.eye(3)[labels].T, [6, 8, 3], rate, 20, 10)

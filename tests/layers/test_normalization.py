"""Batch and layer normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from support.gradients import check_gradients, mount
from support.peers import assert_close, leaf, torch_or_skip

from nnx import Backend, BatchNorm, Dense, Layer, LayerNorm, Sequential
from nnx.errors import NnxError, OptionError, ShapeError


@pytest.mark.parametrize("layer", [BatchNorm, LayerNorm])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_gradients_are_the_slopes(backend: Backend, layer: type[Layer], shape: tuple[int, ...]) -> None:
    check_gradients(layer(), shape, backend)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_batch_norm_agrees_with_torch_in_training_and_prediction(backend: Backend, shape: tuple[int, ...]) -> None:
    torch, random = torch_or_skip(), np.random.default_rng(4)
    bench = mount(BatchNorm(momentum=0.3, eps=1e-3), shape, backend)
    theirs = torch.nn.BatchNorm1d(4, eps=1e-3, momentum=0.3, dtype=torch.float64)
    theirs.weight.data = torch.tensor(bench.host(bench.parameter("gamma").value))
    theirs.bias.data = torch.tensor(bench.host(bench.parameter("beta").value))
    for _ in range(3):
        x, dy = 2 + random.normal(size=(5, *shape)), random.normal(size=(5, *shape))
        y, dx = bench.run(x, dy)
        inputs = leaf(x)
        theirs.zero_grad()
        outputs = theirs(inputs.reshape(-1, 4)).reshape(x.shape)
        outputs.backward(torch.tensor(dy))
        assert_close(y, outputs)
        assert_close(dx, inputs.grad)
        assert_close(bench.gradient("gamma"), theirs.weight.grad)
        assert_close(bench.gradient("beta"), theirs.bias.grad)
    mean, var = (bench.host(state.value) for state in bench.store.states)
    assert_close(mean, theirs.running_mean)
    assert_close(var, theirs.running_var)
    x = random.normal(size=(5, *shape))
    assert_close(bench.run(x, train=False)[0], theirs.eval()(torch.tensor(x).reshape(-1, 4)).reshape(x.shape))


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_layer_norm_agrees_with_torch(backend: Backend, shape: tuple[int, ...]) -> None:
    torch, random = torch_or_skip(), np.random.default_rng(5)
    bench = mount(LayerNorm(), shape, backend)
    x, dy = 2 + random.normal(size=(5, *shape)), random.normal(size=(5, *shape))
    y, dx = bench.run(x, dy)
    inputs, gamma, beta = leaf(x), *(leaf(bench.host(bench.parameter(name).value)) for name in ("gamma", "beta"))
    outputs = torch.nn.functional.layer_norm(inputs, (4,), gamma, beta, 1e-5)
    outputs.backward(torch.tensor(dy))
    assert_close(y, outputs)
    assert_close(dx, inputs.grad)
    assert_close(bench.gradient("gamma"), gamma.grad)
    assert_close(bench.gradient("beta"), beta.grad)


def test_batch_norm_of_one_row_gives_beta_and_learns_nothing_from_the_spread(backend: Backend) -> None:
    bench = mount(BatchNorm(), (3,), backend)
    x, dy = np.array([[1.0, -2.0, 1e6]]), np.array([[1.0, 2.0, 3.0]])
    y, dx = bench.run(x, dy)
    np.testing.assert_array_equal(y[0], bench.host(bench.parameter("beta").value))
    np.testing.assert_array_equal(dx, np.zeros((1, 3)))
    np.testing.assert_array_equal(bench.gradient("gamma"), np.zeros(3))
    mean, var = (bench.host(state.value) for state in bench.store.states)
    np.testing.assert_allclose(mean, 0.1 * x[0])
    np.testing.assert_allclose(var, np.ones(3))


def test_batch_norm_keeps_its_digits_far_from_zero(backend: Backend) -> None:
    bench = mount(BatchNorm(), (2,), backend)
    near = np.random.default_rng(6).normal(size=(50, 2))
    y, y_far = bench.run(near)[0], bench.run(near + 1e6)[0]
    np.testing.assert_allclose(y_far, y, atol=1e-8)


def test_prediction_leaves_the_running_statistics_alone(backend: Backend) -> None:
    bench = mount(BatchNorm(), (2,), backend)
    before = bench.host(bench.store.state)
    bench.run(np.random.default_rng(7).normal(size=(5, 2)), train=False)
    np.testing.assert_array_equal(bench.host(bench.store.state), before)


def test_batch_norm_has_no_backward_pass_in_prediction(backend: Backend) -> None:
    with pytest.raises(
        NnxError, match=r"BatchNorm has no backward pass in prediction; call forward with Context\(train=True\)"
    ):
        mount(BatchNorm(), (2,), backend).run(np.ones((3, 2)), np.ones((3, 2)), train=False)


def test_training_batch_norm_on_no_rows_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"batch_norm in training expects at least one row, got \(0, 2\)"):
        mount(BatchNorm(), (2,), backend).run(np.ones((0, 2)))


def test_a_dense_before_batch_norm_may_drop_its_bias_without_changing_the_outputs(backend: Backend) -> None:
    bench = mount(BatchNorm(), (3,), backend)
    x = np.random.default_rng(8).normal(size=(6, 3))
    np.testing.assert_allclose(bench.run(x)[0], bench.run(x + np.array([1.0, -2.0, 3.0]))[0], atol=1e-12)
    model = Sequential([Dense(3, bias=False), BatchNorm()], input_shape=(2,), backend=backend)
    assert list(model.get_weights()) == ["0.weight", "1.gamma", "1.beta", "1.running_mean", "1.running_var"]


@pytest.mark.parametrize(
    ("layer", "options", "says"),
    [
        (BatchNorm, {"momentum": 1.1}, "momentum must be a number in [0, 1], got 1.1"),
        (BatchNorm, {"momentum": -0.1}, "momentum must be a number in [0, 1], got -0.1"),
        (BatchNorm, {"eps": 0}, "eps must be a number in (0, inf), got 0"),
        (LayerNorm, {"eps": float("nan")}, "eps must be a number in (0, inf), got nan"),
    ],
)
def test_options_out_of_range_are_refused_at_once(layer: type[Layer], options: dict, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        layer(**options)
    assert says in str(caught.value)


@pytest.mark.parametrize("layer", [BatchNorm, LayerNorm])
def test_inputs_without_a_feature_axis_are_refused(layer: type[Layer]) -> None:
    with pytest.raises(ShapeError, match="Norm expects inputs of at least one feature"):
        Sequential([layer()], input_shape=(), backend="generic:numpy")

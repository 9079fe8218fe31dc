"""Dense: the affine map, its activations and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
from support.gradients import check_gradients, mount
from support.peers import TORCH, assert_close, leaf, torch_or_skip

from nnx import Backend, Dense, Sequential
from nnx.checks import ACTIVATIONS
from nnx.errors import OptionError, ShapeError, UnknownNameError


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_the_slopes_with_every_activation(backend: Backend, activation: str) -> None:
    check_gradients(Dense(4, activation=activation), (3,), backend)


@pytest.mark.parametrize(("activation", "alpha"), [("leaky_relu", 0.3), ("elu", 1.7)])
def test_gradients_follow_an_alpha_of_ones_own(backend: Backend, activation: str, alpha: float) -> None:
    check_gradients(Dense(4, activation=activation, alpha=alpha), (3,), backend)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_the_slopes_for_any_number_of_axes(
    backend: Backend, shape: tuple[int, ...], bias: bool
) -> None:
    check_gradients(Dense(4, activation="gelu", bias=bias), shape, backend)


def test_gradients_of_a_batch_of_one_row(backend: Backend) -> None:
    check_gradients(Dense(4, activation="tanh"), (3,), backend, rows=1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_and_backward_agree_with_torch(backend: Backend, activation: str) -> None:
    torch, random = torch_or_skip(), np.random.default_rng(1)
    bench = mount(Dense(4, activation=activation), (3,), backend)
    x, dy = random.normal(size=(6, 3)), random.normal(size=(6, 4))
    y, dx = bench.run(x, dy)
    inputs, w, b = (
        leaf(x),
        leaf(bench.host(bench.parameter("weight").value)),
        leaf(bench.host(bench.parameter("bias").value)),
    )
    outputs = TORCH[activation](torch, inputs @ w + b)
    outputs.backward(torch.tensor(dy))
    assert_close(y, outputs)
    assert_close(dx, inputs.grad)
    assert_close(bench.gradient("weight"), w.grad)
    assert_close(bench.gradient("bias"), b.grad)


def test_the_last_axis_is_mapped_and_all_others_stay(backend: Backend) -> None:
    bench = mount(Dense(5), (2, 7, 3), backend)
    x = np.random.default_rng(0).normal(size=(4, 2, 7, 3))
    y, _ = bench.run(x)
    weight, bias = (bench.host(bench.parameter(name).value) for name in ("weight", "bias"))
    assert y.shape == (4, 2, 7, 5)
    np.testing.assert_allclose(y, x @ weight + bias, rtol=1e-12, atol=1e-12)


def test_a_dense_of_many_axes_equals_the_same_dense_on_flattened_rows(backend: Backend) -> None:
    bench, random = mount(Dense(5, activation="silu"), (7, 3), backend), np.random.default_rng(0)
    x, dy = random.normal(size=(4, 7, 3)), random.normal(size=(4, 7, 5))
    y, dx = bench.run(x, dy)
    together = bench.gradient("weight")
    y_flat, dx_flat = bench.run(x.reshape(28, 3), dy.reshape(28, 5))
    np.testing.assert_array_equal(y.reshape(28, 5), y_flat)
    np.testing.assert_array_equal(dx.reshape(28, 3), dx_flat)
    np.testing.assert_array_equal(together, bench.gradient("weight"))


def test_inputs_without_a_feature_axis_are_refused_when_the_model_is_built() -> None:
    with pytest.raises(ShapeError, match=r"Dense\(4\) expects inputs of at least one feature, got shape \(\)"):
        Sequential([Dense(4)], input_shape=(), backend="generic:numpy")


def test_another_number_of_features_is_refused_in_use(backend: Backend) -> None:
    bench = mount(Dense(20), (784,), backend)
    with pytest.raises(ShapeError, match=r"Dense\(20\) expects inputs of 784 features, got \(128, 783\)"):
        bench.run(np.zeros((128, 783)))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"units": 0}, OptionError, "units must be a whole number of at least 1, got 0"),
        ({"units": 2.5}, OptionError, "units must be a whole number of at least 1, got 2.5"),
        ({"units": True}, OptionError, "units must be a whole number of at least 1, got True"),
        ({"units": 2, "activation": "rleu"}, UnknownNameError, "Unknown activation 'rleu'. Did you mean 'relu'?"),
        ({"units": 2, "activation": None}, UnknownNameError, "Unknown activation None"),
        ({"units": 2, "init": "hee"}, UnknownNameError, "Unknown initializer 'hee'. Did you mean 'he'?"),
        (
            {"units": 2, "init": None},
            OptionError,
            "an initializer must be a name, a finite number or a function, got None",
        ),
        ({"units": 2, "init": float("nan")}, OptionError, "an initializer must be"),
        ({"units": 2, "l2": -1e-3}, OptionError, "l2 must be a number in [0, inf), got -0.001"),
        ({"units": 2, "bias": "no"}, OptionError, "bias must be True or False, got 'no'"),
        ({"units": 2, "bias": None}, OptionError, "bias must be True or False, got None"),
        ({"units": 2, "bias": 0}, OptionError, "bias must be True or False, got 0"),
        ({"units": 2, "activation": "relu", "alpha": 0.1}, OptionError, "'relu' takes none"),
        ({"units": 2, "activation": "elu", "alpha": -1}, OptionError, "alpha must be a number in [0, inf), got -1"),
    ],
)
def test_options_out_of_range_are_refused_at_once(options: dict, error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        Dense(**options)
    assert says in str(caught.value)


def test_counts_and_numbers_of_numpy_are_taken_like_those_of_python() -> None:
    layer = Dense(np.int64(3), bias=np.bool_(False), l2=np.float32(0.5))
    assert layer.bias is False
    model = Sequential([layer], input_shape=np.zeros((1, 2)).shape[1:], backend="generic:numpy")
    assert model.output_shape == (3,)

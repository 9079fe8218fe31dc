"""Wrong gradients of users' own layers and losses are found, right ones pass, and the model is left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.errors import DtypeError, GradientError, NotBuiltError, OptionError, ShapeError

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(8, 4)), RNG.integers(0, 3, 8)


@dataclass(eq=False, repr=False)
class Scaled(nnx.Layer):
    """tanh, whose backward pass is off by a factor."""

    factor: float = 1.0

    def forward(self, x, context):
        del context
        ops, y = self.ops, self.ops.activate(x, "tanh", 0.0)

        def backward(dy):
            dx = ops.activate_backward(x, y, dy, "tanh", 0.0)
            dx *= self.factor
            return dx

        return y, backward


class Noisy(nnx.Layer):
    """A layer that gives something else each time."""

    def forward(self, x, context):
        del context
        noise = self.ops.asarray(RNG.normal(size=tuple(x.shape)))
        return self.ops.add(x, noise), lambda dy: dy


def make(*layers: nnx.Layer, backend="numpy", dtype: str = "float64") -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(5), *layers, nnx.Dense(3)], seed=1, dtype=dtype, backend=backend)
    return model.compile("softmax_cross_entropy", nnx.SGD(0.1), l2=0.2)


def test_right_gradients_agree_to_rounding(backend):
    model = make(nnx.BatchNorm(), nnx.Activation("relu"), nnx.Dropout(0.4), Scaled(), backend=backend)
    report = nnx.check_gradients(model, X, Y)
    assert report.worst < 1e-7
    assert set(report.slopes) == {parameter.name for parameter in model.store.parameters}
    assert "12 slopes" in repr(nnx.check_gradients(model, X, Y, directions=2))


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.001])
def test_a_wrong_gradient_is_named_with_both_slopes(factor):
    with pytest.raises(GradientError, match=r"the gradient by '0\.\w+' gives the slope .* differences give"):
        nnx.check_gradients(make(Scaled(factor)), X, Y)


def test_a_wrong_gradient_of_a_loss_is_found():
    class Doubled(nnx.losses.MeanSquaredError):
        def forward(self, ops, outputs, targets, weight, gradient):
            loss, slope = super().forward(ops, outputs, targets, weight, gradient)
            if slope is not None:
                slope *= 2
            return loss, slope

    model = make().compile(Doubled())
    with pytest.raises(GradientError, match="central differences"):
        nnx.check_gradients(model, X, RNG.normal(size=(8, 3)))


def test_a_layer_that_is_no_function_is_told_from_a_wrong_gradient():
    with pytest.raises(GradientError, match="compute the same from the same values every time"):
        nnx.check_gradients(make(Noisy()), X, Y)


def test_the_model_is_left_as_it_was():
    model = make(nnx.BatchNorm(), Scaled())
    model.fit(X, Y, epochs=2)
    before, step = model.get_weights(), int(model.step)
    nnx.check_gradients(model, X, Y)
    with pytest.raises(GradientError):
        nnx.check_gradients(make(Scaled(3.0)), X, Y)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])
    assert int(model.step) == step


BLACK = np.zeros((4, 8, 8, 1))
BLACK[:, 3:5, 3:6, 0] = RNG.uniform(0.1, 1, size=(4, 2, 3))


def make_on_a_kink(*layers: nnx.Layer) -> nnx.Sequential:
    """Biases of 0 and black pixels make every relu around the drawing one of 0, and maxima of equals."""
    pictures = [nnx.Conv2D(3, 3, activation="relu"), nnx.MaxPool2D(2), nnx.Flatten(), *layers, nnx.Dense(2)]
    return nnx.Sequential(pictures, seed=1, dtype="float64").compile("softmax_cross_entropy")


@pytest.mark.parametrize("seed", range(3))
def test_a_right_network_whose_weights_lie_on_a_kink_passes(seed):
    model = make_on_a_kink()
    model.seed = seed  # which decides the directions
    report = nnx.check_gradients(model, BLACK, [0, 1, 1, 0], directions=5)
    assert report.worst < 1e-7
    assert "0.bias" in report.slopes


@pytest.mark.parametrize("factor", [-1.0, 1.001])
def test_a_wrong_gradient_is_found_where_the_weights_lie_on_a_kink(factor):
    with pytest.raises(GradientError, match=r"the gradient by '0\.\w+' gives the slope .* differences give"):
        nnx.check_gradients(make_on_a_kink(Scaled(factor)), BLACK, [0, 1, 1, 0])


def test_a_wrong_gradient_of_a_kinked_layer_is_found_at_its_kink():
    @dataclass(eq=False, repr=False)
    class Open(nnx.Layer):
        """relu, whose backward pass lets everything through."""

        def forward(self, x, context):
            del context
            return self.ops.activate(x, "relu", 0.0), lambda dy: dy

    model = nnx.Sequential([nnx.Dense(5), Open(), nnx.Dense(3)], seed=1, dtype="float64")
    with pytest.raises(GradientError, match=r"the gradient by '0\.bias'"):  # weights of inputs of 0 change nothing
        nnx.check_gradients(model.compile("softmax_cross_entropy"), np.zeros((4, 4)), Y[:4])


def test_sequences_with_padding_are_checked_too():
    model = nnx.Sequential([nnx.LSTM(3), nnx.Dense(2)], dtype="float64", backend="numpy")
    model.compile("mean_squared_error")
    x, y = RNG.normal(size=(4, 5, 2)), RNG.normal(size=(4, 2))
    assert nnx.check_gradients(model, x, y, lengths=[5, 1, 3, 4]).worst < 1e-7


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(OptionError, match='needs a model of dtype="float64"'):
        nnx.check_gradients(make(dtype="float32"), X, Y)
    with pytest.raises(NotBuiltError, match="no loss yet"):
        nnx.check_gradients(nnx.Sequential([nnx.Dense(3)], dtype="float64"), X, Y)
    with pytest.raises(ShapeError, match="one row per example"):
        nnx.check_gradients(make(), X, Y[:3])
    with pytest.raises(DtypeError, match="x"):
        nnx.check_gradients(make(), np.array(["a"]), Y)
    with pytest.raises(OptionError, match="directions must be a whole number"):
        nnx.check_gradients(make(), X, Y, directions=0)


@pytest.mark.parametrize(
    "check", [nnx.check_gradients, lambda model, x, y: nnx.diff(model, (x, y), "numpy", "numpy")]
)
def test_what_is_no_model_is_refused(check):
    with pytest.raises(OptionError, match=r"^model must be an nnx\.Sequential, got 'm'\.$"):
        check("m", X, Y)

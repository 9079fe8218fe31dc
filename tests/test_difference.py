"""Where two engines part is found to the kernel, and engines that agree are said to."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnx
from nnx.difference import ulps_apart
from nnx.errors import BackendError, OptionError, ShapeError, UnknownNameError
from nnx_numpy import NumpyBackend

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(70, 6)).astype("float32"), RNG.integers(0, 3, 70)


class Retrains(NumpyBackend):
    """Tries to train the model while it is compared."""

    name = "retrains"

    def __init__(self) -> None:
        super().__init__()
        self.model: nnx.Sequential | None = None

    def linear(self, *arguments):
        assert self.model is not None
        with pytest.raises(BackendError, match="is being trained or changed already"):
            self.model.fit(X, Y)
        super().linear(*arguments)

    def zeros(self, *arguments):
        if self.model is not None:  # while the model is moved here
            with pytest.raises(BackendError, match="is being trained or changed already"):
                self.model.to("numba")
        return super().zeros(*arguments)


def make(dtype: str = "float32", optimizer: nnx.optimizers.Optimizer | None = None) -> nnx.Sequential:
    layers = [
        nnx.Dense(8, bias=False),
        nnx.BatchNorm(),
        nnx.Activation("tanh"),
        nnx.Dropout(0.3),
        nnx.Residual([nnx.Dense(8, "relu")]),
        nnx.Dense(3),
    ]
    model = nnx.Sequential(layers, seed=2, dtype=dtype, backend="numpy")
    return model.compile("softmax_cross_entropy", optimizer or nnx.Adam(0.01), l2=0.1)


class WrongTanh(NumpyBackend):
    """The slope of tanh is off by a thousandth."""

    name = "wrong-tanh"

    def activate_backward(self, x, y, dy, dx, activation, alpha):
        super().activate_backward(x, y, dy, dx, activation, alpha)
        dx *= 1.001


class WrongAdam(NumpyBackend):
    """The second moment is left out of the bias correction of the third step."""

    name = "wrong-adam"

    def adam(self, p, g, m, v, step, lr, *options):
        super().adam(p, g, m, v, step, lr, *options)
        if int(step) == 2:
            p += 0.01


class NaNs(NumpyBackend):
    """A NaN where there should be none."""

    name = "nans"

    def batch_norm(self, x, gamma, beta, running_mean, running_var, y, *rest):
        super().batch_norm(x, gamma, beta, running_mean, running_var, y, *rest)
        y[0, 0] = np.nan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_engines_that_agree_are_said_to(backend, dtype):
    found = nnx.diff(make(dtype), (X, Y), "generic:numpy", backend, steps=4, batch_size=32)
    assert found.first is None, found
    assert "agree within 1000 ulps" in repr(found)
    assert {part.step for part in found.parts} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("engine", "step", "place", "kernel", "array"),
    [
        (WrongTanh(), 0, "layer 2 backward", "activate_backward", "dx"),
        (WrongAdam(), 2, "update", "adam", "p"),
        (NaNs(), 0, "layer 1 forward", "batch_norm", "y"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_first_wrong_kernel_is_named(engine, step, place, kernel, array):
    first = nnx.diff(make(), (X, Y), "numpy", engine, steps=3).first
    assert (first.step, first.place, first.kernel, first.array) == (step, place, kernel, array)
    assert math.isinf(first.ulps) == isinstance(engine, NaNs)


def test_a_difference_is_told_in_a_sentence():
    found = nnx.diff(make(), (X, Y), "numpy", WrongTanh())
    assert repr(found).startswith(
        "<numpy and wrong-tanh part in step 0, layer 2 backward: dx of activate_backward by"
    )


def test_every_call_has_a_place():
    places = {part.place for part in nnx.diff(make(), (X, Y), "numpy", "numpy").parts}
    layers = {f"layer {index} {way}" for index in range(6) for way in ("forward", "backward")}
    assert places == {"batch", "loss", "update", *layers}


def square(outputs, targets, loss, slope):
    loss[...], slope[...] = np.mean((outputs - targets) ** 2), 2 * (outputs - targets) / targets.size


def descend(values, gradients, rate):
    values -= rate * gradients


class Negative(nnx.Layer):
    """-x by a function that may not tell the names of its arguments, as NumPy's did not before 2.4."""

    def forward(self, x, context):
        del context
        return self.negate(x), self.negate

    def negate(self, x):
        y = self.ops.like(x)
        self.ops.call(np.negative, x, y)
        return y


class Squares(nnx.losses.MeanSquaredError):
    def forward(self, ops, outputs, targets, weight, gradient):
        del weight, gradient
        loss, slope = ops.scalar(), ops.like(outputs)
        ops.call(square, outputs, targets, loss, slope)
        return loss, slope


class Descent(nnx.SGD):
    def update(self, ops, store, moments, step, rate):
        del moments, step
        ops.call(descend, store.values, store.gradients, rate)


def test_kernels_of_ones_own_are_compared_under_their_names_at_their_places():
    model = nnx.Sequential([nnx.Dense(2), Negative()], seed=1, backend="numpy").compile(Squares(), Descent(0.1))
    found = nnx.diff(model, (X, X[:, :2]), "numpy", "generic:numpy")
    seen = {(part.place, part.kernel, part.array) for part in found.parts}
    assert {("loss", "square", "slope"), ("update", "descend", "values")} <= seen
    named = {array for place, kernel, array in seen if (place, kernel) == ("layer 1 forward", "negative")}
    assert named in ({"x", "out"}, {"argument 0", "argument 1"})
    assert all(part.place for part in found.parts)


def test_the_worst_of_each_kernel_is_kept_once():
    found = nnx.diff(make(), (X, Y), "numpy", "numba", steps=3)
    worst = found.worst()
    assert len({(part.place, part.kernel) for part in worst}) == len(worst)
    assert max(part.ulps for part in worst) == max(part.ulps for part in found.parts)


def test_the_model_is_left_as_it_was_even_after_an_error():
    model = make()
    model.fit(X, Y, epochs=1)
    before, step, epoch = model.get_weights(), int(model.step), model.epoch
    nnx.diff(model, (X, Y), "numba", "generic:numpy", steps=2)
    with pytest.raises(UnknownNameError):
        nnx.diff(model, (X, Y), "numba", "numbat")
    assert (model.backend.name, int(model.step), model.epoch) == ("numpy", step, epoch)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])


def test_sequences_with_padding_are_compared_too():
    model = nnx.Sequential([nnx.LSTM(4), nnx.Dense(1)], backend="numpy").compile("mean_squared_error")
    x, y, lengths = RNG.normal(size=(9, 5, 2)), RNG.normal(size=(9, 1)), [5, 1, 3, 4, 5, 2, 2, 1, 5]
    assert nnx.diff(model, (x, y, lengths), "numpy", "numba", steps=2, batch_size=4).first is None


def test_a_layer_that_computes_something_else_elsewhere_is_refused():
    class Fickle(nnx.Layer):
        def forward(self, x, context):
            del context
            again = self.ops.backend.name == "numba"
            y = self.ops.activate(self.ops.activate(x, "tanh", 0.0), "relu", 0.0) if again else x
            return y, lambda dy: dy

    model = nnx.Sequential([nnx.Dense(3), Fickle(), nnx.Dense(3)], backend="numpy")
    with pytest.raises(BackendError, match="is linear on one engine and activate on the other"):
        nnx.diff(model.compile("softmax_cross_entropy"), (X, Y), "numpy", "numba")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be a whole number"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"tolerance": -1}, "tolerance must be"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        nnx.diff(make(), (X, Y), "numpy", "numba", **options)


def test_data_that_are_none_are_refused():
    with pytest.raises(OptionError, match=r"data must be \(x, y\)"):
        nnx.diff(make(), X, "numpy", "numba")
    with pytest.raises(ShapeError, match="one row per example"):
        nnx.diff(make(), (X, Y[:3]), "numpy", "numba")


def test_ulps_are_those_of_the_largest_value():
    unit = np.dtype("float32")
    ones = np.ones(3, "float32")
    assert ulps_apart(ones, ones, unit) == 0
    assert ulps_apart(ones, np.nextafter(ones, np.float32(2)), unit) == 1
    assert ulps_apart(np.array([1.0, 1e-30]), np.array([1.0, 2e-30]), unit) < 1e-20
    assert ulps_apart(np.array([np.nan, np.inf]), np.array([np.nan, np.inf]), unit) == 0
    assert ulps_apart(np.array([np.inf]), np.array([-np.inf]), unit) == math.inf
    assert ulps_apart(np.array([1, 2]), np.array([1, 3]), unit) == math.inf
    assert ulps_apart(np.zeros(0), np.zeros(0), unit) == 0


def test_the_picture_shows_every_call_once_and_the_tolerance():
    found = nnx.diff(make(), (X, Y), "numpy", NaNs(), steps=2)
    (axes,) = found.plot().axes
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert sum(len(line.get_xdata()) for line in points) == len({(part.step, part.call) for part in found.parts})
    assert any(set(line.get_ydata()) == {found.tolerance} for line in axes.lines)
    assert max(np.max(line.get_ydata()) for line in points) < axes.get_ylim()[1]  # what is infinite too
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_nobody_trains_or_moves_a_model_while_it_is_compared():
    model, engine = make(), Retrains()
    engine.model = model
    nnx.diff(model, (X, Y), "numpy", engine)
    assert model.backend.name == "numpy"


class OneWrongBias(NumpyBackend):
    """The update of one parameter is wrong."""

    name = "one-wrong-bias"

    def adam(self, p, *rest):
        super().adam(p, *rest)
        p[self.position] += 0.01

    position = 0


@pytest.mark.parametrize("name", ["0.weight", "1.beta", "4.0.bias", "5.bias"])
def test_the_parameter_whose_update_parts_is_named(name):
    model, engine = make(), OneWrongBias()
    model.build((6,))
    engine.position = next(
        slot.start
        for slot, parameter in zip(model.store.slots, model.store.parameters, strict=True)
        if parameter.name == name
    )
    found = nnx.diff(model, (X, Y), "numpy", engine)
    assert found.first is not None
    assert (found.first.kernel, found.first.parameter) == ("adam", name)
    first, heading, *table = str(found).splitlines()
    assert f"update: p at {name} of adam by" in first
    assert heading.split() == ["place", "kernel", "step", "worst", "array", "ulps"]
    assert any(line.startswith("update") and f"p at {name}" in line for line in table)


def test_engines_that_agree_are_printed_without_a_table():
    assert (
        str(nnx.diff(make(), (X, Y), "numpy", "numpy")) == "numpy and numpy agree within 1000 ulps, the worst is 0"
    )

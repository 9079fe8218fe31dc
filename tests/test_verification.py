"""A layer or loss of one's own that a recording cannot hold is found before it trains wrongly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.errors import BackendError, OptionError

RNG = np.random.default_rng(6)
X, Y = RNG.normal(size=(50, 4)).astype("float32"), RNG.integers(0, 3, 50)


@dataclass(eq=False, repr=False)
class PlainDouble(nnx.Layer):
    """2 x, in array code that no recording sees."""

    def forward(self, x, context):
        del context
        return x * 2.0, lambda dy: dy * 2.0


@dataclass(eq=False, repr=False)
class Double(nnx.Layer):
    """2 x, by an operation that is recorded."""

    def forward(self, x, context):
        del context
        return self.ops.add(x, x), lambda dy: self.ops.add(dy, dy)


def make(layer: nnx.Layer, backend="numpy") -> nnx.Sequential:
    layers = [nnx.Dense(5, "tanh"), layer, nnx.Dropout(0.2), nnx.BatchNorm(), nnx.Dense(3)]
    return nnx.Sequential(layers, seed=1, backend=backend).compile("softmax_cross_entropy", nnx.Adam(0.01))


def test_what_is_not_recorded_is_refused_and_the_layer_named(backend):
    with pytest.raises(
        BackendError, match=r"Look at layer 1, PlainDouble\(\), or train with fit\(\.\.\., eager=True\)"
    ):
        make(PlainDouble(), backend).fit(X, Y, epochs=2, batch_size=20)


def test_eager_training_takes_any_code():
    history = make(PlainDouble()).fit(X, Y, epochs=2, batch_size=20, eager=True)
    assert history["loss"] == make(Double()).fit(X, Y, epochs=2, batch_size=20, eager=True)["loss"]


@pytest.mark.parametrize("batch_size", [20, "full", 50, 1])
def test_what_is_recorded_trains_as_if_it_had_not_been_checked(backend, batch_size):
    replayed, eager = make(Double(), backend), make(Double(), backend)
    options = {"epochs": 3, "batch_size": batch_size, "validation_split": 0.2}
    first, second = replayed.fit(X, Y, **options), eager.fit(X, Y, **options, eager=True)
    assert first["loss"] == second["loss"]
    assert first["val_loss"] == second["val_loss"]


def test_evaluation_is_checked_too():
    model = make(PlainDouble())
    model.fit(X, Y, epochs=1, batch_size=20, eager=True)
    with pytest.raises(BackendError, match="PlainDouble"):
        model.evaluate(X, Y, batch_size=10)


def test_a_loss_of_ones_own_is_checked_too():
    class Halved(nnx.losses.MeanSquaredError):
        def forward(self, ops, outputs, targets, weight, gradient):
            loss, slope = super().forward(ops, outputs, targets, weight, gradient)
            return loss, None if slope is None else slope * np.float32(0.5)

    model = nnx.Sequential([nnx.Dense(2)], backend="numpy").compile(Halved())
    with pytest.raises(BackendError, match="Look at the loss"):
        model.fit(X, RNG.normal(size=(50, 2)), epochs=2, batch_size=20)


def test_models_of_nnx_alone_pay_nothing(monkeypatch):
    monkeypatch.setattr("nnx.verification.CheckedRunner._check", lambda *_: pytest.fail("checked"))
    nnx.Sequential([nnx.Dense(3)], backend="numpy").compile("softmax_cross_entropy").fit(X, Y, epochs=2)


@dataclass(frozen=True)
class Squares(nnx.losses.Loss):
    """Mean squares by a function of one's own, which looks at the weights it is given or not."""

    looks: bool = True
    slopes: bool = True

    name = "squares"
    targets = "values"

    def forward(self, ops, outputs, targets, weight, gradient):
        xp, count = ops.backend.xp, outputs.shape[0] * outputs.shape[1]

        def squares(outputs, targets, weight, loss, slope):
            share = 1 / count if weight is None else weight[:, None] / count
            loss[...] = xp.sum((outputs - targets) ** 2 * (share if self.looks else 1 / count))
            if slope is not None:
                slope[...] = 2 * (outputs - targets) * (share if self.slopes else 1 / count)

        loss, slope = ops.scalar(), ops.like(outputs) if gradient else None
        ops.call(squares, outputs, targets, weight, loss, slope)
        return loss, slope


VALUES, WEIGHT = RNG.normal(size=(50, 2)), np.linspace(0, 2, 50)


def fitted(loss, backend="numpy", **options):
    model = nnx.Sequential([nnx.Dense(2)], seed=1, backend=backend).compile(loss)
    model.fit(X, VALUES, batch_size=20, **options)
    return model


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(("looks", "slopes", "what"), [(False, False, "value"), (True, False, "gradient")])
def test_a_loss_that_does_not_look_at_weights_is_refused_where_there_are_some(backend, looks, slopes, what, eager):
    loss = Squares(looks, slopes)
    with pytest.raises(
        OptionError, match=rf"looks=.* does not look at .* weight: its {what} is the same for weights"
    ):
        fitted(loss, backend, sample_weight=WEIGHT, eager=eager)


def test_it_trains_without_weights_and_one_that_looks_at_them_with_them(backend):
    fitted(Squares(False, False), backend)
    own, ours = (fitted(loss, backend, sample_weight=WEIGHT) for loss in (Squares(), "mean_squared_error"))
    np.testing.assert_allclose(own.predict(X), ours.predict(X), rtol=1e-5, atol=1e-6)  # sums in another order


def test_evaluation_and_padding_are_looked_after_too():
    model = nnx.Sequential([nnx.GRU(2, return_sequences=True)], seed=1, backend="numpy").compile(Steps())
    x, y = RNG.normal(size=(6, 3, 4)), RNG.normal(size=(6, 3, 2))
    model.fit(x, y)
    with pytest.raises(OptionError, match="the padding of sequences would count for nothing"):
        model.fit(x, y, lengths=[3, 2, 1, 3, 2, 1])
    with pytest.raises(OptionError, match=r"Steps.* does not look at its argument weight"):
        model.evaluate(x, y, lengths=[3, 2, 1, 3, 2, 1])


class Steps(nnx.losses.MeanSquaredError):
    """Drops the weights on the way to the loss of nnx."""

    def forward(self, ops, outputs, targets, weight, gradient):
        del weight
        return super().forward(ops, outputs, targets, None, gradient)


def test_what_a_loss_says_of_weights_itself_comes_through():
    class Unweighed(nnx.losses.MeanSquaredError):
        def forward(self, ops, outputs, targets, weight, gradient):
            if weight is not None:
                raise OptionError("no weights here")
            return super().forward(ops, outputs, targets, weight, gradient)

    with pytest.raises(OptionError, match="no weights here"):
        fitted(Unweighed(), sample_weight=WEIGHT)


def test_data_in_a_file_are_no_way_around_it(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr("nnx.stored.plan.BUFFER_BYTES", 256)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = X, VALUES
        model = nnx.Sequential([nnx.Dense(2)], seed=1, backend="numpy").compile(Squares(False, False))
        with pytest.raises(OptionError, match="does not look at"):
            model.fit(file["x"], file["y"], batch_size=5, sample_weight=WEIGHT)

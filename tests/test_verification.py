"""A layer or loss of one's own that a recording cannot hold is found before it trains wrongly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.errors import BackendError

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

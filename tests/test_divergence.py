"""A loss that is not finite: found at its step, explained, and undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from support.problems import regression, weights_of

import nnx
from nnx import Backend
from nnx.callbacks import Callback, Logs
from nnx.errors import DivergenceError
from nnx.schedules import Schedule
from nnx.training import Run


@dataclass(frozen=True)
class Leap(Schedule):
    """A small rate, but a huge one in the step with this number; four steps per epoch."""

    number: int

    def __call__(self, epoch: float) -> float:
        return 1e30 if round(epoch * 4) == self.number else 0.01


class Keep(Callback):
    """Keep what training changes as it is after so many steps."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_steps(self, run: Run, _step: int, _logs: Logs) -> None:
        self.kept = weights_of(run.model)


def diverging(backend: Backend, leap: int, batch_norm: bool) -> nnx.Sequential:
    """Make a model whose weights are huge after a step, so that the loss overflows in the next one."""
    middle = [nnx.BatchNorm(), nnx.Dropout(0.2)] if batch_norm else []
    model = nnx.Sequential([nnx.Dense(3), *middle, nnx.Dense(1)], input_shape=(2,), seed=2, backend=backend)
    return model.compile("mean_squared_error", nnx.Momentum(Leap(leap)))


@pytest.mark.parametrize("eager", [False, True], ids=["replayed", "eager"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "with running statistics"])
@pytest.mark.parametrize(
    ("leap", "place"),
    [
        (2, "epoch 1, step 4 of 4"),
        (5, "epoch 2, step 3 of 4"),
        (7, "epoch 3, step 1 of 4"),
    ],
)
def test_a_diverging_loss_names_place_and_layer_and_leaves_the_model_as_before_the_step(
    backend: Backend, eager: bool, batch_norm: bool, leap: int, place: str
) -> None:
    x, y = regression(7, 2, 1)
    model, witness, keep = (*(diverging(backend, leap, batch_norm) for _ in range(2)), Keep(leap + 1))
    with pytest.raises(DivergenceError) as caught:
        model.fit(x, y, epochs=5, batch_size=2, eager=eager)
    with pytest.raises(DivergenceError):
        witness.fit(x, y, epochs=5, batch_size=2, eager=eager, callbacks=[keep])
    message = str(caught.value)
    assert f"The loss became inf in {place}" in message or f"The loss became nan in {place}" in message
    assert "is the first with such an output" in message or "the loss or its gradient is not" in message
    assert "The model is left as it was before that. Lower the learning rate" in message
    assert np.isfinite(weights_of(model)).all()
    np.testing.assert_array_equal(weights_of(model), keep.kept)
    assert model.epoch == (leap + 1) // 4


def test_the_first_layer_with_an_infinite_output_is_named(backend: Backend) -> None:
    x, y = regression(8, 2, 1)
    model = nnx.Sequential([nnx.Activation("tanh"), nnx.Dense(1)], input_shape=(2,), backend=backend)
    model.compile("mean_absolute_error", nnx.SGD(0.1))
    model.set_weights({"1.weight": [[3e38], [3e38]]})
    x[:] = 50.0
    with pytest.raises(DivergenceError, match=r"layer 1, Dense\(1.*\), is the first with such an output"):
        model.fit(x, y)


def test_training_goes_on_after_a_divergence_with_other_options(backend: Backend) -> None:
    x, y = regression(7, 2, 1)
    model = diverging(backend, 2, False)
    with pytest.raises(DivergenceError):
        model.fit(x, y, batch_size=2)
    model.set_weights({name: np.zeros_like(value) for name, value in model.get_weights().items()})
    model.compile("mean_squared_error", nnx.SGD(0.01))
    losses = model.fit(x, y, epochs=5)["loss"]
    assert losses[-1] < losses[0]


def test_weights_that_overflow_in_the_very_last_step_are_undone_too(backend: Backend) -> None:
    x, y = regression(8, 2, 1)
    model, twin = (nnx.Sequential([nnx.Dense(1)], input_shape=(2,), backend=backend) for _ in range(2))
    model.compile("mean_squared_error", nnx.SGD(Leap(3)))
    twin.compile("mean_squared_error", nnx.SGD(0.01))
    y = y * 1e15
    with pytest.raises(DivergenceError, match="weights stopped being finite in epoch 1, step 4 of 4"):
        model.fit(x, y, batch_size=2)
    keep = Keep(3)
    twin.fit(x, y, batch_size=2, callbacks=[keep])
    np.testing.assert_array_equal(weights_of(model), keep.kept)


def test_a_run_that_diverges_keeps_its_last_good_step_not_the_best_one_of_early_stopping(backend: Backend) -> None:
    x, y = regression(7, 2, 1)
    watched, alone = diverging(backend, 6, batch_norm=False), diverging(backend, 6, batch_norm=False)
    with pytest.raises(DivergenceError):
        watched.fit(x, y, epochs=3, batch_size=2, callbacks=[nnx.callbacks.EarlyStopping("loss", patience=5)])
    with pytest.raises(DivergenceError):
        alone.fit(x, y, epochs=3, batch_size=2)
    np.testing.assert_array_equal(weights_of(watched), weights_of(alone))


def test_weights_that_overflow_at_the_end_of_an_epoch_reach_no_callback_and_are_undone(backend: Backend) -> None:
    x, y = regression(8, 2, 1)
    model = nnx.Sequential([nnx.Dense(1)], input_shape=(2,), backend=backend)
    model.compile("mean_squared_error", nnx.SGD(1e38))
    seen: list[bool] = []

    class Look(Callback):
        def on_epoch_end(self, run: Run, _epoch: int, _logs: Logs) -> None:
            seen.append(bool(np.isfinite(weights_of(run.model)).all()))

    before = weights_of(model)
    with pytest.raises(DivergenceError, match="weights stopped being finite in epoch 1, step 1 of 1"):
        model.fit(x, y * 1e6, epochs=3, batch_size="full", callbacks=[Look()])
    assert seen == []
    np.testing.assert_array_equal(weights_of(model), before)
    assert model.epoch == 0

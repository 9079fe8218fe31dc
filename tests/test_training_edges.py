"""What training promises at its edges: fresh starts, single rows, callbacks that fail, rates that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from support.problems import linear_network, regression

import nnx
from nnx import Backend
from nnx.errors import OptionError


def test_compiling_again_starts_the_schedule_again(backend: Backend) -> None:
    x, y = regression(8)
    model = linear_network(backend, 2)
    rates = []
    for _ in range(2):
        model.compile("mean_squared_error", nnx.SGD(nnx.schedules.Cosine(0.1, 3)))
        rates.append(model.fit(x, y, epochs=3, batch_size="full")["learning_rate"])
    assert rates[0] == rates[1]
    assert rates[0][0] == pytest.approx(0.1)


def test_a_single_row_in_the_last_batch_leaves_the_running_variance_alone(backend: Backend) -> None:
    x = np.random.default_rng(1).normal(5, 3, (65, 2))
    model = nnx.Sequential([nnx.BatchNorm(), nnx.Dense(1)], dtype="float64", backend=backend)
    model.compile("mean_squared_error", nnx.SGD(0.0))
    model.fit(x, np.zeros(65), epochs=200, batch_size=64)
    np.testing.assert_allclose(model.get_weights()["0.running_var"], x.var(axis=0, ddof=1), rtol=0.05)


def test_a_loss_that_does_not_count_has_no_accuracy(backend: Backend) -> None:
    class Uncounted(nnx.losses.SoftmaxCrossEntropy):
        def count_correct(self, *_: object) -> None:
            return None

    model = nnx.Sequential([nnx.Dense(2)], backend=backend).compile(Uncounted())
    x, labels = np.random.default_rng(2).normal(size=(6, 3)), np.arange(6) % 2
    assert "accuracy" not in model.fit(x, labels)
    assert "accuracy" not in model.evaluate(x, labels)


def test_every_callback_is_told_of_the_end_even_if_one_fails(backend: Backend) -> None:
    told = []

    class End(nnx.callbacks.Callback):
        def __init__(self, fails: bool) -> None:
            self.fails = fails

        def on_train_end(self, _run):
            told.append(self.fails)
            if self.fails:
                raise RuntimeError("no disk")

    x, y = regression(8)
    model = linear_network(backend, 2).compile("mean_squared_error")
    with pytest.raises(RuntimeError, match="no disk"):
        model.fit(x, y, callbacks=[End(True), End(False)])
    assert told == [True, False]


@pytest.mark.parametrize("rate", [-0.1, float("nan")])
def test_a_schedule_that_gives_an_impossible_rate_is_refused(backend: Backend, rate: float) -> None:
    class Broken(nnx.schedules.Constant):
        def __call__(self, epoch: float) -> float:
            return rate if epoch > 0 else 0.1

    class Wrapped(nnx.schedules.Schedule):
        def __call__(self, epoch: float) -> float:
            return Broken(0.1)(epoch)

    x, y = regression(8)
    model = linear_network(backend, 2).compile("mean_squared_error", nnx.SGD(Wrapped()))
    with pytest.raises(OptionError, match="learning_rate must give finite rates of at least 0"):
        model.fit(x, y, batch_size=2)


def test_a_wrong_batch_size_is_told_both_forms(backend: Backend) -> None:
    x, y = regression(8)
    model = linear_network(backend, 2).compile("mean_squared_error")
    with pytest.raises(OptionError, match='batch_size must be "full" or a whole number of at least 1'):
        model.fit(x, y, batch_size="ful")

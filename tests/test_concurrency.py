"""One model in several threads, and several models in several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from support.problems import assert_same_bits, classification, fit_fully, full_network

import nnx
from nnx import Backend
from nnx.callbacks import Callback, Logs
from nnx.errors import BackendError
from nnx.training import Run


class During(Callback):
    """Do something with the model while it is trained."""

    def __init__(self, action: Callable[[nnx.Sequential], Any]) -> None:
        self.action = action

    def on_epoch_end(self, run: Run, _epoch: int, _logs: Logs) -> None:
        self.action(run.model)


@pytest.mark.parametrize(
    "action",
    [
        lambda model: model.fit(*classification()),
        lambda model: model.to("generic:numpy"),
        lambda model: model.compile("softmax_cross_entropy", "sgd"),
    ],
    ids=["fit", "to", "compile"],
)
def test_a_model_in_training_cannot_be_trained_moved_or_compiled_by_a_callback(
    backend: Backend, action: Callable[[nnx.Sequential], Any]
) -> None:
    model = full_network(backend)
    with pytest.raises(
        BackendError, match="This model is being trained or changed already; give each thread a model of its own"
    ):
        fit_fully(model, callbacks=[During(action)])
    fit_fully(model, 1)  # the model is free again


def test_a_second_thread_cannot_train_the_same_model(backend: Backend) -> None:
    model, errors, alone = full_network(backend), [], full_network(backend)

    def train() -> None:
        try:
            fit_fully(model, 1)
        except BackendError as error:
            errors.append(str(error))

    def start_another(_model: nnx.Sequential) -> None:
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()

    fit_fully(model, 2, callbacks=[During(start_another)])
    assert len(errors) == 2
    assert "being trained or changed already" in errors[0]
    fit_fully(alone, 2)
    assert_same_bits(model, alone)


def test_models_of_their_own_train_in_threads_like_alone(backend: Backend) -> None:
    models = [full_network(backend, seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit_fully, models))
    for seed, model in enumerate(models):
        alone = full_network(backend, seed=seed)
        fit_fully(alone)
        assert_same_bits(model, alone)


def test_predictions_of_many_threads_equal_those_of_one(backend: Backend) -> None:
    model, (x, _) = full_network(backend), classification(64)
    pieces = [x[start : start + 4] for start in range(0, 64, 4)]
    expected = [model.predict(piece) for piece in pieces]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(model.predict, pieces * 5), expected * 5, strict=True):
            np.testing.assert_array_equal(found, wanted)

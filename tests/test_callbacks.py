"""Callbacks."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.problems import assert_same_bits, classification, full_network, linear_network, regression, weights_of

import nnx
from nnx import Backend
from nnx.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    Logs,
    ModelCheckpoint,
    Monitor,
    ReduceLROnPlateau,
)
from nnx.errors import DataError, OptionError
from nnx.schedules import Exponential
from nnx.training import Run

X, Y = regression(12)
OTHER_Y = -Y  # the better the model fits Y, the worse it fits these


def model_on(backend: Backend | str, rate: Any = 0.05) -> nnx.Sequential:
    return linear_network(backend, 2, input_shape=(4,)).compile("mean_squared_error", nnx.SGD(rate))


class Record(Callback):
    """Write down every call."""

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self.calls: list[Any] = []
        self.states: list[Any] = []
        self.logs: list[Logs] = []

    def on_train_begin(self, _run: Run) -> None:
        self.calls.append("begin")

    def on_steps(self, run: Run, step: int, logs: Logs) -> None:
        self.calls.append(step)
        self.logs.append(dict(logs))
        self.states.append(weights_of(run.model))

    def on_epoch_end(self, run: Run, epoch: int, logs: Logs) -> None:
        self.calls.append(("epoch", epoch))
        self.logs.append(dict(logs))
        self.states.append(weights_of(run.model))

    def on_train_end(self, _run: Run) -> None:
        self.calls.append("end")


def test_callbacks_are_called_in_order_each_by_its_own_count(backend: Backend) -> None:
    threes, fives, never = Record(3), Record(5), Record()
    model_on(backend).fit(X, Y, epochs=2, batch_size=2, callbacks=[threes, fives, never])
    assert threes.calls == ["begin", 3, 6, ("epoch", 0), 9, 12, ("epoch", 1), "end"]
    assert fives.calls == ["begin", 5, ("epoch", 0), 10, ("epoch", 1), "end"]
    assert never.calls == ["begin", ("epoch", 0), ("epoch", 1), "end"]


def test_being_watched_changes_no_bit(backend: Backend) -> None:
    watched, alone = full_network(backend), full_network(backend)
    watched.fit(*classification(), epochs=2, batch_size=7, callbacks=[Record(2), Record(3)])
    alone.fit(*classification(), epochs=2, batch_size=7)
    assert_same_bits(watched, alone)


def test_measurements_between_steps_are_those_of_the_last_steps(backend: Backend) -> None:
    model, single = model_on(backend), model_on(backend)
    pairs, each = Record(2), Record(1)
    model.fit(X, Y, batch_size=3, shuffle=False, callbacks=[pairs])
    single.fit(X, Y, batch_size=3, shuffle=False, callbacks=[each])
    losses = [logs["loss"] for logs in each.logs[:4]]
    np.testing.assert_allclose(
        [logs["loss"] for logs in pairs.logs[:2]], [np.mean(losses[:2]), np.mean(losses[2:])]
    )


def worsening(backend: Backend, **options: Any) -> tuple[nnx.History, nnx.Sequential, Record]:
    """Train while the validation loss gets worse from the first look on."""
    model, record = model_on(backend), Record(options.get("every"))
    stopping = EarlyStopping("val_loss", **options)
    history = model.fit(X, Y, epochs=9, batch_size=3, validation_data=(X, OTHER_Y), callbacks=[record, stopping])
    return history, model, record


def test_early_stopping_waits_for_patience_and_puts_the_best_weights_back(backend: Backend) -> None:
    history, model, record = worsening(backend, patience=3)
    assert history.epochs == 4
    assert "val_loss was not better than" in history.stopped
    assert "for 3 looks, last at epoch 4" in history.stopped
    np.testing.assert_array_equal(weights_of(model), record.states[0])
    assert model.epoch == 1


def test_early_stopping_without_restoring_leaves_the_last_weights(backend: Backend) -> None:
    _, model, record = worsening(backend, patience=3, restore_best_weights=False)
    np.testing.assert_array_equal(weights_of(model), record.states[-1])


def test_early_stopping_puts_the_best_weights_back_also_after_the_last_epoch(backend: Backend) -> None:
    history, model, record = worsening(backend, patience=100)
    assert history.epochs == 9
    assert history.stopped == ""
    np.testing.assert_array_equal(weights_of(model), record.states[0])


def test_early_stopping_by_steps_stops_in_the_middle_of_an_epoch(backend: Backend) -> None:
    history, model, record = worsening(backend, patience=2, every=2)
    assert record.calls == ["begin", 2, 4, ("epoch", 0), 6, ("epoch", 1), "end"]
    assert "for 2 looks, last at step 6" in history.stopped
    assert history.epochs == 2
    np.testing.assert_array_equal(weights_of(model), record.states[0])


def test_a_stop_by_steps_measures_the_epoch_by_the_steps_done(backend: Backend) -> None:
    class Stop(Callback):
        every = 2

        def on_steps(self, run: Run, _step: int, _logs: Logs) -> None:
            run.stop("enough")

    history = model_on(backend).fit(X, Y, batch_size=3, epochs=5, shuffle=False, callbacks=[Stop()])
    each = Record(1)
    model_on(backend).fit(X, Y, batch_size=3, shuffle=False, callbacks=[each])
    assert history.stopped == "enough"
    assert history["loss"] == [pytest.approx(np.mean([logs["loss"] for logs in each.logs[:2]]))]


def test_early_stopping_forgets_between_fits(backend: Backend) -> None:
    stopping = EarlyStopping(patience=2)
    for _ in range(2):
        history = model_on(backend).fit(X, Y, epochs=9, validation_data=(X, OTHER_Y), callbacks=[stopping])
        assert history.epochs == 3


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("loss", [3, 2, 2, 1.9], [True, True, False, True]),
        ("val_accuracy", [0.5, 0.6, 0.6, 0.7], [True, True, False, True]),
        ("loss", [math.nan, 2, math.nan, 1], [False, True, False, True]),
    ],
)
def test_losses_are_better_smaller_and_accuracies_larger_and_nan_never(
    name: str, values: list[float], expected: list[bool]
) -> None:
    monitor = Monitor(name)
    assert [monitor.improved({name: value}) for value in values] == expected


def test_an_improvement_below_min_delta_does_not_count() -> None:
    monitor = Monitor("loss", 0.5)
    assert [monitor.improved({"loss": value}) for value in (3, 2.6, 2.4)] == [True, False, True]
    assert monitor.waited == 0


def test_a_measurement_that_is_not_taken_is_refused_with_those_that_are(backend: Backend) -> None:
    with pytest.raises(
        DataError, match=r"monitor 'val_loss' is not measured; there are .*loss.*Give fit validation_data"
    ):
        model_on(backend).fit(X, Y, callbacks=[EarlyStopping()])


def test_a_plateau_lowers_the_rate_step_by_step_down_to_the_least(backend: Backend) -> None:
    plateau = ReduceLROnPlateau("val_loss", factor=0.1, patience=2, min_factor=0.05)
    history = model_on(backend, 0.01).fit(X, Y, epochs=7, validation_data=(X, OTHER_Y), callbacks=[plateau])
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.01, 0.01, 1e-3, 1e-3, 5e-4, 5e-4])


def test_a_plateau_multiplies_the_schedule_and_really_slows_training(backend: Backend) -> None:
    plateau = ReduceLROnPlateau("val_loss", factor=0.5, patience=1)
    model, record = model_on(backend, Exponential(0.02, 0.5)), Record()
    data = {"batch_size": "full", "validation_data": (X, OTHER_Y)}
    history = model.fit(X, Y, epochs=3, callbacks=[record, plateau], **data)
    np.testing.assert_allclose(history["learning_rate"], [0.02, 0.01, 0.0025])
    by_hand = model_on(backend)
    for rate in history["learning_rate"]:
        by_hand.compile("mean_squared_error", nnx.SGD(rate)).fit(X, Y, batch_size="full")
    for name, value in by_hand.get_weights().items():
        np.testing.assert_allclose(model.get_weights()[name], value, rtol=1e-13)


def test_a_scheduler_decides_the_rate_of_each_epoch_and_is_asked_for_no_more(backend: Backend) -> None:
    rates = [0.03, 0.0, 0.02]
    model, record = model_on(backend), Record()
    history = model.fit(X, Y, epochs=3, callbacks=[LearningRateScheduler(rates.__getitem__), record])
    assert history["learning_rate"] == rates
    np.testing.assert_array_equal(*(state[:-1] for state in record.states[:2]))  # all but the number of steps


@pytest.mark.parametrize("rate", [-1.0, math.nan, "fast"])
def test_a_scheduler_that_gives_no_rate_is_refused(rate: Any) -> None:
    with pytest.raises(OptionError, match=r"learning rate must be a number in \[0, inf\), got "):
        model_on("generic:numpy").fit(X, Y, callbacks=[LearningRateScheduler(lambda _epoch: rate)])


def test_a_csv_file_holds_the_history(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    history = model_on(backend).fit(X, Y, epochs=3, validation_data=(X, OTHER_Y), callbacks=[CSVLogger(path)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", *history]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    for name, values in history.items():
        assert [float(row[name]) for row in rows] == values


def test_a_csv_file_holds_the_epochs_before_an_error_and_is_closed(tmp_path: Path) -> None:
    class Break(Callback):
        def on_epoch_end(self, _run: Run, epoch: int, _logs: Logs) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    logger = CSVLogger(tmp_path / "log.csv")
    with pytest.raises(KeyboardInterrupt):
        model_on("generic:numpy").fit(X, Y, epochs=5, callbacks=[logger, Break()])
    assert len(logger.path.read_text().splitlines()) == 3
    logger.path.unlink()  # not possible on every system while the file is open


def test_a_callback_that_fails_to_begin_leaves_no_file_open(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv")
    with pytest.raises(OptionError):
        model_on("generic:numpy").fit(X, Y, callbacks=[logger, LearningRateScheduler(lambda _epoch: -1.0)])
    assert logger._file is None


def test_a_checkpoint_keeps_the_model_after_the_last_epoch(backend: Backend, tmp_path: Path) -> None:
    path, model = tmp_path / "model.h5", full_network(backend)
    model.fit(*classification(), epochs=2, callbacks=[ModelCheckpoint(path)])
    kept = nnx.load(path, backend)
    assert_same_bits(kept, model)
    for each in (kept, model):
        each.fit(*classification(), epochs=1)
    assert_same_bits(kept, model)


def test_a_checkpoint_by_a_monitor_keeps_the_best_epoch(backend: Backend, tmp_path: Path) -> None:
    path, record = tmp_path / "model.h5", Record()
    checkpoint = ModelCheckpoint(path, monitor="val_loss")
    model = model_on(backend)
    model.fit(X, Y, epochs=4, validation_data=(X, OTHER_Y), callbacks=[record, checkpoint])
    np.testing.assert_array_equal(weights_of(nnx.load(path, backend)), record.states[0])


@pytest.mark.parametrize("make", [CSVLogger, ModelCheckpoint])
def test_a_folder_that_is_not_there_is_refused_before_any_work(
    make: Callable[[Path], Callback], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"path must lie in a folder that exists, got '.*'; make '.*none' first"):
        make(tmp_path / "none" / "file")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: EarlyStopping(patience=0), "patience must be a whole number of at least 1, got 0"),
        (lambda: EarlyStopping(min_delta=-1), "min_delta must be a number in [0, inf), got -1"),
        (lambda: EarlyStopping(every=0), "every must be a whole number of at least 1, got 0"),
        (lambda: ReduceLROnPlateau(factor=1), "factor must be a number in (0, 1), got 1"),
        (lambda: ReduceLROnPlateau(factor=0), "factor must be a number in (0, 1), got 0"),
        (lambda: ReduceLROnPlateau(min_factor=2), "min_factor must be a number in [0, 1), got 2"),
    ],
)
def test_options_out_of_range_are_refused_at_once(make: Callable[[], Callback], says: str) -> None:
    with pytest.raises(OptionError) as caught:
        make()
    assert says in str(caught.value)

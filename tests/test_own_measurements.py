"""Measurements that callbacks put into the logs of an epoch: followed by others, kept, drawn and gone on with."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import nnx
from nnx.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from nnx.errors import DataError, OptionError

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 1))


class Measure(Callback):
    """Puts the next of some values into the logs; None for none."""

    def __init__(self, values, name="score"):
        self.values, self.name = values, name

    def config(self):
        return None

    def on_epoch_end(self, _run, epoch, logs):
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


def make():
    model = nnx.Sequential([nnx.Dense(4, "tanh"), nnx.Dense(1)], seed=1, backend="numpy")
    return model.compile("mean_squared_error", "adam")


def fit(*callbacks, model=None, epochs=5, **options):
    return (model or make()).fit(X, Y, epochs=epochs, batch_size=8, callbacks=callbacks, **options)


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_early_stopping_follows_a_measurement_of_a_callback_before_it():
    stop = EarlyStopping("score", mode="max", patience=2)
    history = fit(Measure([0.1, 0.5, 0.4, 0.3, 0.9]), stop)
    assert history["score"] == [0.1, 0.5, 0.4, 0.3]
    assert history.stopped == "score was not better than 0.5 for 2 looks, last at epoch 4"
    history = fit(Measure([0.5, 0.4, 0.45, 0.46, 0.9]), EarlyStopping("score", mode="min", patience=2))
    assert history.epochs == 4


def test_the_best_weights_are_those_of_the_best_measurement(tmp_path):
    model, path = make(), tmp_path / "best.h5"
    best = ModelCheckpoint(path, monitor="score", mode="max")
    fit(Measure([0.1, 0.9, 0.4]), best, EarlyStopping("score", mode="max"), model=model, epochs=3)
    assert nnx.load(path, "numpy").epoch == model.epoch == 2


def test_a_plateau_of_a_measurement_of_ones_own_lowers_the_rate():
    plateau = ReduceLROnPlateau("score", mode="max", patience=1, factor=0.5)
    rates = fit(Measure([0.1, 0.2, 0.2, 0.3, 0.3]), plateau)["learning_rate"]
    assert np.array(rates) / rates[0] == pytest.approx([1, 1, 1, 0.5, 0.5])


def test_a_callback_behind_the_one_that_follows_comes_too_late():
    with pytest.raises(DataError, match=r"'score' is not measured; .* must stand before this one"):
        fit(EarlyStopping("score", mode="max"), Measure([0.1] * 5))


@pytest.mark.parametrize(
    "kind", [EarlyStopping, ReduceLROnPlateau, lambda name: ModelCheckpoint("a.h5", monitor=name)]
)
def test_a_name_that_does_not_tell_what_is_better_needs_a_mode(kind):
    with pytest.raises(OptionError, match=r"monitor='val_f1' does not tell which .* mode=\"max\" for larger ones"):
        kind("val_f1")


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(OptionError, match='mode must be "min", "max" or "auto", got \'larger\''):
        EarlyStopping("val_f1", mode="larger")


def test_epochs_without_a_measurement_hold_nan_so_that_all_are_of_one_length():
    history = fit(Measure([None, 0.5, None, np.float32(0.25), None]), Measure([1, None, 3, 4, 5], "other"))
    assert str(history["score"]) == "[nan, 0.5, nan, 0.25, nan]"
    assert str(history["other"]) == "[1.0, nan, 3.0, 4.0, 5.0]"


def test_the_table_has_a_column_for_it(tmp_path):
    fit(Measure([0.5, None, 0.25]), CSVLogger(tmp_path / "log.csv"), epochs=3)
    rows = table(tmp_path / "log.csv")
    assert [row["score"] for row in rows] == ["0.5", "nan", "0.25"]
    assert [float(row["loss"]) > 0 for row in rows] == [True] * 3


def test_a_column_that_comes_late_is_refused_in_place_of_a_crooked_table(tmp_path):
    with pytest.raises(OptionError, match=r"'score' came into logs in epoch 2, .* NaN where none was measured"):
        fit(Measure([None, 0.5, 0.25]), CSVLogger(tmp_path / "log.csv"), epochs=3)


def test_a_run_with_such_measurements_goes_on(tmp_path):
    path, log = tmp_path / "run.h5", tmp_path / "log.csv"
    stop = EarlyStopping("score", mode="max", patience=3)
    watchers = Measure([0.5, 0.4, 0.3, 0.2, 0.1]), stop, CSVLogger(log)
    fit(*watchers, Checkpoint(path), epochs=2)
    history = fit(*watchers, Checkpoint(path), resume=path)
    assert history["score"] == [0.5, 0.4, 0.3, 0.2]
    assert [row["score"] for row in table(log)] == ["0.5", "0.4", "0.3", "0.2"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("score", "high", "Measure put 'score' into logs, which must be a number, got 'high'"),
        ("score", True, "must be a number, got True"),
        ("score", np.zeros(2), "must be a number, got array"),
        ("loss", 0.0, "Measure changed measurements in logs"),
        ("val_accuracy", 0.5, "put 'val_accuracy' into logs, which is no name for a measurement beside nnx's own"),
        (3, 0.5, "put 3 into logs, which is no name"),
    ],
)
def test_what_is_no_measurement_is_refused(name, value, message):
    with pytest.raises(OptionError) as caught:
        fit(Measure([value], name), epochs=1)
    assert message in str(caught.value)

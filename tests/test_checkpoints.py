"""A run that is interrupted anywhere and goes on ends as if it had not been interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

import nnx
from nnx.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from nnx.errors import FileFormatError, OptionError, StorageError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(300, 6)).astype("float32"), RNG.integers(0, 3, 300)
EPOCHS, BATCH = 6, 64
STEPS = 4
"""Of an epoch: 240 examples are left to train on."""


class CrashError(Exception):
    """What ends a run in these tests."""


class CrashingCheckpoint(Checkpoint):
    """Keeps the run after every step and crashes after the one given."""

    def __init__(self, path: Path, after: int) -> None:
        super().__init__(path, every=1)
        self.left = after

    def save(self, run):
        super().save(run)
        self.left -= 1
        if self.left == 0:
            raise CrashError


def make_model(backend, seed: int = 3) -> nnx.Sequential:
    layers = [
        nnx.Dense(16, bias=False),
        nnx.BatchNorm(),
        nnx.Activation("relu"),
        nnx.Dropout(0.3),
        nnx.Dense(3),
    ]
    model = nnx.Sequential(layers, seed=seed, backend=backend)
    return model.compile("softmax_cross_entropy", nnx.Adam(nnx.schedules.Cosine(0.01, EPOCHS)), l2=0.01)


def fit(model: nnx.Sequential, *extra: Callback, x=X, y=Y, **options):
    watchers = [EarlyStopping(patience=3, every=3), ReduceLROnPlateau(patience=1), *extra]
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "validation_split": 0.2, "callbacks": watchers, **options}
    return model.fit(x, y, **settings)


def measured(history: nnx.History) -> dict[str, list[float]]:
    return {name: values for name, values in history.items() if name != "seconds"}


def assert_same(first: nnx.Sequential, second: nnx.Sequential) -> None:
    ours, theirs = first.get_weights(), second.get_weights()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def crash(model: nnx.Sequential, path: Path, after: int, *extra: Callback) -> None:
    with pytest.raises(CrashError):
        fit(model, *extra, CrashingCheckpoint(path, after))


@pytest.mark.parametrize("after", [1, STEPS - 1, STEPS, STEPS + 2, 4 * STEPS])
def test_a_run_that_crashed_ends_as_the_uninterrupted_one_bit_for_bit(backend, tmp_path, after):
    whole, broken, again = (make_model(backend) for _ in range(3))
    expected = fit(whole)
    crash(broken, tmp_path / "run.h5", after)
    history = fit(again, resume=tmp_path / "run.h5")
    assert measured(history) == measured(expected)
    assert_same(again, whole)


def test_a_run_may_crash_and_go_on_again_and_again(tmp_path):
    whole, path = make_model("numpy"), tmp_path / "run.h5"
    expected = fit(whole)
    crash(make_model("numpy"), path, 3)
    for _ in range(4):
        with pytest.raises(CrashError):
            fit(make_model("numpy"), CrashingCheckpoint(path, 5), resume=path)
    last = make_model("numpy")
    assert measured(fit(last, resume=path)) == measured(expected)
    assert_same(last, whole)


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    first, second = make_model("numpy"), make_model("numpy")
    done = fit(first, Checkpoint(tmp_path / "run.h5"))
    history = fit(second, resume=tmp_path / "run.h5")
    assert history["seconds"] == done["seconds"]
    assert_same(first, second)


def test_more_epochs_may_be_asked_for_when_a_run_goes_on(tmp_path):
    whole, again = make_model("numpy"), make_model("numpy")
    fit(whole, epochs=4)
    fit(make_model("numpy"), Checkpoint(tmp_path / "run.h5"), epochs=2)
    assert fit(again, epochs=4, resume=tmp_path / "run.h5").epochs == 4
    assert_same(whole, again)


def test_the_table_of_epochs_goes_on_without_gap_or_repetition(tmp_path):
    paths = tmp_path / "whole.csv", tmp_path / "broken.csv"
    fit(make_model("numpy"), CSVLogger(paths[0]))
    crash(make_model("numpy"), tmp_path / "run.h5", 2 * STEPS + 1, CSVLogger(paths[1]))
    fit(make_model("numpy"), CSVLogger(paths[1]), resume=tmp_path / "run.h5")
    epochs = [[row.split(",")[0] for row in path.read_text().splitlines()] for path in paths]
    assert epochs[0] == epochs[1]


def test_rates_set_by_epoch_go_on_where_they_were(tmp_path):
    rates = [0.01, 0.02, 0.03, 0.04]
    crash(make_model("numpy"), tmp_path / "run.h5", 2 * STEPS + 1, LearningRateScheduler(rates.__getitem__))
    again = make_model("numpy")
    history = fit(again, LearningRateScheduler(rates.__getitem__), epochs=4, resume=tmp_path / "run.h5")
    assert history["learning_rate"] == rates


def test_a_kept_run_is_a_model_too(tmp_path):
    model = make_model("numpy")
    fit(model, Checkpoint(tmp_path / "run.h5"), callbacks=[Checkpoint(tmp_path / "run.h5")])
    loaded = nnx.load(tmp_path / "run.h5", backend="numpy")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_former_files_are_kept_in_order(tmp_path):
    path = tmp_path / "run.h5"
    fit(make_model("numpy"), callbacks=[Checkpoint(path, keep_last=3)])
    files = [path, tmp_path / "run.1.h5", tmp_path / "run.2.h5"]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert [nnx.load(file, backend="numpy").epoch for file in files] == [EPOCHS, EPOCHS - 1, EPOCHS - 2]


def test_a_long_interval_leaves_only_the_end(tmp_path):
    class Counting(Checkpoint):
        files = 0

        def save(self, run):
            before = self._saved
            super().save(run)
            self.files += self._saved != before

    keep = Counting(tmp_path / "run.h5", interval=3600)
    fit(make_model("numpy"), callbacks=[keep])
    assert keep.files == 1
    assert nnx.load(keep.path, backend="numpy").epoch == EPOCHS


def kept(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    crash(make_model("numpy"), path, 5)
    return path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 32}, "a run with batch_size=64, got 32"),
        ({"shuffle": False}, "a run with shuffle=True, got False"),
        ({"x": X + 1}, "a run on other examples"),
        ({"y": Y[::-1]}, "a run on other examples"),
        ({"validation_split": 0.0}, "a run on other examples"),
        ({"callbacks": []}, "callbacks="),
        ({"callbacks": [EarlyStopping(patience=4, every=3), ReduceLROnPlateau(patience=1)]}, "'patience': 4"),
        ({"epochs": 1}, r"epochs \(--epochs of nnx train\) counts those done before.* ask for at least 2"),
    ],
)
def test_other_terms_are_refused_and_change_nothing(tmp_path, options, message):
    path, model = kept(tmp_path), make_model("numpy")
    with pytest.raises(OptionError, match=message):
        fit(model, resume=path, **options)
    assert not model.built
    model.build((6,))
    before = model.get_weights()
    with pytest.raises(OptionError, match=message):
        fit(model, resume=path, **options)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])


def test_another_model_is_refused(tmp_path):
    with pytest.raises(OptionError, match="a run of another model: its seed is 3, that of this one 4"):
        fit(make_model("numpy", seed=4), resume=kept(tmp_path))


def test_a_model_without_a_run_is_refused(tmp_path):
    model = make_model("numpy")
    model.build((6,))
    model.save(tmp_path / "model.h5")
    with pytest.raises(FileFormatError, match="it holds a model, but no run to go on with"):
        fit(model, resume=tmp_path / "model.h5")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"absent\.h5: there is no such file"):
        fit(make_model("numpy"), resume=tmp_path / "absent.h5")


@pytest.mark.parametrize("name", ["losses", "history.0", "callback.0.values", "callback.0.moment.first_moment"])
def test_a_changed_part_of_the_run_is_noticed(tmp_path, name):
    path = kept(tmp_path)
    with h5py.File(path, "r+") as file:
        file[name][...] = file[name][...] + 1
    with pytest.raises(FileFormatError, match=f"the contents of '{name}' do not have their checksum"):
        fit(make_model("numpy"), resume=path)


def test_a_full_disk_leaves_the_former_file(tmp_path, monkeypatch):
    path = kept(tmp_path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        fit(make_model("numpy"), callbacks=[Checkpoint(path)])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


SCRIPT = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored

import sys
import numpy as np
import nnx

rng = np.random.default_rng(0)
x, y = rng.normal(size=(20000, 20)).astype("float32"), rng.integers(0, 3, 20000)
model = nnx.Sequential([nnx.Dense(64, "relu"), nnx.Dropout(0.2), nnx.Dense(3)], seed=1, backend="numpy")
model.compile("softmax_cross_entropy", nnx.Adam())
path, resume, epochs = sys.argv[1], sys.argv[2] or None, int(sys.argv[3])


class Announce(nnx.callbacks.Callback):
    every = 1

    def on_steps(self, run, step, logs):
        if step == 3:
            print("begun", flush=True)


keep = nnx.callbacks.Checkpoint(path, interval=3600)
model.fit(x, y, epochs=epochs, batch_size=32, callbacks=[Announce(), keep], resume=resume)
"""


def command(tmp_path: Path, *arguments: object) -> list[str]:
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(SCRIPT))
    return [sys.executable, str(script), *map(str, arguments)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_end_and_keeps_the_run(tmp_path, monkeypatch, number):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    path, whole = tmp_path / "run.h5", tmp_path / "whole.h5"
    endless = command(tmp_path, path, "", 100_000)
    with subprocess.Popen(endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number), errors
    epochs = nnx.load(path, backend="numpy").epoch + 1
    subprocess.run(command(tmp_path, whole, "", epochs), check=True)
    subprocess.run(command(tmp_path, path, path, epochs), check=True)
    assert_same(nnx.load(path, backend="numpy"), nnx.load(whole, backend="numpy"))

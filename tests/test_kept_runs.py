"""What is kept of a run: only what can be read back, all that it depends on, and nothing of a refused one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import nnx
from nnx.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from nnx.errors import DivergenceError, FileFormatError, OptionError, StorageError

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = np.arange(40) % 2
STEPS = 10


class CrashError(Exception):
    """What ends a run in these tests."""


class Crash(Callback):
    """Crashes once so many steps are done, after those that save."""

    every = 1

    def __init__(self, after: int) -> None:
        self.after = after

    def config(self):
        return None

    def on_steps(self, _run, step, _logs):
        if step > self.after:
            raise CrashError


def make(optimizer: object = "adam", *layers: nnx.layers.Layer) -> nnx.Sequential:
    model = nnx.Sequential([*layers, nnx.Dense(2)], seed=1, backend="numpy")
    return model.compile("softmax_cross_entropy", optimizer)


def fit(model: nnx.Sequential, *callbacks: Callback, x=X, epochs: int = 3, **options) -> nnx.History:
    return model.fit(x, Y, epochs=epochs, batch_size=4, callbacks=callbacks, **options)


def crash(path: Path, after: int, *callbacks: Callback, epochs: int = 3) -> None:
    with pytest.raises(CrashError):
        fit(make(), *callbacks, Checkpoint(path, every=1), Crash(after), epochs=epochs)


def good_file(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "run.h5"
    fit(make(), Checkpoint(path))
    return path, path.read_bytes()


@pytest.mark.parametrize(
    ("optimizer", "layers", "scale", "what"),
    [
        (nnx.SGD(1e36), [], 1e4, "weights stopped being finite|loss became nan"),
        (nnx.Adam(1e-3), [], 1e25, "optimizer's second_moment stopped being finite"),
        (nnx.SGD(0.0), [nnx.BatchNorm], 1e25, "running statistics stopped being finite|loss became nan"),
    ],
    ids=["weights", "moment", "running statistics"],
)
@pytest.mark.parametrize("every", [1, None])
def test_a_run_that_diverges_never_replaces_a_good_file(tmp_path, optimizer, layers, scale, what, every):
    (path, _), model = good_file(tmp_path), make(optimizer, *(layer() for layer in layers))
    with pytest.raises(DivergenceError, match=rf"({what}).* in epoch \d, step \d+ of 10"):
        fit(model, Checkpoint(path, every=every), x=X * np.float32(scale))
    nnx.load(path, backend="numpy")
    assert all(np.isfinite(model.backend.to_numpy(array)).all() for array in model.state_arrays())


def test_a_model_that_load_would_refuse_is_not_saved(tmp_path):
    path, before = good_file(tmp_path)
    model = make()
    model.build((3,))
    model.moments[1][...] = np.inf
    with pytest.raises(DivergenceError, match=r"cannot be saved: moment\.second_moment holds NaN or infinity"):
        model.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("after", [2 * STEPS, STEPS + 3])
def test_rates_by_epoch_go_on_when_more_epochs_are_asked_for(tmp_path, after):
    rates, path = [0.01, 0.02, 0.03, 0.04], tmp_path / "run.h5"
    scheduler = LearningRateScheduler(rates.__getitem__)
    if after == 2 * STEPS:
        fit(make(), scheduler, Checkpoint(path), epochs=2)
    else:
        crash(path, after, scheduler, epochs=2)
    assert fit(make(), scheduler, epochs=4, resume=path)["learning_rate"] == rates


def test_a_finished_run_with_rates_by_epoch_may_be_started_again(tmp_path):
    path, scheduler = tmp_path / "run.h5", LearningRateScheduler([0.01, 0.02].__getitem__)
    fit(make(), scheduler, Checkpoint(path), epochs=2)
    assert fit(make(), scheduler, epochs=2, resume=path).epochs == 2


def test_a_rate_changed_within_an_epoch_goes_on_bit_for_bit(tmp_path):
    class Halve(Callback):
        every = 3

        def on_steps(self, run, _step, _logs):
            run.rate_factor *= 0.5

    whole, again, path = make(), make(), tmp_path / "run.h5"
    expected = fit(whole, Halve())
    crash(path, STEPS + 4, Halve())
    history = fit(again, Halve(), resume=path)
    assert history["learning_rate"] == expected["learning_rate"]
    np.testing.assert_array_equal(again.predict(X), whole.predict(X))


def test_saving_after_every_step_measures_no_more_than_the_epochs(tmp_path, monkeypatch):
    from nnx.measurement import Measurement

    counted, measure = [], Measurement.measure
    monkeypatch.setattr(Measurement, "measure", lambda self: counted.append(1) or measure(self))
    fit(make(), Checkpoint(tmp_path / "run.h5", every=1), validation_data=(X, Y))
    assert len(counted) == 3


class Memory(Callback):
    """Remembers what it is told to."""

    def __init__(self, memory: object = 0, refuses: bool = False) -> None:
        self.memory, self.refuses = memory, refuses

    def state(self):
        return {"memory": self.memory}

    def restore(self, state):
        if self.refuses:
            raise ValueError("no")
        self.memory = state["memory"]


def test_a_callback_that_refuses_its_memory_leaves_the_model_as_it_was(tmp_path):
    path, model = tmp_path / "run.h5", make()
    fit(make(), Memory(), Checkpoint(path))
    model.build((3,))
    before = model.get_weights()
    with pytest.raises(FileFormatError, match="what Memory remembered does not fit it"):
        fit(model, Memory(refuses=True), resume=path)
    assert model.epoch == 0
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("memory", [(1, 2), {1: 2}, float("nan"), np.zeros(2)])
def test_what_a_callback_cannot_keep_is_found_before_the_first_step(tmp_path, memory):
    model = make()
    with pytest.raises(OptionError, match=r"state\(\) of Memory"):
        fit(model, Memory(memory), Checkpoint(tmp_path / "run.h5"))
    assert int(model.step) == 0


def test_a_model_that_cannot_be_saved_is_found_before_the_first_step(tmp_path):
    model = make()
    model.metadata = {"classes": ("a", "b")}
    with pytest.raises(OptionError, match="metadata must come back from JSON as it was"):
        fit(model, Checkpoint(tmp_path / "run.h5"))
    assert int(model.step) == 0


def test_what_a_saving_callback_remembers_is_kept(tmp_path):
    class Remembering(Memory, Checkpoint):
        def __init__(self, path, memory):
            Checkpoint.__init__(self, path)
            self.memory, self.refuses = memory, False

    path = tmp_path / "run.h5"
    fit(make(), Remembering(path, 7), epochs=1)
    again = Remembering(path, 0)
    fit(make(), again, resume=path)
    assert again.memory == 7


def test_callbacks_without_bearing_on_training_come_and_go(tmp_path):
    path = tmp_path / "run.h5"
    fit(make(), Checkpoint(path), CSVLogger(tmp_path / "a.csv"), epochs=1)
    fit(make(), Checkpoint(path, every=2), Checkpoint(tmp_path / "b.h5"), resume=path, epochs=2)
    assert fit(make(), resume=path).epochs == 3


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (EarlyStopping("loss", patience=2), EarlyStopping("loss", patience=3)),
        (EarlyStopping("loss"), EarlyStopping("accuracy")),
        (ReduceLROnPlateau("loss", factor=0.5), ReduceLROnPlateau("loss", factor=0.1)),
    ],
)
def test_callbacks_with_other_options_are_refused(tmp_path, before, now):
    path = tmp_path / "run.h5"
    fit(make(), before, Checkpoint(path), epochs=1)
    with pytest.raises(OptionError, match="a run with callbacks="):
        fit(make(), now, resume=path)


def test_fewer_epochs_than_are_done_are_refused_and_as_many_are_not(tmp_path):
    path, _ = good_file(tmp_path)
    with pytest.raises(OptionError, match=r"has done 3 epochs, got 2; ask for at least 3"):
        fit(make(), epochs=2, resume=path)
    assert fit(make(), epochs=3, resume=path).epochs == 3


def test_metadata_come_back_with_the_run(tmp_path):
    first, again = make(), make()
    first.metadata = {"classes": ["a", "b"]}
    fit(first, Checkpoint(tmp_path / "run.h5"), epochs=1)
    fit(again, resume=tmp_path / "run.h5")
    assert again.metadata == {"classes": ["a", "b"]}


def test_a_folder_is_no_file_to_keep_a_run_in(tmp_path):
    with pytest.raises(OptionError, match="path must name a file, got the folder"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("shuffle", ["no", 0, None])
def test_shuffle_is_a_flag(shuffle):
    with pytest.raises(OptionError, match="shuffle must be True or False"):
        fit(make(), shuffle=shuffle)


def test_a_damaged_run_says_how_to_begin_anew(tmp_path):
    path, before = good_file(tmp_path)
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(FileFormatError, match=r"nnx\.callbacks\.Checkpoint, or another path to begin anew\.$"):
        fit(make(), resume=path)


def test_a_full_disk_leaves_the_files_that_were_kept(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    fit(make(), Checkpoint(path, keep_last=3))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(StorageError, match=r"run\.1\.h5' cannot be written: No space left on device"):
        fit(make(), Checkpoint(path, keep_last=3))
    epochs = [
        nnx.load(file, backend="numpy").epoch for file in (path, tmp_path / "run.1.h5", tmp_path / "run.2.h5")
    ]
    assert epochs == [3, 2, 1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("limit", [1000, 4000])
def test_a_file_that_cannot_grow_leaves_the_former_one(tmp_path, limit):
    import resource

    path, before = good_file(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(StorageError, match=r"run\.h5' cannot be written: File too large\.$"):
            fit(make(), Checkpoint(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_only_the_newest_of_many_files_is_copied(tmp_path, monkeypatch):
    copied, copy = [], shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: copied.append(source) or copy(source, target))
    path = tmp_path / "run.h5"
    fit(make(), Checkpoint(path, keep_last=4), epochs=5)
    assert copied == [path] * 4

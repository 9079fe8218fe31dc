"""Event files for TensorBoard, read back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from support.events import events, shown

import nnx
from nnx.errors import MissingLibraryError, OptionError, StorageError

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: nothing writes events")

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(20, 3)).astype("float32"), RNG.integers(0, 2, 20)
TensorBoard = nnx.callbacks.TensorBoard


def make_model() -> nnx.Sequential:
    layers = [nnx.Dense(4, "tanh"), nnx.Dense(2)]
    return nnx.Sequential(layers, seed=1).compile("softmax_cross_entropy", nnx.Adam(nnx.schedules.Cosine(0.1, 9)))


def fit(model: nnx.Sequential, *callbacks: nnx.callbacks.Callback, **options: object) -> nnx.History:
    usual = {"epochs": 3, "batch_size": 5, "validation_data": (X, Y)}
    return model.fit(X, Y, callbacks=callbacks, **{**usual, **options})


class Interruption(nnx.callbacks.Callback):
    """Ends a run as a Ctrl-C between two steps does, after its events were written."""

    def __init__(self, every: int) -> None:
        self.every = every

    def config(self) -> None:
        """Training does not depend on it."""

    def on_steps(self, *_) -> None:
        raise KeyboardInterrupt


def test_every_measurement_of_an_epoch_is_a_curve_over_the_steps_of_the_model(tmp_path):
    history = fit(make_model(), TensorBoard(tmp_path / "new" / "run"))
    curves = shown(tmp_path / "new" / "run")
    assert curves.keys() == {f"epoch/{name}" for name in history}
    for name, values in history.items():
        assert [step for step, _ in curves[f"epoch/{name}"]] == [4, 8, 12]
        np.testing.assert_array_equal([value for _, value in curves[f"epoch/{name}"]], np.float32(values))


def test_steps_have_curves_of_their_own_if_asked_for(tmp_path):
    fit(make_model(), TensorBoard(tmp_path, every=3))
    curves = shown(tmp_path)
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    assert {name for name in curves if name.startswith("steps/")} == {f"steps/{name}" for name in names}
    assert [step for step, _ in curves["steps/loss"]] == [3, 6, 9, 12]


def test_histograms_count_every_value_of_every_parameter(tmp_path):
    model = make_model()
    fit(model, TensorBoard(tmp_path, histograms=True), epochs=2)
    found = [(e.step, value) for e in events(tmp_path) for value in e.summary.value if value.HasField("histo")]
    weights = model.get_weights()
    assert [(step, value.tag) for step, value in found] == [(s, f"weights/{n}") for s in (4, 8) for n in weights]
    for _, value in found:
        assert sum(value.histo.bucket) == value.histo.num == weights[value.tag.removeprefix("weights/")].size
    last = found[-1][1].histo
    assert (last.min, last.max) == (weights["1.bias"].min(), weights["1.bias"].max())


def test_training_does_not_depend_on_what_is_written(tmp_path):
    alone, watched = make_model(), make_model()
    fit(alone)
    fit(watched, TensorBoard(tmp_path, every=2, histograms=True))
    for name, values in alone.get_weights().items():
        np.testing.assert_array_equal(values, watched.get_weights()[name])


@pytest.mark.parametrize("stop", [8, 10, 11])
def test_a_run_that_goes_on_shows_every_step_once(tmp_path, stop):
    whole = tmp_path / "whole"
    fit(make_model(), TensorBoard(whole, every=2))
    keep = nnx.callbacks.Checkpoint(tmp_path / "run.h5", every=4)
    folder = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), TensorBoard(folder, every=2), keep, Interruption(stop))
    fit(make_model(), TensorBoard(folder, every=2), keep, resume=keep.path)
    expected, found = shown(whole), shown(folder)
    del expected["epoch/seconds"], found["epoch/seconds"]
    assert found == expected
    assert len(list(folder.iterdir())) == 2


def test_a_second_fit_goes_on_where_the_first_ended_and_another_model_takes_its_place(tmp_path):
    model, callback = make_model(), TensorBoard(tmp_path)
    fit(model, callback)
    fit(model, callback)
    assert [step for step, _ in shown(tmp_path)["epoch/loss"]] == [4, 8, 12, 16, 20, 24]
    fit(make_model(), callback, epochs=1)
    assert [step for step, _ in shown(tmp_path)["epoch/loss"]] == [4]


def test_a_clock_that_was_put_back_does_not_change_the_order_of_files(tmp_path):
    (tmp_path / "events.out.tfevents.9999999998.someone").write_bytes(b"")
    fit(make_model(), TensorBoard(tmp_path), epochs=1)
    assert max(path.name for path in tmp_path.iterdir()) == "events.out.tfevents.9999999999.nnx"


def test_a_callback_may_be_added_to_a_run_that_goes_on(tmp_path):
    keep = nnx.callbacks.Checkpoint(tmp_path / "run.h5")
    fit(make_model(), keep, epochs=1)
    fit(make_model(), keep, TensorBoard(tmp_path / "events"), resume=keep.path)
    assert [step for step, _ in shown(tmp_path / "events")["epoch/loss"]] == [8, 12]


def test_a_full_disk_is_told_in_a_sentence_and_leaves_the_model_trained(tmp_path, monkeypatch):
    import tensorboardX

    def refuse(_self, _data):
        raise OSError(28, "No space left on device")

    model, callback = make_model(), TensorBoard(tmp_path)
    monkeypatch.setattr(tensorboardX.RecordWriter, "write", refuse)
    with pytest.raises(StorageError, match=r"folder '.*' cannot be written: No space left on device"):
        fit(model, callback)
    monkeypatch.undo()
    assert len(fit(model, callback)["loss"]) == 3


def test_a_disk_that_is_full_at_the_end_is_told_in_a_sentence_too(tmp_path, monkeypatch):
    import tensorboardX

    def refuse(writer):
        writer._writer.close()
        raise OSError(28, "No space left on device")

    callback = TensorBoard(tmp_path)
    monkeypatch.setattr(tensorboardX.RecordWriter, "close", refuse)
    with pytest.raises(StorageError, match=r"folder '.*' cannot be written: No space left on device"):
        fit(make_model(), callback)
    monkeypatch.undo()
    assert len(fit(make_model(), callback)["loss"]) == 3


def test_a_folder_that_is_a_file_is_refused_before_any_work(tmp_path):
    path = tmp_path / "events"
    path.write_text("")
    with pytest.raises(OptionError, match=r"folder must be one, or not exist yet, got the file"):
        TensorBoard(path)
    with pytest.raises(OptionError, match=r"folder must be a text or a pathlib.Path, got 3"):
        TensorBoard(3)
    with pytest.raises(OptionError, match=r"every must be a whole number of at least 1"):
        TensorBoard(tmp_path, every=0)


def test_without_the_library_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingLibraryError, match=r"tensorboardX is needed .* 'nnx-framework\[tensorboard\]'"):
        TensorBoard(tmp_path)

"""A run is read from a file only if it is one of the same model; if not, the error says where the two differ."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.saved_models import X, Y, edit_config, save_trained

import nnx
from nnx.callbacks import Checkpoint, EarlyStopping
from nnx.errors import FileFormatError, OptionError
from nnx.serialization import read_run

RUNS = "Give a file written by nnx.callbacks.Checkpoint"


def make(layers=(), seed=3, rate=0.1) -> nnx.Sequential:
    model = nnx.Sequential([nnx.Dense(4), *layers, nnx.Dense(3)], seed=seed, backend="numpy", input_shape=(4,))
    return model.compile("softmax_cross_entropy", nnx.SGD(rate))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    make([nnx.Dropout(0.5)]).fit(X, Y, epochs=1, batch_size=30, callbacks=[Checkpoint(tmp_path / "run.h5")])
    return tmp_path / "run.h5"


def says(path: Path, model: nnx.Sequential) -> str:
    """Return where the model and that of the file differ."""
    with pytest.raises(OptionError) as caught:
        read_run(path, model)
    first, last = (
        f"{str(path)!r} is a run of another model: its ",
        (". Make the model by the same code as before, or begin a new run with another file."),
    )
    sentence = str(caught.value)
    assert sentence.startswith(first)
    assert sentence.endswith(last)
    return sentence.removeprefix(first).removesuffix(last)


@pytest.mark.parametrize(
    ("model", "difference"),
    [
        (make([nnx.Dropout(0.5)], seed=4), "seed is 3, that of this one 4"),
        (make([nnx.Dropout(0.25)]), "layers[1].options.rate is 0.5, that of this one 0.25"),
        (make([nnx.Activation("relu")]), "layers[1].type is 'Dropout', that of this one 'Activation'"),
        (make(), "number of layers is 3, that of this one 2"),
        (
            make([nnx.Dropout(0.5)], rate=nnx.schedules.Cosine(0.1, 5)),
            "optimizer.options.learning_rate is 0.1, that of this one {'type': 'Cosine', 'options': {'rate': 0.1, ",
        ),
    ],
)
def test_the_first_difference_to_the_model_of_the_file_is_named(kept, model, difference):
    assert says(kept, model).startswith(difference)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda config: config.pop("l2"), "l2 is None, that of this one 0.0"),
        (lambda config: config.update(layers={}), "layers is {}, that of this one [{"),
        (lambda config: config.update(input_shape=None), "input_shape is None, that of this one [4]"),
        (lambda config: config["loss"].update(more=1), "loss is {'type': 'softmax_cross_entropy', 'options': {"),
    ],
)
def test_a_model_of_other_parts_is_named_too(kept, change, difference):
    edit_config(kept, change)
    assert says(kept, make([nnx.Dropout(0.5)])).startswith(difference)


@pytest.mark.parametrize("change", [{"step": "x"}, {"options": None}, {"measurements": {"loss": -1}}, {"kept": 3}])
def test_a_run_that_makes_no_sense_is_refused(kept, change):
    edit_config(kept, lambda config: config["run"].update(change))
    start = re.escape(f"{kept}: config does not describe a run: ")
    with pytest.raises(FileFormatError, match=rf"^{start}.*\. {RUNS}, or another path to begin anew\.$"):
        read_run(kept, make([nnx.Dropout(0.5)]))


def test_a_run_is_read_with_its_weights_its_epoch_its_metadata_and_its_name(kept):
    edit_config(kept, lambda config: config["metadata"].update(by="me"))
    run = read_run(kept, make([nnx.Dropout(0.5)]))
    assert (run.weights.epoch, run.metadata, run.path) == (1, {"by": "me"}, str(kept))
    for read, held in zip(run.weights.arrays, nnx.load(kept, backend="numpy").state_arrays(), strict=True):
        np.testing.assert_array_equal(read, held)


def test_a_file_without_a_run_says_what_to_do(tmp_path):
    absent, model = tmp_path / "absent.h5", save_trained(tmp_path / "model.h5")
    for path, reason, advice in (
        (absent, "there is no such file", f"{RUNS}."),
        (model, "it holds a model, but no run to go on with", f"{RUNS}, or another path to begin anew."),
    ):
        with pytest.raises(FileFormatError) as caught:
            read_run(path, make())
        assert str(caught.value) == f"{path}: {reason}. {advice}"


def test_the_best_weights_so_far_are_read_with_the_run(tmp_path):
    path, model = tmp_path / "run.h5", make()
    callbacks = [EarlyStopping("loss"), Checkpoint(path)]
    model.fit(X, Y, epochs=1, batch_size=30, callbacks=callbacks)
    (best,) = (kept for kept in read_run(path, make()).state.kept if kept is not None)
    for read, held in zip(best.arrays, model.state_arrays(), strict=True):
        np.testing.assert_array_equal(read, held)

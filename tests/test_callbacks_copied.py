"""Callbacks copied and pickled: each is an option of a model or an estimator, which are copied with them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.saved_models import X, Y, make_model

import nnx
from nnx.callbacks import Callback

WAYS: dict[str, Callable[[Callback], Callback]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda callback: pickle.loads(pickle.dumps(callback)),
}


def halving(epoch: int) -> float:
    return 0.1 * 0.5**epoch


MAKERS: dict[str, Callable[[Path], Callback]] = {
    "CSVLogger": lambda folder: nnx.callbacks.CSVLogger(folder / "log.csv"),
    "Checkpoint": lambda folder: nnx.callbacks.Checkpoint(folder / "run.h5"),
    "EarlyStopping": lambda _: nnx.callbacks.EarlyStopping("loss"),
    "LearningRateScheduler": lambda _: nnx.callbacks.LearningRateScheduler(halving),
    "ModelCheckpoint": lambda folder: nnx.callbacks.ModelCheckpoint(folder / "best.h5", monitor="loss"),
    "ReduceLROnPlateau": lambda _: nnx.callbacks.ReduceLROnPlateau("loss"),
    "TensorBoard": lambda folder: nnx.callbacks.TensorBoard(folder / "events", histograms=True),
}


def test_every_callback_that_there_is_is_among_those_copied_here():
    kinds = [getattr(nnx.callbacks, name) for name in nnx.callbacks.__all__]
    found = {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, Callback)}
    assert MAKERS.keys() == found - {"Callback"}


@pytest.mark.parametrize("trained", [False, True], ids=["new", "after a fit"])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", MAKERS)
def test_a_copy_has_the_same_options_and_works(tmp_path, name, way, trained):
    if name == "TensorBoard" and find_spec("tensorboardX") is None:
        pytest.skip("tensorboardX is not installed: nothing writes events")
    callback = MAKERS[name](tmp_path)
    if trained:
        make_model().fit(X, Y, batch_size=30, callbacks=[callback])
    copied = way(callback)
    assert type(copied) is type(callback)
    assert copied.config() == callback.config()
    assert vars(copied).keys() == vars(callback).keys()
    assert make_model().fit(X, Y, batch_size=30, callbacks=[copied]).epochs == 1

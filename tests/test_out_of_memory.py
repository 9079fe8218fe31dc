"""Memory that ends in the middle of training: told in one sentence, nothing done by halves, the last file whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostcuda
import numpy as np
import pytest
from shadow import ShadowBackend
from support.problems import assert_same_bits, fit_fully, full_network, measured

import nnx
from nnx import Backend
from nnx.callbacks import Callback, Checkpoint, EarlyStopping
from nnx.errors import NnxError, OutOfMemoryError

EPOCHS = 3


class DeviceFullError(MemoryError):
    """Like the error of CuPy's memory pool, a class of its own under MemoryError."""


class Room:
    """Lets a backend give out so many arrays and no more, from when training has come to its second epoch on."""

    def __init__(self, backend: Backend, patch: pytest.MonkeyPatch) -> None:
        self.left: float = np.inf
        self.ended = False
        for name in ("empty", "zeros", "asarray"):
            patch.setattr(backend, name, self._counted(getattr(backend, name)))

    def _counted(self, make: Any) -> Any:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self.left <= 0:
                self.ended = True
                raise DeviceFullError("Out of memory allocating 4,096 bytes (allocated so far: 8,192 bytes).")
            self.left -= 1
            return make(*arguments, **options)

        return counted


@contextmanager
def scarce(backend: Backend) -> Iterator[Room]:
    with pytest.MonkeyPatch.context() as patch:
        yield Room(backend, patch)


class Fills(Callback):
    """Leaves room for so many arrays once the first epoch is over."""

    def __init__(self, room: Room, arrays: int) -> None:
        self.room, self.arrays = room, arrays

    def config(self) -> None:
        return None

    def on_epoch_end(self, _run: Any, epoch: int, _logs: Any) -> None:
        if epoch == 0:
            self.room.left = self.arrays


def fit(model: nnx.Sequential, path: Path, *more: Callback, **options: Any) -> nnx.History:
    """Train layer by layer, so that every step asks for room."""
    callbacks = [EarlyStopping("loss", patience=2), *more, Checkpoint(path)]
    return fit_fully(model, EPOCHS, callbacks=callbacks, eager=True, progress=False, **options)


def test_wherever_memory_ends_the_run_goes_on_from_its_last_file_as_if_it_had_not(
    backend: Backend, tmp_path: Path
) -> None:
    go_on_from_where_memory_ended(backend, tmp_path, (2, 30))


@pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))
def test_the_cuda_backend_goes_on_too_after_its_pool_was_empty(tmp_path: Path) -> None:
    go_on_from_where_memory_ended(ShadowBackend(), tmp_path, (11,))


def go_on_from_where_memory_ended(backend: Backend, tmp_path: Path, rooms: Iterable[int]) -> None:
    whole = full_network(backend)
    expected = fit(whole, tmp_path / "whole.h5")
    for arrays in rooms:
        path, model = tmp_path / f"{arrays}.h5", full_network(backend)
        with scarce(backend) as room, pytest.raises(OutOfMemoryError) as caught:
            fit(model, path, Fills(room, arrays))
        assert room.ended
        assert isinstance(caught.value.__cause__, DeviceFullError)
        assert f"{backend.name} ran out of memory in epoch " in str(caught.value)
        assert f"fit(..., resume={str(path)!r}) goes on from it" in str(caught.value)
        assert nnx.load(path, backend=backend).epoch == model.epoch
        assert_same_bits(nnx.load(path, backend=backend), model)
        again = full_network(backend)
        assert measured(fit(again, path, resume=path)) == measured(expected)
        assert_same_bits(again, whole)


def test_the_sentence_names_engine_epoch_reason_and_file(tmp_path: Path) -> None:
    model, path = full_network("numpy"), tmp_path / "run.h5"
    with scarce(model.backend) as room, pytest.raises(OutOfMemoryError) as caught:
        fit(model, path, Fills(room, 30))
    assert str(caught.value) == (
        "numpy ran out of memory in epoch 2 of 3: Out of memory allocating 4,096 bytes (allocated so far: 8,192 "
        f"bytes). The model is left as it was when that epoch began. The run stands in {str(path)!r} as it was "
        f"last saved: with more memory, or on another backend, fit(..., resume={str(path)!r}) goes on from it."
    )
    assert isinstance(caught.value, NnxError)
    assert isinstance(caught.value, MemoryError)


class Swells(Callback):
    """Asks for more than there is, after an epoch."""

    def __init__(self, after: int) -> None:
        self.after = after

    def on_epoch_end(self, _run: Any, epoch: int, _logs: Any) -> None:
        if epoch == self.after:
            raise MemoryError


@pytest.mark.parametrize("after", [0, EPOCHS - 1])
def test_a_run_without_a_file_is_told_what_to_change(after: int) -> None:
    model, twin = full_network("numpy"), full_network("numpy")
    with pytest.raises(OutOfMemoryError) as caught:
        fit_fully(model, EPOCHS, callbacks=[Swells(after)])
    assert str(caught.value) == (
        f"numpy ran out of memory in epoch {after + 1} of 3. The model is left as it was when that epoch began. "
        "Train with a smaller batch_size, or a smaller network."
    )
    fit_fully(twin, after)
    assert_same_bits(model, twin)


def test_a_run_that_went_on_and_found_no_room_names_the_file_that_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    fit_fully(full_network("numpy"), 1, callbacks=[Swells(9), Checkpoint(path)])
    with pytest.raises(OutOfMemoryError, match=r"in epoch 2 of 3.*The run stands in .*run\.h5"):
        fit_fully(full_network("numpy"), EPOCHS, callbacks=[Swells(9), Fails()], resume=path)


def test_an_error_of_nnx_that_is_one_of_memory_keeps_its_own_sentence() -> None:
    class Inner(Callback):
        def on_epoch_end(self, _run: Any, _epoch: int, _logs: Any) -> None:
            raise OutOfMemoryError("Another model found no room.")

    with pytest.raises(OutOfMemoryError, match=r"^Another model found no room\.$"):
        fit_fully(full_network("numpy"), 1, callbacks=[Inner()])


class Fails(Callback):
    """Finds no room before the first step."""

    def config(self) -> None:
        return None

    def on_train_begin(self, _run: Any) -> None:
        raise MemoryError


def test_a_save_that_finds_no_room_leaves_the_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, saves = tmp_path / "run.h5", itertools.count(1)
    image = nnx.serialization._image

    def second_fails(named: Any) -> Any:
        if next(saves) == 2:
            raise MemoryError
        return image(named)

    monkeypatch.setattr(nnx.serialization, "_image", second_fails)
    with pytest.raises(OutOfMemoryError, match="in epoch 2 of 3"):
        fit(full_network("numpy"), path)
    assert nnx.load(path, backend="numpy").epoch == 1
    assert list(tmp_path.iterdir()) == [path]

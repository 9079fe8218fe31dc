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
import shadow
from shadow import ShadowBackend
from support.problems import assert_same_bits, fit_fully, full_network, measured

import nnx
from nnx import Backend, loop
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
        assert str(caught.value).startswith(
            f"{backend.name} ran out of memory: Out of memory allocating 4,096 bytes"
        )
        assert f"The model has done {model.epoch} of {EPOCHS} epochs." in str(caught.value)
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
        "numpy ran out of memory: Out of memory allocating 4,096 bytes (allocated so far: 8,192 bytes). The model "
        f"has done 1 of 3 epochs. The run stands in {str(path)!r} as it was last saved: with more memory, or on "
        f"another backend, fit(..., resume={str(path)!r}) goes on from it."
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
def test_an_epoch_after_which_a_callback_finds_no_room_stands(after: int) -> None:
    model, twin = full_network("numpy"), full_network("numpy")
    with pytest.raises(OutOfMemoryError) as caught:
        fit_fully(model, EPOCHS, callbacks=[Swells(after)])
    assert str(caught.value) == (
        f"numpy ran out of memory. The model has done {after + 1} of 3 epochs. Train with a smaller batch_size, or "
        "a smaller network."
    )
    assert model.epoch == after + 1
    fit_fully(twin, after + 1)
    assert_same_bits(model, twin)


def test_a_run_that_went_on_and_found_no_room_names_the_file_that_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    fit_fully(full_network("numpy"), 1, callbacks=[Swells(9), Checkpoint(path)])
    with pytest.raises(OutOfMemoryError, match=r"has done 1 of 3.*The run stands in .*run\.h5"):
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
    model = full_network("numpy")
    with pytest.raises(OutOfMemoryError, match="has done 2 of 3 epochs"):
        fit(model, path)
    assert model.epoch == 2
    assert nnx.load(path, backend="numpy").epoch == 1
    assert list(tmp_path.iterdir()) == [path]


def test_measuring_that_finds_no_room_undoes_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, summarise = itertools.count(1), loop.summarise

    def second_fails(*arguments: Any) -> Any:
        if next(calls) == 2:
            raise MemoryError
        return summarise(*arguments)

    monkeypatch.setattr(loop, "summarise", second_fails)
    path, model = tmp_path / "run.h5", full_network("numpy")
    with pytest.raises(OutOfMemoryError, match="has done 1 of 3 epochs"):
        fit(model, path)
    assert_same_bits(nnx.load(path, backend="numpy"), model)


@pytest.mark.parametrize("arrays", [0, 3])
@pytest.mark.parametrize("use", ["fit", "evaluate", "predict"])
def test_data_that_find_no_room_on_the_device_are_told_by_nnx(backend: Backend, use: str, arrays: int) -> None:
    x, y = np.zeros((64, 4), "float32"), np.arange(64) % 3
    model = nnx.Sequential([nnx.Dense(8, "relu"), nnx.Dense(3)], input_shape=(4,), backend=backend)
    model.compile("softmax_cross_entropy")
    calls = {
        "fit": lambda: model.fit(x, y, progress=False),
        "evaluate": lambda: model.evaluate(x, y),
        "predict": lambda: model.predict(x, batch_size=8),
    }
    before = model.get_weights()
    with scarce(backend) as room:
        room.left = arrays
        with pytest.raises(OutOfMemoryError, match=f"^{backend.name} ran out of memory: ") as caught:
            calls[use]()
    assert isinstance(caught.value.__cause__, DeviceFullError)
    assert all((before[name] == values).all() for name, values in model.get_weights().items())
    calls[use]()  # with room again


@pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))
def test_a_graph_that_cuda_finds_no_room_for_is_memory_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    launches, launch = itertools.count(1), shadow.HostGraph.launch

    def fourth_fails(graph: Any) -> None:
        if next(launches) == 4:
            raise shadow.DeviceFullError("cudaErrorMemoryAllocation: out of memory")
        launch(graph)

    monkeypatch.setattr(shadow.HostGraph, "launch", fourth_fails)
    model, twin = full_network(ShadowBackend()), full_network(ShadowBackend())
    with pytest.raises(
        OutOfMemoryError, match=r"out of memory: cudaErrorMemoryAllocation.* has done \d of 3 epochs"
    ):
        fit_fully(model, EPOCHS)
    monkeypatch.undo()
    fit_fully(twin, model.epoch)
    assert_same_bits(model, twin)

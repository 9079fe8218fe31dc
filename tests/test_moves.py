"""Models, and runs of training, that move from one backend to another: whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.problems import assert_same_bits, classification, fit_fully, full_network, measured, weights_of

from nnx import Backend, Dense, Sequential
from nnx.callbacks import Checkpoint
from nnx.conformance.training import TRAJECTORY
from nnx.errors import BackendError, OptionError, UnknownNameError
from nnx.interface import Array
from nnx.interface.generic import GenericBackend


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("nmpy", UnknownNameError, "Unknown backend 'nmpy'. Did you mean 'numpy'?"),
        (None.__class__, BackendError, "backend must be a name or an nnx.Backend"),
    ],
)
def test_a_move_to_nowhere_leaves_the_model_where_it_is(name: Any, error: type, says: str) -> None:
    model = full_network("generic:numpy")
    before = weights_of(model)
    with pytest.raises(error) as caught:
        model.to(name)
    assert says in str(caught.value)
    assert model.backend.name == "generic:numpy"
    np.testing.assert_array_equal(weights_of(model), before)


class Scarce(GenericBackend):
    """A backend with room for so many arrays and no more."""

    def __init__(self, room: int) -> None:
        super().__init__(np, name="scarce")
        self.room = room

    def empty(self, shape: tuple[int, ...], dtype: str) -> Array:
        self._take()
        return super().empty(shape, dtype)

    def asarray(self, values: NDArray[Any], dtype: str) -> Array:
        self._take()
        return super().asarray(values, dtype)

    def _take(self) -> None:
        if self.room == 0:
            raise MemoryError("no room")
        self.room -= 1


@pytest.mark.parametrize("room", range(11))
def test_a_move_that_finds_no_room_leaves_a_model_that_goes_on_as_if_nothing_had_been(
    backend: Backend, room: int
) -> None:
    model, twin = full_network(backend), full_network(backend)
    for each in (model, twin):
        each.fit(*classification(), epochs=2)
    with pytest.raises(MemoryError):
        model.to(Scarce(room))
    assert model.backend is backend
    assert model.ops.backend is backend
    assert all(layer.ops.backend is backend for layer in model.chain.layers)
    assert_same_bits(model, twin)
    for each in (model, twin):
        each.fit(*classification(), epochs=2)
    assert_same_bits(model, twin)
    np.testing.assert_array_equal(model.predict(classification()[0]), twin.predict(classification()[0]))


def test_a_model_that_found_no_room_when_it_was_moved_can_be_moved_later(backend: Backend) -> None:
    model, twin = full_network(backend), full_network(backend)
    with pytest.raises(MemoryError):
        model.to(Scarce(8))
    model.to(Scarce(1000))
    assert model.backend.name == "scarce"
    np.testing.assert_array_equal(weights_of(model), weights_of(twin))


def test_a_model_without_room_for_its_optimizer_stays_unbuilt() -> None:
    model = Sequential([Dense(2)], backend=Scarce(5)).compile("mean_squared_error", "adam")
    with pytest.raises(MemoryError):
        model.build((4,))
    assert not model.built


def test_a_move_draws_no_initial_weights_again() -> None:
    drawn = []

    def ones(shape: tuple[int, ...], _seed: int, _stream: int) -> NDArray[np.float64]:
        drawn.append(shape)
        return np.ones(shape)

    model = Sequential([Dense(2, init=ones)], input_shape=(4,), backend="numpy").to("generic:numpy")
    assert drawn == [(4, 2)]
    np.testing.assert_array_equal(model.get_weights()["0.weight"], 1)


def test_a_move_before_building_decides_where_the_model_is_built(backend: Backend) -> None:
    model = Sequential([Dense(2)]).to(backend)
    model.build((4,))
    assert model.backend is backend


class BrokenOffError(Exception):
    """What ends a run here."""


class BreaksOff(Checkpoint):
    """Keeps a run once, and breaks it off there."""

    def save(self, run: Any) -> None:
        super().save(run)
        raise BrokenOffError


@pytest.mark.parametrize("dtype", TRAJECTORY)
@pytest.mark.parametrize(("first", "second"), [("numpy", "numba"), ("numba", "numpy")])
def test_a_run_ends_on_another_backend_as_on_its_own_but_for_rounding(
    tmp_path: Path, first: str, second: str, dtype: str
) -> None:
    whole, there = full_network(first, dtype), full_network(second, dtype)
    expected = fit_fully(whole, epochs=4)
    with pytest.raises(BrokenOffError):
        fit_fully(full_network(first, dtype), epochs=4, callbacks=[BreaksOff(tmp_path / "run.h5", every=6)])
    history = fit_fully(there, epochs=4, resume=tmp_path / "run.h5")
    assert there.backend.name == second
    assert_on_the_same_way(there.get_weights(), whole.get_weights(), TRAJECTORY[dtype])
    assert_on_the_same_way(measured(history), measured(expected), TRAJECTORY[dtype])


def assert_on_the_same_way(found: Any, expected: Any, tolerance: float) -> None:
    """Compare as `nnx.conformance` does, relative to the largest value of each array."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        largest = max(float(np.abs(values).max()), 1e-3)
        np.testing.assert_allclose(found[name], values, rtol=0, atol=tolerance * largest, err_msg=name)


def test_a_move_to_nowhere_is_refused():
    with pytest.raises(OptionError, match="backend must be a name or a Backend, got None"):
        Sequential([Dense(1)]).to(None)

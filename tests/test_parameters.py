"""Flat buffers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import nnx
from nnx import Backend
from nnx.parameters import ALIGNMENT, Parameter, State, Store, lay_out

shapes = some.lists(some.lists(some.integers(0, 20), max_size=3).map(tuple), max_size=8)


@given(shapes, some.sampled_from([4, 8]))
def test_arrays_are_aligned_in_order_and_never_overlap(wanted: list[tuple[int, ...]], itemsize: int) -> None:
    slots, total = lay_out(wanted, itemsize)
    assert [slot.shape for slot in slots] == wanted
    end = 0
    for slot in slots:
        assert slot.start * itemsize % ALIGNMENT == 0
        assert slot.start >= end
        assert slot.start - end < ALIGNMENT // itemsize
        end = slot.start + math.prod(slot.shape)
    assert end <= total < end + ALIGNMENT // itemsize


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_views_of_the_buffers(backend: Backend, dtype: str) -> None:
    initial = np.arange(6.0).reshape(2, 3)
    parameter, state = Parameter("a", (2, 3), initial), State("s", (2,), np.array([1.0, 2.0]))
    store = Store(backend, dtype, [Parameter("b", (3,), np.ones(3)), parameter], [state])
    np.testing.assert_array_equal(backend.to_numpy(parameter.value), initial)
    np.testing.assert_array_equal(backend.to_numpy(state.value), [1, 2])
    assert (parameter.initial, state.initial) == (None, None)  # they would take as much memory again
    store.values[...] = 7
    store.gradients[...] = 8
    store.state[...] = 9
    assert (backend.to_numpy(parameter.value) == 7).all()
    assert (backend.to_numpy(parameter.grad) == 8).all()
    assert (backend.to_numpy(state.value) == 9).all()
    parameter.value[...] = 1
    assert backend.to_numpy(store.values).sum() == 7 * (store.values.shape[0] - 6) + 6


def test_decayed_parameters_come_first_and_are_one_range(backend: Backend) -> None:
    made = [Parameter(str(i), (i + 1,), np.full(i + 1, i + 1.0), decayed=i % 2 == 1) for i in range(5)]
    store = Store(backend, "float64", made, [])
    assert [item.name for item in store.parameters] == ["1", "3", "0", "2", "4"]
    values = backend.to_numpy(store.values)
    assert set(values[: store.decayed]) == {0, 2, 4}
    assert set(values[store.decayed :]) == {0, 1, 3, 5}
    assert store.count() == 15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_parameter_begins_on_a_boundary_whatever_its_precision(dtype: str) -> None:
    made = [Parameter(str(i), (i + 1,), np.ones(i + 1)) for i in range(5)]
    store = Store(nnx.registry.get("numpy"), dtype, made, [])
    assert {slot.start * np.dtype(dtype).itemsize for slot in store.slots} == {0, 64, 128, 192, 256}


def test_a_model_without_parameters_has_empty_buffers_and_still_predicts(backend: Backend) -> None:
    model = nnx.Sequential([nnx.Activation("relu")], dtype="float64", input_shape=(2,), backend=backend)
    assert model.store.count() == 0
    np.testing.assert_array_equal(model.predict([[-1.0, 2.0]]), [[0.0, 2.0]])
    history = model.compile("mean_squared_error").fit([[-1.0, 2.0]], [[0.0, 0.0]], epochs=2)
    assert history["loss"] == [2.0, 2.0]


def test_weights_are_listed_layer_by_layer_whatever_the_order_of_the_buffer() -> None:
    layers = [nnx.Dense(3), nnx.BatchNorm(), nnx.Bidirectional(nnx.GRU(2, return_sequences=True)), nnx.LayerNorm()]
    layers += [nnx.Residual([nnx.BatchNorm(), nnx.Dense(4)]), *(nnx.Dense(4, bias=False) for _ in range(6))]
    model = nnx.Sequential(layers, input_shape=(5, 2), backend="generic:numpy")
    gru = ["weight", "recurrent_weight", "bias", "recurrent_bias"]
    norm = ["gamma", "beta", "running_mean", "running_var"]
    assert list(model.get_weights()) == [
        "0.weight",
        "0.bias",
        *(f"1.{name}" for name in norm),
        *(f"2.{half}.{name}" for half in (0, 1) for name in gru),
        "3.gamma",
        "3.beta",
        *(f"4.0.{name}" for name in norm),
        "4.1.weight",
        "4.1.bias",
        *(f"{index}.weight" for index in range(5, 11)),
    ]


def test_a_parameter_and_a_state_are_shown_without_their_numbers() -> None:
    parameter, state = Parameter("0.weight", (2, 3), np.ones((2, 3))), State("1.mean", (3,), np.ones(3))
    Store(nnx.registry.get("numpy"), "float32", [parameter], [state])
    assert repr(parameter) == "Parameter(name='0.weight', shape=(2, 3), decayed=False, l2=None)"
    assert repr(state) == "State(name='1.mean', shape=(3,))"

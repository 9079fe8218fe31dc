"""Recurrent networks and tables on CUDA: blocks of sequences, states that outgrow shared memory, order of sums."""

from __future__ import annotations

import functools
import re
from typing import Any

import hostcuda
import numpy as np
import pytest
from hostcuda import HostModule, KernelError
from numpy.typing import NDArray
from shadow import ShadowBackend

from nnx import reference

pytestmark = pytest.mark.skipif(hostcuda.unavailable() is not None, reason=str(hostcuda.unavailable()))

Values = NDArray[Any]
SEEDS = range(4)
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def random(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Values:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


class Network:
    """One call of a recurrent network, forward and backward, with everything that can be given."""

    def __init__(
        self, kind: str, sequences: int, steps: int, units: int, dtype: str, reverse: bool = False
    ) -> None:
        self.kind, self.dtype, self.reverse = kind, dtype, reverse
        self.shape, self.width = (sequences, steps, units), GATES[kind] * units
        lengths = np.random.default_rng(9).integers(0, steps + 1, sequences)
        lengths[0] = steps
        self.lengths = lengths
        self.u = random((units, self.width), dtype, 1) / np.sqrt(units).astype(dtype)

    def run(self, on: Any, dtype: str) -> list[Values]:
        """Call a backend, or the reference, in a dtype; return all that it makes."""
        (sequences, steps, units), width = self.shape, self.width
        state, every = (sequences, units), self.shape

        def given(shape: tuple[int, ...], seed: int) -> Values:
            return random(shape, self.dtype, seed).astype(dtype)

        def made(*shape: int) -> Values:
            return np.full(shape, 7, dtype)

        u, h0, c0, xw = self.u.astype(dtype), given(state, 2), given(state, 3), given((sequences, steps, width), 4)
        b, dy, last = given((width,), 5), given(every, 6), (given(state, 7), given(state, 8))
        y, h_last, dxw, du, dh0 = made(*every), made(*state), made(*xw.shape), made(*u.shape), made(*state)
        if self.kind == "simple_rnn":
            on.simple_rnn(xw, u, self.lengths, h0, y, h_last, "tanh", 0.0, self.reverse)
            arrays = u, self.lengths, h0, y, dy, last[0], dxw, du, dh0
            on.simple_rnn_backward(*arrays, "tanh", 0.0, self.reverse)
            return [y, h_last, dxw, du, dh0]
        gates = made(sequences, steps, 4 * units)
        if self.kind == "lstm":
            cells, c_last, dc0 = made(*every), made(*state), made(*state)
            on.lstm(xw, u, self.lengths, h0, c0, y, gates, cells, h_last, c_last, self.reverse)
            arrays = u, self.lengths, h0, c0, y, gates, cells, dy, *last, dxw, du, dh0, dc0
            on.lstm_backward(*arrays, self.reverse)
            return [y, gates, cells, h_last, c_last, dxw, du, dh0, dc0]
        dhu, db = made(*xw.shape), made(width)
        on.gru(xw, u, b, self.lengths, h0, y, gates, h_last, self.reverse)
        on.gru_backward(u, self.lengths, h0, y, gates, dy, last[0], dxw, dhu, du, db, dh0, self.reverse)
        return [y, gates, h_last, dxw, dhu, du, db, dh0]

    def check(self, got: list[Values]) -> None:
        """Against the reference in float64; a thousand roundings are far more than are made."""
        for a, b in zip(got, self.run(Reference(), "float64"), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1000 * np.finfo(a.dtype).eps * max(np.abs(b).max(), 1))


class Reference:
    """The reference as a backend."""

    def __getattr__(self, name: str) -> Any:
        return functools.partial(getattr(reference, name), ShadowBackend().xp)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("units", [5, 70, 150, 300, 700])
@pytest.mark.parametrize("sequences", [3, 9])
@pytest.mark.parametrize("kind", GATES)
def test_states_are_right_wherever_they_lie(kind: str, sequences: int, units: int, reverse: bool) -> None:
    network = Network(kind, sequences, 3, units, "float32", reverse)
    network.check(network.run(ShadowBackend(3), "float32"))


@pytest.mark.parametrize("kind", GATES)
def test_double_precision_of_several_sequences_to_a_block(kind: str) -> None:
    network = Network(kind, 6, 5, 33, "float64")
    network.check(network.run(ShadowBackend(1), "float64"))


@pytest.mark.parametrize("kind", GATES)
def test_a_network_is_one_launch_forward_three_backward_and_allocates_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, shadow = Network(kind, 5, 4, 40, "float32"), ShadowBackend()
    before = network.run(shadow, "float32")
    graph = shadow.host.capture(lambda: network.run(shadow, "float32") and None)
    assert len(graph.launches) == 4
    monkeypatch.setattr(shadow, "xp", None)
    for again, former in zip(network.run(shadow, "float32"), before, strict=True):
        np.testing.assert_array_equal(again, former)


@pytest.mark.parametrize("kind", GATES)
def test_states_are_the_same_bits_in_any_order_of_blocks_and_threads(kind: str) -> None:
    first, *others = [Network(kind, 5, 30, 40, "float32").run(ShadowBackend(seed), "float32") for seed in SEEDS]
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("function", "nth", "units"),
    [("run_forward", 2, 40), ("run_backward", 1, 40), ("run_backward", 2, 140), ("join_parts", 0, 40)],
)
def test_a_step_that_does_not_wait_for_the_one_before_is_noticed(function: str, nth: int, units: int) -> None:
    network = Network("lstm", 2, 6, units, "float32")
    right, wrong = network.run(ShadowBackend(), "float32"), 0
    for seed in SEEDS:
        shadow = ShadowBackend(module=functools.partial(without_barrier, seed, function, nth))
        try:
            got = network.run(shadow, "float32")
        except KernelError:
            wrong += 1
        else:
            wrong += any(not np.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(right, got, strict=True))
    assert wrong > 0


def without_barrier(seed: int, function: str, nth: int, *, code: str, **others: Any) -> HostModule:
    """The source without the nth `__syncthreads` of a function; unchanged where the function is absent."""
    start = re.search(rf"\b{function}\([^;]*?\) \{{", code)
    if start is not None:
        body = code[start.end() :].split("__syncthreads();")
        body[nth : nth + 2] = [";".join(body[nth : nth + 2])]
        code = code[: start.end()] + "__syncthreads();".join(body)
    return HostModule(code=code, seed=seed, **others)


TABLES = [(5, 20, 3000), (300, 70, 700), (2000, 33, 900), (3, 600, 40), (100, 1, 600), (0, 4, 0), (4, 3, 0)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("table", TABLES)
def test_the_gradient_of_any_table_and_the_same_bits_in_any_order(table: tuple[int, int, int], dtype: str) -> None:
    rows, features, count = table
    tokens = np.random.default_rng(0).integers(0, max(rows, 1), count)
    dy, found = random((count, features), dtype), []
    for seed in SEEDS:
        dtable = np.full((rows, features), 7, dtype)
        ShadowBackend(seed).embedding_backward(tokens, dy, dtable)
        found.append(dtable)
    exact, size = np.zeros((2, rows, features))
    np.add.at(exact, tokens, dy.astype("f8"))
    np.add.at(size, tokens, np.abs(dy.astype("f8")))
    assert (np.abs(found[0] - exact) <= (count + 4) * np.finfo(dtype).eps * size).all()
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize("nth", [0, 1])
def test_a_list_of_tokens_that_is_read_too_early_is_noticed(nth: int) -> None:
    tokens, dy = np.random.default_rng(0).integers(0, 5, 5000), random((5000, 20), "float32")
    tables = np.zeros((len(SEEDS) + 1, 5, 20), "float32")
    ShadowBackend().embedding_backward(tokens, dy, tables[-1])
    wrong = 0
    for seed in SEEDS:
        shadow = ShadowBackend(module=functools.partial(without_barrier, seed, "find_hits", nth))
        try:
            shadow.embedding_backward(tokens, dy, tables[seed])
        except KernelError:
            wrong += 1
        else:
            wrong += not np.allclose(tables[seed], tables[-1], rtol=1e-3, atol=1e-4)
    assert wrong > 0


def test_dropped_channels_are_those_of_the_reference_beyond_one_block() -> None:
    x = random((2, 5, 4100), "float32")
    y, expected = np.empty_like(x), np.empty_like(x)
    ShadowBackend().channel_dropout(x, np.array(3), y, 1, 2, 30000)
    reference.channel_dropout(ShadowBackend().xp, x, np.array(3), expected, 1, 2, 30000)
    np.testing.assert_allclose(y, expected, rtol=1e-6)  # one product, with a rounded factor

"""Recurrent networks: sizes that straddle tiles, blocks and panels; threads, replay, and what is compiled."""

from __future__ import annotations

import threading
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

from nnx import reference
from nnx.interface import FUSED, Tape

pytest.importorskip("numba")

from nnx_numba import team
from nnx_numba.launches import collecting
from nnx_numba.lines import REGISTER_BYTES
from nnx_numba.program import NativeProgram
from nnx_numba.sequences import gru, lstm
from nnx_numba.sequences.forward import BLOCK, PANEL_BYTES, height
from nnx_numba.sequences.simple_rnn import BACKWARD, FORWARD

PARTS = {"simple_rnn": 1, "lstm": 4, "gru": 3}
LANES = REGISTER_BYTES // 4
LONG = PANEL_BYTES // (4 * REGISTER_BYTES)
"""Levels of a panel of four gates that are run down at once."""

SIZES = [(1, 1, 1), (height(4) + 1, 3, LANES - 1), (3, 2, LANES), (BLOCK + 1, 2, LANES + 1), (2, 3, LONG + 1)]
SIZES += [(9, 4, 2 * LANES + 3), (4, 0, 5), (0, 3, 4)]


class Problem:
    """One network of a kind, and its call, forward and backward, on any backend."""

    def __init__(self, cell: str, size: tuple[int, int, int], kind: str = "f4", given: bool = True) -> None:
        random = np.random.default_rng(sum(size))
        count, steps, units = size
        self.cell, self.size, self.kind, self.parts, self.activation = cell, size, kind, PARTS[cell], "tanh"

        def draw(*shape: int) -> Any:
            return (random.standard_normal(shape) / 2).astype(kind)

        self.xw, self.u = draw(count, steps, self.parts * units), draw(units, self.parts * units)
        self.u /= np.sqrt(units)
        self.lengths = random.integers(0, steps + 1, count) if given else None
        self.b = draw(self.parts * units) if given else None
        self.h0, self.c0 = (draw(count, units) if given else None for _ in range(2))
        self.dh, self.dc = (draw(count, units) if given else None for _ in range(2))
        self.dy: Any = draw(count, steps, units)

    def arrays(self) -> dict[str, Any]:
        """Return what a call writes, filled with NaN."""
        count, steps, units = self.size
        widths = {"y": 1, "gates": 4, "cells": 1, "dxw": self.parts, "dhu": self.parts}
        made = {name: (count, steps, width * units) for name, width in widths.items()}
        made |= dict.fromkeys(("h_last", "c_last", "dh0", "dc0"), (count, units))
        shapes = {**made, "du": self.u.shape, "db": (self.parts * units,)}
        return {name: np.full(shape, np.nan, self.kind) for name, shape in shapes.items()}

    def calls(self, reverse: bool, out: dict[str, Any]) -> list[tuple[str, tuple[Any, ...]]]:
        """Return both calls: names and arguments."""
        y, gates, states = out["y"], out["gates"], (self.u, self.lengths, self.h0)
        dh0, dc0, db = (out[name] if self.h0 is not None else None for name in ("dh0", "dc0", "db"))
        slopes, function = (out["dxw"], out["dhu"], out["du"]), (self.activation, 0.3, reverse)
        if self.cell == "simple_rnn":
            ahead = self.xw, *states, y, out["h_last"], *function
            back = *states, y, self.dy, self.dh, slopes[0], slopes[2], dh0, *function
        elif self.cell == "gru":
            ahead = self.xw, self.u, self.b, *states[1:], y, gates, out["h_last"], reverse
            back = *states, y, gates, self.dy, self.dh, *slopes, db, dh0, reverse
        else:
            kept = y, gates, out["cells"]
            ahead = self.xw, *states, self.c0, *kept, out["h_last"], out["c_last"], reverse
            gradients = self.dy, self.dh, self.dc, slopes[0], slopes[2], dh0, dc0
            back = *states, self.c0, *kept, *gradients, reverse
        return [(self.cell, ahead), (f"{self.cell}_backward", back)]

    def found(self, backend: Any, reverse: bool = False) -> dict[str, Any]:
        """Run both calls."""
        out = self.arrays()
        for name, arguments in self.calls(reverse, out):
            getattr(backend, name)(*arguments)
        return out

    def expected(self, reverse: bool = False) -> dict[str, Any]:
        """Run the reference in float64."""
        wide = Problem(self.cell, self.size, "f8")
        for name, value in vars(self).items():
            real = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            setattr(wide, name, value.astype("f8") if real else value)
        wide.kind = "f8"
        out = wide.arrays()
        for name, arguments in wide.calls(reverse, out):
            getattr(reference, name)(xp, *arguments)
        return out


def assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare; du adds up a few hundred terms of the size of 1, each rounded, and so does everything before it."""
    for name, wanted in expected.items():
        bound = 400 * np.finfo(found[name].dtype).eps
        np.testing.assert_allclose(found[name], wanted, rtol=bound, atol=bound, err_msg=name)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("reverse", [False, True], ids=["ahead", "reverse"])
@pytest.mark.parametrize("given", [False, True], ids=["nothing given", "all given"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("cell", PARTS)
def test_sequences_of_every_size_agree_with_the_reference(
    backend: Any, cell: str, size: tuple[int, int, int], given: bool, reverse: bool, kind: str
) -> None:
    problem = Problem(cell, size, kind, given)
    assert_close(problem.found(backend, reverse), problem.expected(reverse))


@pytest.mark.parametrize("cell", PARTS)
def test_any_number_of_threads_gives_the_same_bits(backend: Any, cell: str) -> None:
    problem, found, before = Problem(cell, (67, 40, 70)), [], team.num_threads()
    with collecting() as recording:
        problem.found(backend)
    assert sum(launch.splits for launch in recording.launches) >= 3, "too little work to be dealt out"
    for threads in (1, 2, 3):
        backend.set_num_threads(threads)
        found.append(problem.found(backend))
    backend.set_num_threads(before)
    for other in found[1:]:
        for name in other:
            np.testing.assert_array_equal(found[0][name], other[name], err_msg=name)


@pytest.mark.parametrize("cell", PARTS)
@pytest.mark.parametrize("reverse", [False, True], ids=["ahead", "reverse"])
def test_what_stands_at_padding_reaches_nothing(backend: Any, cell: str, reverse: bool) -> None:
    problem = Problem(cell, (10, 6, 20))
    clean = problem.found(backend, reverse)
    over = np.arange(6)[None, :] >= problem.lengths[:, None]
    problem.xw[over], problem.dy[over] = np.nan, np.inf
    for name, values in problem.found(backend, reverse).items():
        np.testing.assert_array_equal(values, clean[name], err_msg=name)
    assert (clean["y"][over] == 0).all()
    assert (clean["dxw"][over] == 0).all()


@pytest.mark.parametrize("cell", PARTS)
def test_not_a_number_stays_in_its_sequence(backend: Any, cell: str) -> None:
    problem = Problem(cell, (9, 3, 20), given=False)
    problem.xw[4, 1, 7] = np.nan
    y = problem.found(backend)["y"]
    assert np.isnan(y[4, 1, 7])
    assert np.isnan(y[4, 2]).all()
    assert np.isfinite(np.delete(y, 4, 0)).all()


@pytest.mark.parametrize("cell", PARTS)
def test_lengths_may_change_between_replays(backend: Any, cell: str) -> None:
    problem, tape = Problem(cell, (8, 5, 20)), Tape()
    out = problem.arrays()
    for name, arguments in problem.calls(True, out):
        tape.append(getattr(backend, name), arguments)
    program = backend.compile(tape)
    assert isinstance(program, NativeProgram), "part of the step would run in Python"
    for lengths in ([5] * 8, [0, 1, 2, 3, 4, 5, 0, 1]):
        problem.lengths[...] = lengths
        program.run(2)
        assert_close(out, problem.expected(True))


@pytest.mark.parametrize("cell", PARTS)
def test_calls_on_two_threads_at_once_keep_apart(backend: Any, cell: str) -> None:
    problems = [Problem(cell, size) for size in ((33, 9, 20), (17, 12, 40))]
    alone, found = [problem.found(backend) for problem in problems], [{}, {}]

    def work(n: int) -> None:
        for _ in range(20):
            found[n] = problems[n].found(backend)
            for name, values in alone[n].items():
                np.testing.assert_array_equal(found[n][name], values, err_msg=name)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[n].keys() == alone[n].keys() for n in range(2))


def compiled() -> int:
    """How many kernels there are."""
    kernels = lstm.lstm, lstm.lstm_backward, gru.gru, gru.gru_backward, FORWARD["tanh"], BACKWARD["tanh"]
    return sum(len(kernel._entries) for kernel in kernels)


@pytest.mark.parametrize("cell", PARTS)
def test_what_is_missing_strided_or_read_only_is_compiled_once(backend: Any, cell: str) -> None:
    problem = Problem(cell, (7, 4, 20))
    whole = problem.found(backend)
    before = compiled()
    Problem(cell, (5, 3, 9), given=False).found(backend)
    problem.xw.flags.writeable = problem.u.flags.writeable = False
    problem.h0, problem.dy = np.asfortranarray(problem.h0), np.repeat(problem.dy, 2, axis=1)[:, ::2]
    problem.lengths = np.repeat(problem.lengths, 2)[::2]
    found = problem.found(backend)
    assert compiled() == before
    for name, values in whole.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("cell", PARTS)
def test_nothing_is_written_outside_the_destinations(backend: Any, cell: str) -> None:
    problem = Problem(cell, (5, 3, LANES + 3))
    out, memory = problem.arrays(), {}
    for name, array in out.items():
        memory[name] = np.full(array.size + 128, 7.0, np.float32)
        out[name] = memory[name][64 : 64 + array.size].reshape(array.shape)
    for name, arguments in problem.calls(False, out):
        getattr(backend, name)(*arguments)
    for name, values in memory.items():
        assert (values[:64] == 7).all(), name
        assert (values[-64:] == 7).all(), name


@pytest.mark.parametrize("activation", FUSED)
def test_the_simple_network_takes_any_fused_activation(backend: Any, activation: str) -> None:
    problem = Problem("simple_rnn", (5, 4, 20))
    problem.activation = activation
    assert_close(problem.found(backend), problem.expected())

"""Recurrent networks: one launch forward; backward one through time, and one product for the weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnx.interface import FUSED, Array
from nnx_cupy.kernels import Group
from nnx_cupy.launch import BLOCK, WARP, Launcher
from nnx_cupy.products import share_out

RUN_FORWARD = Group("recurrent", ("run_forward",))
RUN_BACKWARD = Group("recurrent", ("run_backward",))
TURN = Group("recurrent", ("turn",))
WEIGHTS = Group("recurrent", ("recurrent_weights",))

_POOL = 5120
"""Numbers of shared memory of a block: see recurrent.cu."""

_TOGETHER = 4
"""Sequences that a block takes where there are many."""


class _Run(NamedTuple):
    """What the calls of one network have in common; activation and alpha where the network has them."""

    cell: str
    gates: int
    u: Array
    lengths: Array | None
    h0: Array | None
    c0: Array | None
    y: Array
    reverse: bool
    activation: str = "identity"
    alpha: float = 0.0

    def sizes(self) -> tuple[np.generic, ...]:
        count, steps, units = self.y.shape
        return np.int64(count), np.int32(steps), np.int32(units), np.int32(self.reverse)

    def function(self) -> tuple[np.generic, ...]:
        return np.int32(FUSED.index(self.activation)), self.y.dtype.type(self.alpha)

    def bounds(self, on: Launcher) -> tuple[Any, ...]:
        """Return the lengths as kernels take them; without any, no number of the stand-in is read."""
        return on.or_any(self.lengths, on.kept("lengths", np.dtype(np.int64), 1))


class _Back(NamedTuple):
    """The gradients that a backward pass is given, and those that it makes."""

    dy: Array | None
    dh_last: Array | None
    dc_last: Array | None
    dxw: Array
    dhu: Array
    dh0: Array | None
    dc0: Array | None


class Recurrent(Launcher):
    """Kernels that carry a state from step to step."""

    few_sequences: int = 256
    """Sequences up to which each has a block of its own: twice as many as there are multiprocessors."""

    def simple_rnn(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        h_last: Array,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> None:
        """Some sequences to a block, the state in shared memory."""
        run = _Run("SimpleRnn", 1, u, lengths, h0, None, y, reverse, activation, alpha)
        self._forward(run, xw, None, (y, y, y, h_last, h_last))

    def simple_rnn_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        dy: Array | None,
        dh_last: Array | None,
        dxw: Array,
        du: Array,
        dh0: Array | None,
        activation: str,
        alpha: float,
        reverse: bool,
    ) -> None:
        """Through time as forward; du as a product over all steps."""
        run = _Run("SimpleRnn", 1, u, lengths, h0, None, self.contiguous(y), reverse, activation, alpha)
        self._backward(run, y, y, _Back(dy, dh_last, None, dxw, dxw, dh0, None), du, None)

    def lstm(
        self,
        xw: Array,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        y: Array,
        gates: Array,
        cells: Array,
        h_last: Array,
        c_last: Array,
        reverse: bool,
    ) -> None:
        """Some sequences to a block, the state in shared memory."""
        run = _Run("Lstm", 4, u, lengths, h0, c0, y, reverse)
        self._forward(run, xw, None, (y, gates, cells, h_last, c_last))

    def lstm_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        c0: Array | None,
        y: Array,
        gates: Array,
        cells: Array,
        dy: Array | None,
        dh_last: Array | None,
        dc_last: Array | None,
        dxw: Array,
        du: Array,
        dh0: Array | None,
        dc0: Array | None,
        reverse: bool,
    ) -> None:
        """Through time as forward; du as a product over all steps."""
        run = _Run("Lstm", 4, u, lengths, h0, c0, self.contiguous(y), reverse)
        self._backward(run, gates, cells, _Back(dy, dh_last, dc_last, dxw, dxw, dh0, dc0), du, None)

    def gru(
        self,
        xw: Array,
        u: Array,
        b: Array | None,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        gates: Array,
        h_last: Array,
        reverse: bool,
    ) -> None:
        """Some sequences to a block, the state in shared memory."""
        run = _Run("Gru", 3, u, lengths, h0, None, y, reverse)
        self._forward(run, xw, b, (y, gates, y, h_last, h_last))

    def gru_backward(
        self,
        u: Array,
        lengths: Array | None,
        h0: Array | None,
        y: Array,
        gates: Array,
        dy: Array | None,
        dh_last: Array | None,
        dxw: Array,
        dhu: Array,
        du: Array,
        db: Array | None,
        dh0: Array | None,
        reverse: bool,
    ) -> None:
        """Through time as forward; du and db as a product over all steps."""
        run = _Run("Gru", 3, u, lengths, h0, None, self.contiguous(y), reverse)
        self._backward(run, gates, y, _Back(dy, dh_last, None, dxw, dhu, dh0, None), du, db)

    def _forward(self, run: _Run, xw: Array, b: Array | None, results: tuple[Array, ...]) -> None:
        together, blocks = self._blocks(run.y.shape[0])
        shared = together * run.gates * BLOCK if 2 * run.y.shape[2] <= BLOCK else 0  # sums that threads share
        spare = self._spare(run.y, blocks, 2 * together, shared)
        inputs = self.contiguous(xw), self.contiguous(run.u), *self.or_any(b, run.u), *run.bounds(self)
        states = *self.or_any(run.h0, run.u), *self.or_any(run.c0, run.u)
        arguments = *inputs, *states, *results, *run.sizes(), *run.function(), *spare
        self.launch(RUN_FORWARD.of("run_forward", run.y.dtype, run.cell, str(together)), (blocks,), arguments)

    def _backward(self, run: _Run, gates: Array, cells: Array, back: _Back, du: Array, db: Array | None) -> None:
        turned = self._turned(self.contiguous(run.u))
        together, blocks = self._blocks(run.y.shape[0])
        spare = self._spare(run.y, blocks, together * (run.gates + 2), together * BLOCK)
        states = *self.or_any(run.h0, run.u), *self.or_any(run.c0, run.u)
        kept = run.y, self.contiguous(gates), self.contiguous(cells)
        given = (item for array in back[:3] for item in self.or_any(array, run.u))
        made = back.dxw, back.dhu, *self.or_any(back.dh0, back.dxw), *self.or_any(back.dc0, back.dxw)
        arguments = turned, *run.bounds(self), *states, *kept, *given, *made, *run.sizes(), *run.function(), *spare
        self.launch(RUN_BACKWARD.of("run_backward", du.dtype, run.cell, str(together)), (blocks,), arguments)
        self._weights(run, back.dhu, du, db)

    def _weights(self, run: _Run, dz: Array, du: Array, db: Array | None) -> None:
        units, columns = du.shape
        tiling = share_out(max(units, 1), columns, dz.shape[0] * dz.shape[1], self.busy)
        parts = tiling.tiles * tiling.slices
        scratch = self.scratch(du.dtype, parts * (tiling.reach**2 + 1) * BLOCK, tiling.tiles)
        arrays = run.y, *self.or_any(run.h0, run.y), *run.bounds(self), dz, du, *self.or_any(db, du)
        numbers = *run.sizes(), np.int64(columns), np.int64(tiling.tiles), np.int64(tiling.slices)
        kernel = WEIGHTS.of("recurrent_weights", du.dtype, str(tiling.reach))
        self.launch(kernel, (parts,), (*arrays, *numbers, *scratch))

    def _turned(self, u: Array) -> Array:
        """Return the recurrent weights with rows and columns exchanged, in memory that lasts for the call."""
        rows, columns = u.shape
        turned = self.kept("turned", u.dtype, u.size)
        grid = -(-columns // WARP), -(-rows // WARP)
        self.launch(TURN.of("turn", u.dtype), grid, (u, turned, np.int32(rows), np.int32(columns)))
        return turned

    def _blocks(self, sequences: int) -> tuple[int, int]:
        """Return how many sequences a block takes, and the number of blocks."""
        together = 1 if sequences <= self.few_sequences else _TOGETHER
        return together, -(-sequences // together)

    def _spare(self, y: Array, blocks: int, each: int, shared: int) -> tuple[Any, ...]:
        """Return memory for states that do not fit beside `shared` other numbers of a block, and whether it counts.

        A block has `each` numbers for every unit.
        """
        spared = each * y.shape[2] + shared > _POOL
        size = blocks * each * y.shape[2] if spared else 1
        return self.kept("states", y.dtype, size), np.int32(spared)

"""A team of threads that walk one table of kernel calls together.

Every thread runs the whole table, step after step, and does its share of each call; they wait for each other
between calls that depend on it, at a barrier that costs a fraction of a microsecond. Nothing of Python happens in
between, and no thread is woken within a program.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import queue
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from nnx_numba.entries import Entry
from nnx_numba.internals import default_threads, types
from nnx_numba.jit import intrinsic
from nnx_numba.launches import Launch, working_memory

_SPINS = 4096  # looks at the barrier before a thread lets others run: about fifty microseconds
_ALIGNED = 64  # shares of so many units or more begin at multiples of this, where vectors and cache lines do
_log = logging.getLogger("nnx.backends.numba")

_ABANDONED = 1 << 62  # what the count of arrivals is set to when nobody will come

_WORD = ctypes.c_int64
_ROW = _WORD * 6
_ENTRY = ctypes.CFUNCTYPE(None, ctypes.POINTER(_WORD), _WORD, _WORD, _WORD)

Table = NDArray[np.int64]
"""A row for each call: address, arguments, count, units to a thread at least, whether to wait afterwards."""


def table_of(launches: list[Launch]) -> Table:
    """Return the table of some launches; a thread waits wherever one side of a boundary is shared work."""
    following = launches[1:] + launches[:1]
    return np.array(
        [
            (call.address, call.row.ctypes.data, call.count, call.grain, call.splits or after.splits)
            for call, after in zip(launches, following, strict=True)
        ],
        np.int64,
    ).reshape(-1, 5)


def run(table: Table, steps: int) -> None:
    """Run a table `steps` times: on the team if it has work for it and the team is free, else on this thread."""
    if table[:, 4].any() and _crew.size > 1 and not _busy.locked():
        with _busy:  # whoever comes second at the very same moment waits, and then has the team
            _crew.run(table, steps)
    else:
        _walk()(table, steps, 0, 1, np.zeros(1, np.int64), working_memory())


def run_one(launch: Launch) -> None:
    """Run one launch."""
    run(np.array([[launch.address, launch.row.ctypes.data, launch.count, launch.grain, launch.splits]]), 1)


def num_threads() -> int:
    """Return how many threads a team has."""
    return _crew.size


def set_num_threads(count: int) -> None:
    """Have teams of so many threads from now on; a running program keeps its own."""
    global _crew
    _crew = _Crew(count)


class _Crew:
    """The caller's thread and the helpers that it has started, asleep between programs."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._orders: list[queue.SimpleQueue[Any]] = []

    def run(self, table: Table, steps: int) -> None:
        """Run with as many threads as the largest call can use; helpers begin once the caller does."""
        walk, memory = _walk(), working_memory()
        useful = min(self.size, int((table[:, 2] // table[:, 3]).max()))
        size = 1 + self._start(useful - 1)
        arrived = np.zeros(1, np.int64)
        try:
            for rank in range(1, size):
                self._orders[rank - 1].put((table, steps, rank, size, arrived))
            walk(table, steps, 0, size, arrived, memory)
        except BaseException:  # an interrupt before the caller began: the helpers must not wait for it
            arrived[0] = _ABANDONED
            raise

    def _start(self, helpers: int) -> int:
        """Start as many helpers as are missing, and return how many there are to be had."""
        while len(self._orders) < helpers:
            orders: queue.SimpleQueue[Any] = queue.SimpleQueue()
            try:
                threading.Thread(target=_serve, args=(orders,), name="nnx-numba", daemon=True).start()
            except RuntimeError as error:  # the system has no more threads to give, or Python is ending
                _log.warning("no thread beyond %d could be started: %s", 1 + len(self._orders), error)
                break
            self._orders.append(orders)
        return min(helpers, len(self._orders))

    def __del__(self) -> None:
        for orders in self._orders:
            orders.put(None)


def _serve(orders: queue.SimpleQueue[Any]) -> None:
    memory = working_memory()
    while (order := orders.get()) is not None:
        _walk()(*order, memory)


def _forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _crew, _busy
    _crew._orders.clear()
    _crew, _busy = _Crew(_crew.size), threading.Lock()


_crew = _Crew(default_threads())
_busy = threading.Lock()
if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_forget_threads)


@cache
def _walk() -> Callable[..., None]:
    """Return the compiled loop; it runs without the interpreter's lock."""
    word = types.int64
    kinds = (types.Array(word, 2, "C"), types.Array(word, 1, "C"), word)
    entry = _ENTRY(Entry("walk", _walk_table, kinds).address)

    def walk(
        table: Table, steps: int, rank: int, size: int, arrived: NDArray[np.int64], memory: NDArray[np.int64]
    ) -> None:
        row = _ROW(table.ctypes.data, *table.shape, arrived.ctypes.data, 1, steps)
        entry(row, rank, size, memory.ctypes.data)

    return walk


def _walk_table(rank: int, size: int, memory: int, table: Table, arrived: NDArray[np.int64], steps: int) -> None:
    waits = 0
    if size > 1:
        waits = 1
        _wait(arrived, size)
        if arrived[0] >= _ABANDONED:
            return
    for _ in range(steps):
        for call in range(table.shape[0]):
            count, grain = table[call, 2], table[call, 3]
            if size == 1:
                _call(table[call, 0], table[call, 1], 0, count, memory)
                continue
            parts = max(min(size, count // grain), 1)
            if rank < parts:
                unit = _ALIGNED if grain >= _ALIGNED else 1
                first = count * rank // parts // unit * unit
                last = count if rank == parts - 1 else count * (rank + 1) // parts // unit * unit
                _call(table[call, 0], table[call, 1], first, last, memory)
            if table[call, 4]:
                waits += 1
                _wait(arrived, waits * size)
    if size > 1:
        _wait(arrived, (waits + 1) * size)


@intrinsic
def _call(_context: Any, _address: Any, _row: Any, _first: Any, _last: Any, _memory: Any) -> Any:
    """Call the C entry at an address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kinds = [word.as_pointer(), word, word, word.as_pointer()]
        function = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        row, memory = (builder.inttoptr(arguments[n], word.as_pointer()) for n in (1, 4))
        builder.call(builder.inttoptr(arguments[0], function), [row, *arguments[2:4], memory])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def _wait(_context: Any, arrived: Any, _all: Any) -> Any:
    """Count this thread in, and wait until `all` have been counted; after a while let other threads run."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        counter = context.make_array(arrived)(context, builder, arguments[0]).data
        builder.atomic_rmw("add", counter, word(1), "acq_rel")
        before, spins = builder.block, word(0)
        look, pause, rest, end = (builder.append_basic_block(name) for name in ("look", "pause", "rest", "end"))
        builder.branch(look)
        builder.position_at_end(look)
        seen = builder.phi(word)
        seen.add_incoming(spins, before)
        found = builder.load_atomic(counter, "acquire", 8, typ=word)
        builder.cbranch(builder.icmp_signed("<", found, arguments[1]), pause, end)
        builder.position_at_end(pause)
        _relax(builder)
        more = builder.add(seen, word(1))
        seen.add_incoming(more, pause)
        builder.cbranch(builder.icmp_signed("<", more, word(_SPINS)), look, rest)
        builder.position_at_end(rest)
        _yield(builder)
        seen.add_incoming(word(0), rest)
        builder.branch(look)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(arrived, types.int64), generate


def _relax(builder: Any) -> None:
    """Tell the processor that this thread only waits."""
    name = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}.get(platform.machine())
    if name is not None:
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])


def _yield(builder: Any) -> None:
    """Let the system run another thread on this core."""
    name = "SwitchToThread" if os.name == "nt" else "sched_yield"
    kind = ir.FunctionType(ir.IntType(32), [])
    builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])

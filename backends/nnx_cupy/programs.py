"""Recorded steps as CUDA graphs: captured once, launched again and again."""

from __future__ import annotations

import logging

from nnx.interface import Call, Program, ReplayLoop, Tape
from nnx_cupy.device import Graph
from nnx_cupy.launch import Launcher, ScratchStore

STEPS_PER_GRAPH = 16
"""Steps in the longer of a program's two graphs. A launch costs the host some microseconds, as much as a whole step
of a small network takes on the device; from about ten steps on it no longer shows."""

_log = logging.getLogger("nnx.backends.cupy")


class GraphProgram:
    """A program of two graphs: one of a single step, and one of many, made when first there are so many to do."""

    def __init__(self, launcher: Launcher, calls: list[Call]) -> None:
        """Capture one step.

        Raises: whatever a kernel raises, or CUDA, if the step cannot be captured.
        """
        self._launcher = launcher
        self._calls = [(call.kernel, call.arguments) for call in calls]
        self._scratch: ScratchStore = {}
        with launcher.preparing(self._scratch), launcher.rehearsing():
            self._call(1)  # what compiles or allocates does so here
        self._step = self._capture(1)
        self._steps: Graph | None = None
        self._tried = False

    def run(self, steps: int) -> None:
        """See `Program.run`."""
        many, rest = divmod(steps, STEPS_PER_GRAPH)
        longer = self._longer() if many else None
        if longer is None:
            rest = steps
        else:
            for _ in range(many):
                longer.launch()
        for _ in range(rest):
            self._step.launch()

    def _longer(self) -> Graph | None:
        """Return the graph of many steps, captured at the first call, or None where that failed."""
        if not self._tried:
            self._tried = True
            try:
                self._steps = self._capture(STEPS_PER_GRAPH)
            except (RuntimeError, MemoryError) as error:
                _log.warning("Steps are launched one by one: %s: %s.", type(error).__name__, error)
        return self._steps

    def _capture(self, steps: int) -> Graph:
        with self._launcher.preparing(self._scratch):
            return self._launcher.runtime.capture(lambda: self._call(steps))

    def _call(self, steps: int) -> None:
        for _ in range(steps):
            for kernel, arguments in self._calls:
                kernel(*arguments)


def compile_step(launcher: Launcher, tape: Tape) -> Program:
    """Return a program of graphs, or a loop over the calls where they cannot be captured."""
    foreign = next((call.kernel for call in tape.calls if not _launches_only(launcher, call)), None)
    if foreign is not None:
        return _replay(tape, f"{getattr(foreign, '__qualname__', foreign)} is no kernel of this backend")
    if not tape.calls:
        return ReplayLoop(tape)
    try:
        return GraphProgram(launcher, list(tape.calls))
    except (RuntimeError, MemoryError) as error:  # what CUDA and CuPy raise; the loop does without a graph
        return _replay(tape, f"{type(error).__name__}: {error}")


def _launches_only(launcher: Launcher, call: Call) -> bool:
    """Tell whether a call is one of this package's methods: others may work on the host, which no graph repeats."""
    function = getattr(call.kernel, "__func__", None)
    home = getattr(function, "__module__", "").partition(".")[0]
    return getattr(call.kernel, "__self__", None) is launcher and home == __package__


def _replay(tape: Tape, reason: str) -> ReplayLoop:
    _log.warning("A step of %d calls is replayed call by call, not as a CUDA graph: %s.", len(tape.calls), reason)
    return ReplayLoop(tape)

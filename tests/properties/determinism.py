"""Whether the same call gives the same bits again: by itself, with more threads, and elsewhere in memory.

python -m tests.properties.determinism --backend numba        every case of every kernel of the conformance kit
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

import nnx
from nnx import Backend, registry
from nnx.conformance.case import Case, InPlace, Input, Output
from nnx.conformance.cases import CASES
from nnx.conformance.stage import Stage, poison
from tests.properties.engines import ENGINES
from tests.properties.values import Values

Bits = dict[str, bytes]
"""What a kernel left in each of its destinations."""

LINE, PAGE = 64, 4096


class Run(NamedTuple):
    """One case of the conformance kit, in one dtype."""

    case: Case
    dtype: str

    def bits(self, backend: Backend, turn: int = 0) -> Bits:
        """Call the kernel once; what destinations held before, which `turn` changes, must not matter."""
        stage = Stage(backend, self.case.kernel, self.case.arguments(self.dtype), self.dtype, turn=turn)
        return {name: values.tobytes() for name, values in stage.call().items()}

    def bits_elsewhere(self, backend: Backend, shift: int) -> Bits:
        """Call it on arrays of the host that begin so many cache lines after a page, each one line further."""
        devices, read = [], {}
        for place, (name, argument) in enumerate(self.case.arguments(self.dtype).items()):
            if not isinstance(argument, Input | InPlace | Output):
                devices.append(argument)
                continue
            kind = argument.dtype or self.dtype
            missing = isinstance(argument, Output)
            host = np.full(argument.shape, poison(kind, 0), kind) if missing else argument.values.astype(kind)
            devices.append(_laid_out(host, (shift + place) * LINE))
            if not isinstance(argument, Input):
                read[name] = devices[-1]
        with np.errstate(all="ignore"):
            getattr(backend, self.case.kernel)(*devices)
        return {name: array.tobytes() for name, array in read.items()}


def _laid_out(host: Values, offset: int) -> Values:
    """Copy an array to so many bytes after the beginning of a page."""
    memory = np.zeros(host.nbytes + PAGE + offset, np.uint8)
    start = -memory.ctypes.data % PAGE + offset
    array = memory[start : start + host.nbytes].view(host.dtype).reshape(host.shape)
    array[...] = host
    return array


class Differences(NamedTuple):
    """Which kernels gave other bits: in a second run with 1 and with 2 threads, with 2 instead of 1, elsewhere."""

    again: tuple[set[str], set[str]]
    threads: set[str]
    elsewhere: set[str]


def differences(backend: Backend, runs: Iterable[Run]) -> Differences:
    """Call every kernel twice with 1 thread and twice with 2, and with 1 thread at two other places."""
    runs, found = list(runs), Differences((set(), set()), set(), set())
    alone = []
    for threads in (1, 2):
        nnx.set_num_threads(threads)
        for place, run in enumerate(runs):
            first, kernel = run.bits(backend), run.case.kernel
            if run.bits(backend, turn=1) != first:
                found.again[threads - 1].add(kernel)
            if threads == 1:
                alone.append(first)
                if backend.on_host and any(run.bits_elsewhere(backend, shift) != first for shift in (0, 37)):
                    found.elsewhere.add(kernel)
            elif alone[place] != first:
                found.threads.add(kernel)
    return found


def all_runs() -> list[Run]:
    """Return every case of the conformance kit in every dtype it has."""
    return [Run(case, dtype) for case in CASES for dtype in case.dtypes]


def main() -> int:
    """Print a row for each engine; return 1 if one call gave two results."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties.determinism", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--backend", action="append", help=f"may be repeated (default: {', '.join(ENGINES)})")
    runs, failed = all_runs(), False
    print("| backend | calls | two runs, 1 thread | two runs, 2 threads | 1 and 2 threads | elsewhere in memory |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in parser.parse_args().backend or ENGINES:
        found = differences(registry.get(name), runs)
        columns = (*found.again, found.threads, found.elsewhere)
        shown = [", ".join(sorted(kernels)) or "same bits" for kernels in columns]
        print("| " + " | ".join((name, str(len(runs)), *shown)) + " |", flush=True)
        failed |= any(found.again)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

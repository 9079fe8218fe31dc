"""What this machine can do at most, measured: products, multiply-adds, and bytes per second from each level.

    python -m benchmarks.limits THREADS DEVICE

prints one JSON value; run by `measure` in a process of its own, like every contender.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks import environment, machine
from benchmarks.kernels.work import Work

SECONDS = 0.02
"""Each figure is the best of `TRIES` runs of this length: a limit is what was reached, not a mean."""

TRIES = 8


@dataclass(frozen=True)
class Limits:
    """Limits for one thread count.

    Attributes:
        threads: how many.
        sgemm: FLOP/s of the best product of float32 matrices that was measured.
        multiply_add: FLOP/s of multiply-adds in registers; 0 where not measured.
        bandwidth: level -> bytes/s, read and written together, the best of copy and triad with ordinary and
            streaming stores. A GPU has the one level "DRAM".
        in_place: the same for a loop that writes what it has read. It is faster: an ordinary store to other
            memory fetches a line first only to overwrite it, which nobody counts.
        capacity: level -> bytes that all threads together can keep there; none for DRAM.
    """

    threads: int
    sgemm: float
    multiply_add: float
    bandwidth: dict[str, float]
    in_place: dict[str, float]
    capacity: dict[str, float]

    def level(self, footprint: float) -> str:
        """Return the fastest level that holds so many bytes."""
        return next((name for name, size in self.capacity.items() if footprint <= size), "DRAM")

    def fastest(self, work: Work) -> float:
        """Return the least seconds that the work can take: its bytes at its level's rate, or its operations."""
        rates = self.in_place if work.in_place else self.bandwidth
        return max(work.bytes / rates[self.level(work.footprint)], work.flops / self.sgemm)

    def fraction(self, work: Work, seconds: float) -> float:
        """Return the share of the limit that was reached, 1 being the limit."""
        return self.fastest(work) / seconds


def higher(first: Limits, second: Limits) -> Limits:
    """Return the better of two measurements, figure by figure: other work on the machine can only lower one."""

    def better(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {level: max(rate, b[level]) for level, rate in a.items()}

    return replace(
        first,
        sgemm=max(first.sgemm, second.sgemm),
        multiply_add=max(first.multiply_add, second.multiply_add),
        bandwidth=better(first.bandwidth, second.bandwidth),
        in_place=better(first.in_place, second.in_place),
    )


def measure(threads: int, device: str) -> Limits:
    """Measure in a clean process with so many threads.

    Raises:
        RuntimeError: it failed there.
    """
    command = [sys.executable, "-m", "benchmarks.limits", str(threads), device]
    env = environment.clean(threads, device)
    done = subprocess.run(command, env=env, cwd=environment.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"measuring the limits failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
    return Limits(**json.loads(done.stdout))


def measure_cpu(threads: int) -> Limits:
    """Measure this process's cores."""
    private = machine.caches()
    capacity = {name: size * (1 if name == "L3" else threads) for name, size in private.items()}
    # half of a level, so that nothing falls out of it; eight times the last, so that nothing stays in it
    sizes = {name: size / 2 for name, size in capacity.items()}
    sizes["DRAM"] = 8 * max(capacity.values())
    moved = {name: _bandwidth(size, threads, _ELSEWHERE) for name, size in sizes.items()}
    updated = {name: _bandwidth(size, threads, _IN_PLACE) for name, size in sizes.items()}
    room: dict[str, float] = {**capacity}
    return Limits(threads, _best_product(), _multiply_add(threads), moved, updated, room)


def _seconds(work: Callable[[int], Any], times: int) -> float:
    began = time.perf_counter()
    work(times)
    return time.perf_counter() - began


def _best_rate(work: Callable[[int], Any], amount: float) -> float:
    """Return amount per second of work(1), from runs long enough for the clock and the start of threads."""
    work(1)
    times = 1
    while (spent := _seconds(work, times)) < SECONDS:
        times *= max(2, min(100, int(SECONDS / max(spent, 1e-9))))
    return amount * times / min(_seconds(work, times) for _ in range(TRIES))


def _together(threads: int, work: Callable[[int, int], Any]) -> Callable[[int], None]:
    """Return a function that has every thread do work(thread, times), and waits for the last."""

    def run(times: int) -> None:
        others = [threading.Thread(target=work, args=(index, times)) for index in range(1, threads)]
        for thread in others:
            thread.start()
        work(0, times)
        for thread in others:
            thread.join()

    return run


_ELSEWHERE = (("copy", False), ("copy", True), ("triad", False), ("triad", True))
_IN_PLACE = (("scale", False), ("update", False))
"""Patterns of `benchmarks.streams`, each with or without streaming stores."""


def _bandwidth(footprint: float, threads: int, patterns: Sequence[tuple[str, bool]]) -> float:
    from benchmarks.streams import PATTERNS, mover

    best = 0.0
    for pattern, streaming in patterns:
        arrays, floats = PATTERNS[pattern]
        count = max(int(footprint / threads / arrays / 4) // 64 * 64, 64)
        held, loop = [_ones(count) for _ in range(threads)], mover(pattern, streaming)

        def work(thread: int, times: int, held: Any = held, loop: Any = loop) -> None:
            loop(*held[thread], times)

        best = max(best, _best_rate(_together(threads, work), 4.0 * floats * count * threads))
    return best


def _ones(count: int) -> list[Any]:
    from nnx.interface import aligned_empty

    arrays = [aligned_empty((count,), "float32") for _ in range(3)]
    for array in arrays:
        array.fill(1)
    return arrays


def _multiply_add(threads: int) -> float:
    from benchmarks.streams import CHAINS, LANES, multiplier

    links, turns = multiplier(), 10_000
    run = _together(threads, lambda _, times: links(turns * times))
    return _best_rate(run, 2.0 * turns * CHAINS * LANES * threads)


def _best_product() -> float:
    """Return the best rate of NumPy's and SciPy's BLAS, which need not be the same library."""
    from scipy.linalg.blas import sgemm

    best = 0.0
    for n in (1024, 2048):
        a, b = (np.full((n, n), value, np.float32, order="F") for value in (0.5, 0.25))
        out = np.empty_like(a)
        products = (
            partial(np.matmul, a, b, out=out),
            partial(sgemm, 1.0, a, b, 0.0, out, overwrite_c=1),
        )
        for product in products:
            best = max(best, _best_rate(partial(_repeat, product), 2.0 * n**3))
    return best


def _repeat(work: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        work()


def measure_cuda() -> Limits:
    """Measure the GPU: a copy within its memory, and the best product through CuPy in float32 without TF32."""
    import cupy

    def timed(work: Callable[[], Any]) -> Callable[[int], None]:
        def run(times: int) -> None:
            _repeat(work, times)
            cupy.cuda.get_current_stream().synchronize()

        return run

    source = cupy.ones(256 * 2**20, cupy.float32)
    target = cupy.empty_like(source)
    copied = _best_rate(timed(lambda: cupy.copyto(target, source)), 2.0 * source.nbytes)
    n = 8192
    a, b = (cupy.full((n, n), value, cupy.float32) for value in (0.5, 0.25))
    out = cupy.empty_like(a)
    product = _best_rate(timed(lambda: cupy.matmul(a, b, out=out)), 2.0 * n**3)
    return Limits(1, product, 0.0, {"DRAM": copied}, {"DRAM": copied}, {})


def main(threads: str, device: str) -> None:
    """Print the limits."""
    environment.pin(int(threads))
    limits = measure_cuda() if device == "cuda" else measure_cpu(int(threads))
    print(json.dumps(asdict(limits)))


if __name__ == "__main__":
    main(*sys.argv[1:])

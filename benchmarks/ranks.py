"""What ranks do to be timed: sums of vectors, training apart, and training together.

    mpiexec -n 2 python -m benchmarks.ranks sums      # or plain, apart, together; rank 0 prints seconds as JSON

`benchmarks.distributed` runs them, each rank with one thread. Apart, each rank trains on its own share of a batch
while the others do the same, since they may share a memory bus and a clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnx
from nnx.distributed import Group, open_group
from nnx.distributed.fitting import RankTeam
from nnx.distributed.reduction import Sum
from nnx.registry import resolve
from nnx.training import Options, Task, Team

EPOCHS = 6
"""Of which the first is not counted."""
SIZES = (64, 4096, 65536, 1 << 20, 1 << 22)
"""Bytes of the vectors whose sums are timed."""
OTHERS = 1 << 17
"""Numbers that are worked on between them: more than the first cache holds."""


@dataclass(frozen=True)
class Network:
    """A dense network and how much it is given: rows of a batch, steps that are timed."""

    layers: tuple[int, ...]
    batch: int
    steps: int

    def model(self) -> nnx.Sequential:
        """Return the network, untrained; the first of `layers` are its inputs, the last its classes."""
        *hidden, classes = self.layers[1:]
        layers = [*(nnx.Dense(units, activation="relu") for units in hidden), nnx.Dense(classes)]
        made = nnx.Sequential(layers, seed=1, backend="numba", input_shape=self.layers[:1])
        return made.compile("softmax_cross_entropy", "adam")

    def data(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return examples for `steps` batches."""
        random, count = np.random.default_rng(1), self.batch * self.steps
        return random.random((count, self.layers[0]), np.float32), random.integers(self.layers[-1], size=count)


NETWORKS = {
    "small, 64-64-10": Network((64, 64, 10), 256, 400),
    "middle, 784-256-128-10": Network((784, 256, 128, 10), 1024, 20),
    "large, 784-1024-1024-10": Network((784, 1024, 1024, 10), 2048, 4),
}


def time_sums() -> dict[str, float]:
    """Return the seconds that a sum over all ranks takes beyond that of a rank alone, by the vector's bytes.

    Sums come between other work, as in training, that puts their code and data out of the nearest caches and lets
    ranks arrive at different times.
    """
    group, alone = groups()
    backend, found, others = resolve("numba"), {}, np.zeros(OTHERS, np.float32)

    def step(total: Sum, vector: NDArray[Any]) -> None:
        np.add(others, 1.0, out=others)
        total(vector)

    for size in SIZES:
        vector, times = backend.zeros((size // 4,), "float32"), max(5, min(2000, (1 << 23) // size))
        seconds = [
            _seconds(partial(step, Sum(ranks, backend, size // 4, "float32"), vector), times, group.comm.Barrier)
            for ranks in (group, alone)
        ]
        found[str(size)] = max(seconds[0] - seconds[1], 1e-9)
    return found


def groups() -> tuple[Group, Group]:
    """Return all ranks, and this one by itself."""
    from mpi4py import MPI

    return open_group(), Group(MPI.COMM_SELF)


def time_steps(together: bool) -> dict[str, float]:
    """Return the seconds of a training step of each network, on whole batches together.

    Or apart: every rank trains a model of its own on batches of its share, as one of a group that has no others, at
    the same time as the others.
    """
    group, alone = groups()
    found = {}
    for name, network in NETWORKS.items():
        team = RankTeam(group if together else alone)
        parts = 1 if together else group.size
        seconds = group.collect(step_seconds(network, network.batch // parts, team, group))
        found[name] = seconds[0] if together else max(seconds)  # together, all wait for the slowest
    return found


def time_plain_steps() -> dict[str, float]:
    """Return the seconds of a training step of each network as one process takes it."""
    group, _ = groups()
    return {name: step_seconds(network, network.batch, Team(), group) for name, network in NETWORKS.items()}


def step_seconds(network: Network, size: int, team: Team, group: Group) -> float:
    """Return the seconds of a step on batches of `size` rows."""
    model, (x, y), watch = network.model(), network.data(), _Epochs()
    rows = slice(0, size * network.steps)
    options = Options(EPOCHS, size, shuffle=False, eager=False, progress=False)
    group.comm.Barrier()
    loop = team.loop(Task(model, model.take(x[rows], y[rows]), None, options, [watch]))
    team.fit(loop, None)
    return min(watch.seconds[1:], default=0.0) / network.steps


class _Epochs(nnx.callbacks.Callback):
    """Takes the time of every epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_train_begin(self, run: object) -> None:
        del run
        self._began = time.perf_counter()

    def on_epoch_end(self, run: object, epoch: int, logs: Mapping[str, float]) -> None:
        del run, epoch, logs
        now = time.perf_counter()
        self.seconds.append(now - self._began)
        self._began = now


def _seconds(work: Callable[[], None], times: int, barrier: Callable[[], None]) -> float:
    """Return the time of a call in the quickest of five rounds of so many."""
    rounds = []
    for _ in range(5):
        barrier()
        began = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - began) / times)
    return min(rounds)


PROGRAMS: dict[str, Callable[[], dict[str, float]]] = {
    "sums": time_sums,
    "plain": time_plain_steps,
    "apart": partial(time_steps, False),
    "together": partial(time_steps, True),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the programs as a rank."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks", description=__doc__.split("\n")[0])
    parser.add_argument("program", choices=sorted(PROGRAMS))
    found = PROGRAMS[parser.parse_args(arguments).program]()
    if open_group().leads:
        print(json.dumps(found))


if __name__ == "__main__":
    main()

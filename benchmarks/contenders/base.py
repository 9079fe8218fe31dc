"""What a contender is: a library, trained with as fast as its users would write it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from benchmarks.kernels.cases import Case
from benchmarks.networks import Data, Workload


class CannotExpressError(Exception):
    """The library has no such thing; the message says what is missing."""


@dataclass(frozen=True)
class Timing:
    """One repetition: seconds on the clock, and the mean loss of its last epoch."""

    seconds: float
    loss: float


class Trainer:
    """A network in training; everything that happens once has happened when the first `run` returns."""

    def run(self, epochs: int) -> Timing:
        """Train for so many epochs, on the clock."""
        began = time.perf_counter()
        loss = self.train(epochs)
        return Timing(time.perf_counter() - began, loss)

    def train(self, epochs: int) -> float:
        """Train, wait until the device is done, and return the mean loss of the last epoch."""
        raise NotImplementedError(f"{type(self).__name__} must supply train")

    def close(self) -> None:
        """Let go of what the trainer holds."""


@dataclass(frozen=True)
class Loop:
    """One kernel, ready to be repeated.

    Attributes:
        run: does the work so many times, and returns when the device is done.
        results: gives what the last repetition computed, on the host, in the order of the case.
    """

    run: Callable[[int], None]
    results: Callable[[], list[NDArray[Any]]]


class Contender(Protocol):
    """A library, set up for one process."""

    def __init__(self, threads: int, device: str) -> None:
        """Load it, for so many threads, on "cpu" or "cuda"."""

    def versions(self) -> dict[str, str]:
        """Name the libraries behind it, with their versions and switches that matter."""

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """Prepare a network with the workload's initial weights.

        Raises:
            CannotExpressError: the library cannot train such a network.
        """

    def kernel(self, case: Case) -> Loop:
        """Prepare a kernel on the case's inputs.

        Raises:
            CannotExpressError: the library has no such kernel.
        """

"""Experiments that take no time, run into what experiments run into, and can be sent to other processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

import nnx
from nnx.errors import DivergenceError, UnknownNameError
from nnx.experiments import Curve, Experiment, Quantity, Result, Row, Settings
from nnx.experiments.experiment import nothing

RUN = ("experiment", "run", "toy", "--backend", "generic:numpy", "--jobs", "1")
"""A command line that runs the experiment called "toy"."""

REPORTS = {"report.html", "report.json", "report.md"}


SCORE = Quantity("score", 1, better="high")


@dataclass(frozen=True)
class Toy(Settings):
    """Score `value` plus the seed, after a while.

    Attributes:
        failing: the seeds that diverge.
        log: a file to which every run adds a line: the process that it ran in.
    """

    value: float = 0.0
    seconds: float = 0.0
    failing: tuple[int, ...] = ()
    log: str = ""

    def run(self, seed: int, _backend: str) -> Result:
        if self.log:
            with Path(self.log).open("a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        if seed in self.failing:
            raise DivergenceError("The loss became nan in epoch 2.")
        curve = Curve([0.0, 1.0], [float("nan"), self.value])
        return Result({"score": self.value + seed}, {"cost": curve}, {"weights": np.full((2, 3), seed, np.float32)})


@dataclass(frozen=True)
class Threads(Settings):
    """How many threads BLAS and the engine may use."""

    def run(self, _seed: int, backend: str) -> Result:
        device = nnx.get_backend(backend).device()
        blas = max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return Result({"score": blas, "alone": device.endswith(" 1 thread")})


@dataclass(frozen=True)
class Killed(Settings):
    """What the system does to a process when there is no memory left."""

    def run(self, _seed: int, _backend: str) -> Result:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass(frozen=True)
class Refused(Settings):
    """An error of several parts, which Python cannot send from one process to another."""

    def run(self, _seed: int, _backend: str) -> Result:
        raise UnknownNameError("activation", "rely", ["relu", "tanh"])


def experiment(rows: Mapping[str, Settings] | Sequence[Row], **options: object) -> Experiment:
    """Return an experiment of some rows."""
    listed = rows if isinstance(rows, Sequence) else [Row(name, how, {"score": 1.0}) for name, how in rows.items()]
    usual = {
        "name": "toy",
        "title": "A toy",
        "question": "Does it run?",
        "dataset": None,
        "settings": {"data": "none"},
        "rows": tuple(listed),
        "quantities": (SCORE,),
        "source": "Nowhere.",
        "pictures": nothing,
        "seeds": 3,
    }
    return Experiment(**{**usual, **options})


def files(folder: Path) -> set[str]:
    """Return the names of the files in a folder."""
    return {path.name for path in folder.iterdir() if path.is_file()}

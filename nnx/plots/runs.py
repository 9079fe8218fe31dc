"""From what users give as runs to what is drawn of them: a median within a band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from nnx.errors import DataError, OptionError, ShapeError, UnknownNameError
from nnx.plots.given import Host, host_array


@dataclass(frozen=True)
class Band:
    """A quantity over several runs.

    Attributes:
        steps: (S,) where at least one run was measured, rising.
        middle, low, high: (S,) median, lowest and highest over the runs that cover a step.
        runs: how many there are.
    """

    steps: Host
    middle: Host
    low: Host
    high: Host
    runs: int

    def line(self) -> Band:
        """Return the median alone, without a range."""
        return Band(self.steps, self.middle, self.middle, self.middle, 1)


def read_runs(runs: Any, argument: str, quantity: str) -> list[tuple[Host, Host]]:
    """Return the finite (steps, values) of each run, (S,) float64 both; see `each_run`.

    Raises:
        OptionError, DataError, ShapeError, DtypeError: as `nnx.plots.learning_curves` says.
        UnknownNameError: a History does not have the quantity.
    """
    runs = each_run(runs)
    if not isinstance(runs, Sequence | np.ndarray) or isinstance(runs, str):
        raise OptionError(f"{argument} must be a list of runs (steps, values), got {type(runs).__name__}.")
    if not len(runs):
        raise DataError(f"{argument} must hold at least one run (steps, values), got none.")
    return [_run(run, f"{argument}[{index}]", quantity) for index, run in enumerate(runs)]


def each_run(runs: Any) -> Any:
    """Return a History, or a flat list of values, as a list of this one run; all else as it is.

    The values are those of the steps 1, 2, 3 and so on, as in a History.
    """
    if isinstance(runs, Mapping):
        return [runs]
    flat = isinstance(runs, Sequence | np.ndarray) and all(isinstance(value, Real) for value in runs)
    return [(range(1, len(runs) + 1), runs)] if flat and len(runs) else runs


def _run(run: Any, argument: str, quantity: str) -> tuple[Host, Host]:
    steps, values = (host_array(part, f"{argument}, {name}") for part, name in _pair(run, argument, quantity))
    if steps.ndim != 1 or steps.shape != values.shape:
        raise ShapeError(
            f"{argument} must be (steps, values), both (S,), got shapes {steps.shape} and {values.shape}; "
            "put a single run into a list."
        )
    if not (np.isfinite(steps.astype(float)).all() and (steps[1:] > steps[:-1]).all()):
        raise DataError(f"the steps of {argument} must be finite and rise from one to the next.")
    steps, values = finite_part(steps, values)
    if not steps.size:
        raise DataError(f"{argument} must hold at least one finite value, got none.")
    return steps, values


def _pair(run: Any, argument: str, quantity: str) -> list[tuple[Any, str]]:
    """Return steps and values, not checked yet, with their names."""
    if isinstance(run, Mapping):
        if quantity not in run:
            raise UnknownNameError(f"quantity in {argument}", quantity, map(str, run))
        run = (range(1, len(run[quantity]) + 1), run[quantity])
    if not isinstance(run, Sequence | np.ndarray) or isinstance(run, str) or len(run) != 2:
        raise ShapeError(f"{argument} must be a pair (steps, values) or a History; put a single run into a list.")
    return [(run[0], "steps"), (run[1], "values")]


def finite_part(steps: Host, values: Host) -> tuple[Host, Host]:
    """Return the finite values and their steps, as float64."""
    values = values.astype(np.float64)
    kept = np.isfinite(values)
    return steps[kept].astype(np.float64), values[kept]


def band_of(runs: Sequence[tuple[Host, Host]]) -> Band:
    """Return median and range at every step that any run has, of the runs that have begun and not ended there."""
    steps = np.unique(np.concatenate([own for own, _ in runs]))
    values = np.array([np.interp(steps, *run, left=np.nan, right=np.nan) for run in runs])  # (runs, S)
    low, middle, high = (found(values, axis=0) for found in (np.nanmin, np.nanmedian, np.nanmax))
    return Band(steps, middle, low, high, len(runs))


def extent_of(bands: Iterable[Band]) -> list[float]:
    """Return the lowest and the highest value of every band."""
    return [float(value) for band in bands for value in (band.low.min(), band.high.max())]

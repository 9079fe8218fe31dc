"""What one run of one row measured, in memory and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """A quantity over the course of training; both of one length, thinned to at most some hundred points.

    Attributes:
        steps: after which epoch each was measured, from 0 before the first.
        values: what was measured.
    """

    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True)
class Result:
    """What one run measured.

    Attributes:
        figures: by name; accuracies in [0, 1], costs in nats, times in seconds.
        curves: by name, such as "cost" or "validation accuracy".
        arrays: what pictures need besides, by name, small: a confusion matrix, the weights of a small network.
        seed: which run of its row this is; set by what runs rows. Runs that failed are missing among the results of
            a row, so that runs of two rows are paired by it, never by their places.
    """

    figures: Mapping[str, float]
    curves: Mapping[str, Curve] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` makes an equal result of."""
        return {
            "figures": dict(self.figures),
            "curves": {name: asdict(curve) for name, curve in self.curves.items()},
            "arrays": {
                name: {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}
                for name, array in self.arrays.items()
            },
            "seed": self.seed,
        }

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Result:
        """Return the result that `to_json` described; without a seed in it, that of seed 0.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, ArithmeticError: it is not what `to_json` gives.
        """
        arrays = {name: _array(held) for name, held in stored["arrays"].items()}
        curves = {name: Curve(**curve) for name, curve in stored["curves"].items()}
        return Result(dict(stored["figures"]), curves, arrays, stored.get("seed", 0))


def _array(held: Mapping[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(held["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of a result holds numbers, not {dtype}")
    with np.errstate(over="raise"):
        return np.asarray(held["values"], dtype).reshape(held["shape"])


def thinned(steps: Sequence[float], values: Sequence[float], most: int = 250) -> Curve:
    """Return a curve of at most so many points, evenly spaced in number, the first and the last among them."""
    count = len(values)
    kept = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return Curve([float(steps[index]) for index in kept], [float(values[index]) for index in kept])

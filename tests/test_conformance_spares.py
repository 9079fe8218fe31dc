"""The conformance kit passes right kernels that round otherwise than the reference does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mutants import mutated
from numpy.typing import NDArray

from nnx.conformance import check_backend

GATED = ("xw", "u", "b", "gates", "dxw", "dhu", "du", "db")
PLAIN = ("h0", "c0", "y", "cells", "h_last", "c_last", "dy", "dh_last", "dc_last", "dh0", "dc0")


class Rough:
    """The namespace of NumPy with functions that err by up to three units in the last place, to either side."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name)

    def tanh(self, x: NDArray[Any]) -> NDArray[Any]:
        return moved(np.tanh(x))

    def exp(self, x: NDArray[Any]) -> NDArray[Any]:
        return moved(np.exp(x))

    def expm1(self, x: NDArray[Any]) -> NDArray[Any]:
        return moved(np.expm1(x))


def moved(values: NDArray[Any]) -> NDArray[Any]:
    """Move by as many steps as the last bits tell, so that equal numbers stay equal."""
    steps = values.view(f"i{values.itemsize}") % 7 - 3
    return values + steps.astype(values.dtype) * np.spacing(values)


def turned(name: str, array: NDArray[Any], units: int) -> NDArray[Any]:
    """Number the units from the end; U has them in its rows and in the columns of each gate."""
    gates = array.shape[-1] // units
    parts = array.reshape(*array.shape[:-1], gates, units)[..., ::-1].reshape(array.shape)
    return np.ascontiguousarray(parts[::-1] if name in ("u", "du") else parts)


def from_the_last_unit(run: Callable[..., None], a: SimpleNamespace) -> None:
    """Add up over the units in the opposite order."""
    given = {name: v for name, v in vars(a).items() if name in (*GATED, *PLAIN) and v is not None}
    copies = {name: turned(name, values, len(a.u)) for name, values in given.items()}
    run(**copies)
    for name, values in given.items():
        if values.flags.writeable:
            values[...] = turned(name, copies[name], len(a.u))


@pytest.mark.parametrize("kernel", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("way", ["", "_backward"])
def test_recurrence_in_another_order_with_rougher_functions_passes(kernel: str, way: str) -> None:
    backend = mutated(kernel + way, from_the_last_unit)
    backend.xp = Rough(backend.xp)
    report = check_backend(backend, kernels=[kernel + way])
    assert report.ok, str(report)

"""The Numba backend of nnx: kernels compiled for the CPU at hand.

How it stacks up, each line on the ones above it:

    jit, internals, cache          compiling, and keeping what was compiled
    instructions, launches         memory on the stack; a kernel call made ready, and what collects such calls
    team, kernel                   threads that walk a table of calls; a function made into such a call
    lanes, vectors                 formulas over vector values; registers of lanes under a mask, rows, folds
    sweeps, columns, panels        a formula along rows; down the columns of matrices
    lines, packing                 registers in products, and elements laid out for them
    tiles, product, inner          products by tiles of sums, and along the depth
    sequences, cells               states between steps; a step of each recurrent network as a formula
    recurrence, _backward          all steps of some sequences, forward and backward
    windows, gathering, sums       convolutions as tables of offsets; what windows lie on, gathered; its products
    convolving, correlating, depthwise, pools, moving    the passes that convolutions and pools are made of
    activations ... updates        the families of the interface, one file each
    program, backend               a recorded step as one table; the class that nnx finds
"""

from __future__ import annotations

from nnx.errors import BackendUnavailableError
from nnx.interface import Backend


def _load() -> type[Backend]:
    """Return the backend, or a stand-in that says on construction why it cannot be had."""
    try:
        from nnx_numba.backend import NumbaBackend
    except ImportError as error:
        return _unavailable(str(error))
    return NumbaBackend


def _unavailable(reason: str) -> type[Backend]:
    class Unavailable(Backend):
        name = "numba"

        def __init__(self) -> None:
            raise BackendUnavailableError(
                self.name, f"Numba cannot be imported ({reason}).", "Try: pip install --upgrade numba."
            )

    return Unavailable


NumbaBackend = _load()
"""The backend class that the registry finds by the entry point."""

__all__ = ["NumbaBackend"]

"""The Numba backend of nnx: kernels compiled for the CPU at hand.

How it stacks up, each line on the ones above it:

    internals, jit, cache          what is used of Numba; compiling, and keeping what was compiled
    instructions, launches         memory on the stack; a kernel call made ready, and what records such calls
    lanes, vectors                 formulas over vector values; registers of lanes under a mask, rows, folds
    modules, entries               all code of a kernel as one object file; a function made into a C entry
    team, kernel                   threads that walk a table of calls; a function made into such a call
    sweeps, columns, panels, rows  a formula along rows; down the columns of matrices; rows copied and searched
    lines, packing, grids          registers in products; elements laid out for them; arrays of any extents
    tiles, product, inner          products by tiles of sums, and along the depth
    activations ... updates        the families of the interface, one file each; those of images and sequences are
                                   convolution, pooling, recurrent and embedding, and build on two folders:
    images/readings, chunks        convolutions as tables of offsets; what windows lie on, side by side
    images/padding, weights        what goes into products and comes out of them
    images/sums, products, weight_gradients, depthwise, reductions    tiles, and the passes made of them
    sequences/states, cells        states between steps; a step of each recurrent network as a formula
    sequences/forward, backward    all steps of some sequences
    sequences/rooms, simple_rnn, lstm, gru    memory and packed weights, and the networks
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

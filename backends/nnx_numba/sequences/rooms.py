"""What all recurrent networks share: packed weights, working memory, and how the work is dealt out."""

from __future__ import annotations

from nnx.interface import Array
from nnx_numba.hostarrays import NO_WORDS, PRODUCTS, plain
from nnx_numba.kernel import kernel
from nnx_numba.launches import rooms
from nnx_numba.lines import REGISTER_BYTES
from nnx_numba.sequences.backward import LINES, pack_turned
from nnx_numba.sequences.forward import pack_gates
from nnx_numba.sequences.states import padded

_PACKED = 8192  # lines that take as long to pack


@kernel
def pack_weights(first: int, last: int, u: Array, panels: Array, turned: bool) -> None:
    """Pack for the way forward, or, turned, backward; units are panels. One kernel compiles the copying once."""
    if turned:
        pack_turned(first, last, u, panels)
    else:
        pack_gates(first, last, u, panels, u.shape[1] // u.shape[0])


def times(lengths: Array | None) -> Array:
    """Return the lengths, or an array without any for None."""
    return NO_WORDS if lengths is None else plain(lengths)


def rows_of(steps: Array) -> Array:
    """Show (N, T, F) as (N T, F)."""
    return steps.reshape(steps.shape[0] * steps.shape[1], steps.shape[2])


def dealt_out(y: Array, parts: int, rows: int) -> tuple[int, int]:
    """Return the number of tiles of so many rows of y (N, T, H), and how many of them are worth a thread."""
    count, steps, units = y.shape
    lines = -(-units * y.itemsize // REGISTER_BYTES)
    return -(-count // rows), max(1, PRODUCTS // max(1, steps * units * parts * lines * rows))


def forward_rooms(u: Array, y: Array, states: int) -> list[Array]:
    """Return packed weights and memory for the states; h has two places."""
    (count, _, units), lanes = y.shape, REGISTER_BYTES // y.itemsize
    lines = -(-units // lanes)
    found = rooms(y.dtype, (lines * lanes, u.shape[1]), (states + 1, count, padded(units, lanes)))
    pack_weights(lines, _PACKED // max(1, u.shape[1]), plain(u), found[0], False)
    return found


def backward_rooms(u: Array, y: Array, states: int) -> list[Array]:
    """Return packed weights, and memory for states and their gradients, a step's slopes, and h before each step."""
    (count, _, units), lanes = y.shape, REGISTER_BYTES // y.itemsize
    lines = -(-units // lanes)
    found = rooms(
        *(y.dtype, (lines * lanes, u.shape[1]), (2 * states, count, padded(units, lanes))),
        *((count, padded(u.shape[1], lanes)), y.shape),
    )
    pack_weights(-(-lines // LINES), _PACKED // max(1, u.shape[1]), plain(u), found[0], True)
    return found

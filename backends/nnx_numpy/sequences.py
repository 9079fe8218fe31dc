"""What the recurrent kernels share: steps in the order in which they are taken, padding, and states.

Scratch is ordered by steps, then gates: then the passes of a step run over contiguous memory, which takes a third
of the time that rows of (N, T, F) take, and costs one copy each way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnx_numpy.columns import as_matrix
from nnx_numpy.plan import Plan
from nnx_numpy.workspace import Numbers, row_blocks

_BOOL = np.dtype(np.bool_)
_INT8 = np.dtype(np.int8)


class Padding(NamedTuple):
    """Masks (T, N, H) as integers of the size of the numbers: all bits set, or none."""

    going: Numbers
    over: Numbers


def in_order(array: Numbers, reverse: bool) -> Numbers:
    """View (N, T, F) as (T, N, F), the first step that is taken first."""
    steps = array.swapaxes(0, 1)
    return steps[::-1] if reverse else steps


def gates_of(rows: Numbers, gates: int) -> Numbers:
    """View (..., N, G H) as (..., G, N, H)."""
    split = rows.reshape(*rows.shape[:-1], gates, rows.shape[-1] // gates, copy=False)
    return split.swapaxes(-3, -2)


def copied(plan: Plan, slot: str, source: Numbers) -> Numbers:
    """Return a contiguous copy in scratch."""
    scratch = plan.like(slot, source)
    plan.copy(source, scratch)
    return scratch


def some_steps(rows: Numbers) -> Iterator[slice]:
    """Cut (T, ...) into blocks of steps that fit the cache."""
    return row_blocks(rows.shape[0], math.prod(rows.shape[1:]))


def gate_weights(plan: Plan, u: Numbers, order: tuple[int, ...], sigmoids: int) -> Numbers:
    """Return the weights (H, G H) as (G, H, H) in scratch; those of the first `sigmoids` gates are negated.

    So the product of the state is what `sigmoids_of` subtracts from.
    """
    split = gates_of(u, len(order))
    weights = plan.like("gate weights", split)
    for place, gate in enumerate(order):
        plan(np.negative if place < sigmoids else np.positive, split[gate], weights[place])
    return weights


def sigmoids_of(plan: Plan, negated: Numbers, z: Numbers) -> None:
    """z = s(z - negated) = 1 / (1 + e^(negated - z)), in place; infinite powers give 0."""
    plan(np.subtract, negated, z, z)
    plan(np.exp, z, z)
    plan(np.add, z, 1, z)
    plan(np.reciprocal, z, z)


def padding(plan: Plan, lengths: Numbers | None, y: Numbers, reverse: bool) -> Padding | None:
    """Return the masks of the steps in order, made anew from the lengths in every run; None if all are T."""
    if lengths is None:
        return None
    count, steps, units = y.shape
    number = plan.counting(steps)[::-1] if reverse else plan.counting(steps)
    flags = plan.take("going flags", (steps, count), _BOOL)
    plan(np.greater, lengths, number[:, None], flags)
    bits = np.dtype(f"i{y.itemsize}")
    masks = Padding(*(plan.take(slot, (steps, count, units), bits) for slot in ("going", "over")))
    plan.copy(flags.view(_INT8)[:, :, None], masks.going)
    plan(np.negative, masks.going, masks.going)
    plan(np.invert, masks.going, masks.over)
    return masks


def carry(plan: Plan, masks: Padding | None, step: int, new: Numbers, old: Numbers) -> None:
    """new = old where the sequence is over; by bits, so that NaN on either side stays there."""
    if masks is None:
        return
    bits, kept = new.view(masks.going.dtype), plan.take("kept", new.shape, masks.going.dtype)
    plan(np.bitwise_and, old.view(bits.dtype), masks.over[step], kept)
    plan(np.bitwise_and, bits, masks.going[step], bits)
    plan(np.bitwise_or, bits, kept, bits)


def deliver(plan: Plan, masks: Padding | None, source: Numbers, out: Numbers) -> None:
    """out = source, both (T, N, H) or (T, G, N, H); 0 where the sequence is over."""
    if masks is None:
        plan.copy(source, out)
        return
    going = masks.going if out.ndim == 3 else masks.going[:, None]
    plan(np.bitwise_and, source.view(going.dtype), going, out.view(going.dtype))


def clear(plan: Plan, masks: Padding | None, gates: Numbers) -> None:
    """Clear (T, G, N, H) where the sequence is over."""
    if masks is not None:
        deliver(plan, masks, gates, gates)


def states(plan: Plan, slot: str, first: Numbers | None, y: Numbers) -> Numbers:
    """Return (T + 1, N, H) in scratch: the state before every step, and after the last; the first one is set."""
    count, steps, units = y.shape
    rows = plan.take(slot, (steps + 1, count, units), y.dtype)
    plan.copy(0 if first is None else first, rows[0])
    return rows


def states_before(
    plan: Plan, slot: str, after: Numbers, first: Numbers | None, masks: Padding | None, reverse: bool
) -> Numbers:
    """Return (T, N, H) in scratch: the states before every step, given those after it and the first.

    A sequence taken backwards begins where its padding ends, and there with the first state.
    """
    before, given = plan.like(slot, in_order(after, reverse)), in_order(after, reverse)
    plan.copy(given[:-1], before[1:])
    plan.copy(0 if first is None else first, before[:1])
    if reverse and masks is not None and first is not None:
        rows, kept = before[1:].view(masks.over.dtype), plan.like("first states", masks.over[1:])
        initial = plan.flat("first state", first).reshape(first.shape).view(kept.dtype)
        plan(np.bitwise_and, initial, masks.over[:-1], kept)
        plan(np.bitwise_or, rows, kept, rows)
    return before


def gradient_of_states(plan: Plan, slot: str, after_last: Numbers | None, y: Numbers) -> tuple[Numbers, Numbers]:
    """Return two (N, H) in scratch: the gradient of the last state, set, and room for that of the one before."""
    shape = (y.shape[0], y.shape[2])
    after, before = plan.take(slot, shape, y.dtype), plan.take(f"{slot} before", shape, y.dtype)
    plan.copy(0 if after_last is None else after_last, after)
    return after, before


def gradient_of_outputs(plan: Plan, dy: Numbers | None, reverse: bool) -> Numbers | None:
    """Return dy in order, (T, N, H) in scratch, if there is one."""
    return None if dy is None else copied(plan, "dy", in_order(dy, reverse))


def asked_for(plan: Plan, dh: Numbers, dy: Numbers | None, step: int) -> Numbers:
    """Return the gradient of the state after a step: what later steps ask for, and what depends on y."""
    if dy is None:
        return dh
    total = plan.like("dh and dy", dh)
    plan(np.add, dh, dy[step], total)
    return total


def transposed(plan: Plan, u: Numbers) -> Numbers:
    """Return u.T in scratch, contiguous: BLAS takes half the time for the small products of a step."""
    return copied(plan, "weights back", u.T)


def weight_gradient(plan: Plan, before: Numbers, slopes: Numbers, du: Numbers) -> None:
    """du = the sum over steps and sequences of before.T @ slopes: one product."""
    plan(as_matrix(before).T.dot, as_matrix(slopes), du)  # (H, T N) @ (T N, G H) -> (H, G H)

"""What the recurrent kernels share: steps in the order in which they are taken, padding, and states.

Scratch is ordered by steps, then gates: then every pass of a step runs over contiguous memory, which takes a third
of the time that the rows of (N, T, F) take, and costs one copy each way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnx_numpy.columns import as_matrix
from nnx_numpy.plan import Plan
from nnx_numpy.workspace import Numbers

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


def gates_in_order(array: Numbers, gates: int, reverse: bool) -> Numbers:
    """View (N, T, G H) as (T, G, N, H)."""
    split = array.reshape(*array.shape[:2], gates, array.shape[2] // gates, copy=False)
    return in_order(split, reverse).swapaxes(1, 2)


def gate_weights(plan: Plan, u: Numbers, gates: int, negative: int) -> Numbers:
    """Return (G, H, H) in scratch, one matrix per gate; the signs of the first `negative` ones turned.

    So their products are what the sigmoid 1 / (1 + e^-x) begins with.
    """
    units = u.shape[0]
    split = u.reshape(units, gates, units, copy=False).swapaxes(0, 1)
    weights = plan.take("gate weights", (gates, units, units), u.dtype)
    plan(np.negative, split[:negative], weights[:negative])
    plan.copy(split[negative:], weights[negative:])
    return weights


def sigmoid_of_negated(plan: Plan, x: Numbers) -> None:
    """x = 1 / (1 + e^x), in place; infinite powers give 0."""
    plan(np.exp, x, x)
    plan(np.add, x, 1, x)
    plan(np.reciprocal, x, x)


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


def clear(plan: Plan, masks: Padding | None, out: Numbers, reverse: bool) -> None:
    """Clear what (N, T, G H) holds of steps where the sequence is over."""
    if masks is not None:
        split = gates_in_order(out, out.shape[2] // masks.going.shape[2], reverse)
        deliver(plan, masks, split, split)


def states(plan: Plan, slot: str, first: Numbers | None, y: Numbers) -> Numbers:
    """Return (T + 1, N, H) in scratch: the state before every step, and after the last; the first one is set."""
    count, steps, units = y.shape
    rows = plan.take(slot, (steps + 1, count, units), y.dtype)
    plan.copy(0 if first is None else first, rows[0])
    return rows


def states_before(
    plan: Plan, slot: str, after: Numbers, first: Numbers | None, masks: Padding | None, reverse: bool
) -> Numbers:
    """Return (N, T, H) in scratch: the state before every step, of those after it and the first.

    A sequence taken backwards begins where its padding ends, and there with the first state.
    """
    before = plan.like(slot, after)
    rows, given = in_order(before, reverse), in_order(after, reverse)
    plan.copy(given[:-1], rows[1:])
    plan.copy(0 if first is None else first, rows[:1])
    if reverse and masks is not None and first is not None:
        bits = masks.over.dtype
        kept = plan.like("first states", masks.over[1:])
        initial = plan.flat("first state", first).reshape(first.shape).view(bits)
        plan(np.bitwise_and, initial, masks.over[:-1], kept)
        plan(np.bitwise_or, rows[1:].view(bits), kept, rows[1:].view(bits))
    return before


def gradient_of_states(plan: Plan, slot: str, after_last: Numbers | None, y: Numbers) -> tuple[Numbers, Numbers]:
    """Return two (N, H) in scratch: the gradient of the state after a step, set for the last, and of that before."""
    shape = (y.shape[0], y.shape[2])
    after, before = plan.take(slot, shape, y.dtype), plan.take(f"{slot} before", shape, y.dtype)
    plan.copy(0 if after_last is None else after_last, after)
    return after, before


def weight_gradient(plan: Plan, before: Numbers, slopes: Numbers, du: Numbers) -> None:
    """du = the sum over sequences and steps of before.T @ slopes: one product."""
    plan(as_matrix(before).T.dot, as_matrix(slopes), du)  # (H, N T) @ (N T, G H) -> (H, G H)

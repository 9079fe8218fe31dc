"""The kinds of recurrence, and how their arrays differ."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of network.

    Attributes:
        gates: how many H the last axes of xw and u hold.
        states: "h", and "c" where there is one.
        kept: what the forward kernel leaves of every step besides y, and how many H its last axis holds.
    """

    gates: int
    states: tuple[str, ...]
    kept: dict[str, int]


KINDS = {
    "simple_rnn": Kind(1, ("h",), {}),
    "lstm": Kind(4, ("h", "c"), {"gates": 4, "cells": 1}),
    "gru": Kind(3, ("h",), {"gates": 4}),
}

"""Whether a program's numbers are those on its page, as closely as they can be the same on every machine.

Programs on pages are deterministic on one machine. Elsewhere the vectors of the processor and the kernels of its
BLAS round otherwise, and training carries that on.
"""

from __future__ import annotations

from tests.documentation.pages import numbers_of

RELATIVE = 0.1
"""Losses and slopes after training: rounding grows with every step, to some percent after some hundreds."""

OF_SHARES = 0.03
"""At most this for a number in [0, 1], such as an accuracy: near the end of training a few examples of a small test
set change sides, 10 of 360 here. Where the number is small, RELATIVE is less, and counts."""

RESIDUE = 1e-6
"""What is smaller, in exponent notation, is mostly what rounding left of zero: its digits mean nothing, its size
does. A mistake in a formula leaves far more."""

MULTIPLE = 100
"""Residues grow with the length of sums and the number of steps, which machines order alike: to some times as much.
Two digits are left for that; a float32 that slipped into float64 is eight digits off."""


def differences(found: str, shown: str) -> list[tuple[str, str]]:
    """Return the numbers of two texts of equal words that are too far apart, each as (found, shown)."""
    pairs = zip(numbers_of(found), numbers_of(shown), strict=True)
    return [(number, wanted) for number, wanted in pairs if not agrees(number, wanted)]


def agrees(found: str, shown: str) -> bool:
    """Tell whether a printed number stands for the one that a page shows."""
    value, wanted = float(found), float(shown)
    if "e" in shown and abs(wanted) < RESIDUE:
        return abs(value) <= MULTIPLE * abs(wanted)
    return abs(value - wanted) <= tolerance(shown) * (1 + 1e-9)  # 0.97 - 0.94 is a little more than 0.03 in binary


def tolerance(shown: str) -> float:
    """Return how far a number may be from the one shown; whole numbers, which count something, must be the same."""
    size = abs(float(shown))
    if "e" in shown:
        return RELATIVE * size
    if "." not in shown:
        return 0.0
    last_digit = 10.0 ** -len(shown.partition(".")[2])
    near = max(RELATIVE * size, last_digit)  # one more in the last digit, since that is rounded too
    return min(near, OF_SHARES) if 0 <= float(shown) <= 1 else near

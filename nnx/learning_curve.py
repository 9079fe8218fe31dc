"""Learning curves as an SVG picture, drawn without any plotting library."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from nnx.errors import DataError

PALETTE = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00")
"""Colours that stay apart for colour-blind readers, neighbours in brightness too. Source: Okabe & Ito 2008."""

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 80, 620, 56, 390
"""The edges of the plotting area, in pixels."""

_MOST_POINTS = 1000
_LOGARITHMIC_FROM = 20.0
"""Largest over smallest value from which the vertical axis is logarithmic."""

_LEAST_ROOM = 1e-300
"""Of an axis above and below its values: smaller numbers soon have no digits left to tell one from another."""

_LARGEST = sys.float_info.max
_LARGEST_POWER = sys.float_info.max_10_exp
_MOST_DECADES = 8
"""Beside a logarithmic axis; one that spans more of them shows every second, third and so on."""


@dataclass(frozen=True)
class Curve:
    """One line of the picture.

    Attributes:
        label: its name in the legend.
        values: one number per epoch, the first being epoch 1; those that are not finite are left out.
        group: curves of one group share a colour; a later group is drawn thinner, so that curves on top of
            one another can all be seen.
        dashed: whether the line is dashed.
    """

    label: str
    values: Sequence[float]
    group: int = 0
    dashed: bool = False


@dataclass(frozen=True)
class Axis:
    """A map from numbers to pixels, and the numbers to write beside it.

    Attributes:
        low, high: what the ends stand for, low < high.
        start, end: pixels.
        logarithmic: whether equal factors, not equal differences, take equal room.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return the pixel of a value."""
        scale: Callable[[float], float] = math.log10 if self.logarithmic else _half
        share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round numbers from low to high."""
        numbers = _decades(self.low, self.high) if self.logarithmic else _steps(self.low, self.high)
        return [number for number in numbers if self.low <= number <= self.high]


def draw_learning_curves(curves: Sequence[Curve], title: str, quantity: str = "loss") -> str:
    """Return an SVG picture of curves over the epochs.

    Args:
        curves: what to draw, later ones on top.
        title: the heading.
        quantity: what the vertical axis shows.

    Raises:
        DataError: no curve has a finite value.
    """
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    if not values:
        raise DataError("curves must hold at least one finite number, got none; train for at least one epoch.")
    across, up = _epoch_axis(max(len(curve.values) for curve in curves)), _value_axis(values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 32, title, size=17, anchor="start"),
        *_frame(across, up, quantity),
        *(_line(curve, across, up, _width(curve, curves)) for curve in curves),
        *_legend(curves),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _epoch_axis(epochs: int) -> Axis:
    return Axis(1, epochs, LEFT, RIGHT) if epochs > 1 else Axis(0.5, 1.5, LEFT, RIGHT)


def _value_axis(values: Sequence[float]) -> Axis:
    """Return an axis that leaves a little room above and below the values."""
    low, high = min(values), max(values)
    if 0 < low <= high / _LOGARITHMIC_FROM:
        return Axis(low / 1.1, min(high * 1.1, _LARGEST), BOTTOM, TOP, logarithmic=True)
    rooms = 0.1 * _half_span(low, high), 0.05 * abs(high), 1.0
    room = next(room for room in rooms if room > _LEAST_ROOM)
    below = 0.0 if 0 <= low < high / 2 else max(low - room, -_LARGEST)
    return Axis(below, min(high + room, _LARGEST), BOTTOM, TOP)


def _half(value: float) -> float:
    return value / 2


def _half_span(low: float, high: float) -> float:
    """Return half of what lies between two numbers: the whole may be more than a float can hold."""
    return _half(high) - _half(low)


def _steps(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten, about six of them."""
    rough = _half_span(low, high) / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return powers of ten, and 2 and 5 times these where the axis spans few of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 4 else (1,)
    stride = -(-(last - first) // _MOST_DECADES)
    powers = range(first - first % stride, min(last, _LARGEST_POWER) + 1, stride)
    return [factor * 10.0**power for power in powers for factor in factors]


def _frame(across: Axis, up: Axis, quantity: str) -> list[str]:
    """Draw the grid, the axes, their numbers and their names."""
    parts = []
    for number in up.ticks():
        y = up.place(number)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#e4e4e4"/>')
        parts.append(_text(LEFT - 10, y + 4, f"{number:.4g}", anchor="end"))
    for number in across.ticks():
        if number == round(number):
            x = across.place(number)
            parts.append(f'<path d="M{x:.1f} {BOTTOM}v6" stroke="#444"/>')
            parts.append(_text(x, BOTTOM + 22, f"{number:.0f}"))
    parts.append(f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="#444"/>')
    parts.append(_text((LEFT + RIGHT) / 2, BOTTOM + 48, "epoch"))
    name = f"{quantity} (logarithmic)" if up.logarithmic else quantity
    middle = (TOP + BOTTOM) / 2
    parts.append(f'<g transform="rotate(-90 12 {middle})">{_text(12, middle, name)}</g>')
    return parts


def _line(curve: Curve, across: Axis, up: Axis, width: float) -> str:
    stride = -(-len(curve.values) // _MOST_POINTS)
    numbered = list(enumerate(curve.values, start=1))
    kept = [*numbered[:-1:stride], *numbered[-1:]]
    points = [(across.place(epoch), up.place(value)) for epoch, value in kept if math.isfinite(value)]
    if len(points) == 1:
        ((x, y),) = points
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1}" fill="{_colour(curve)}"/>'
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" {_stroke(curve, width)}/>'


def _legend(curves: Sequence[Curve]) -> list[str]:
    parts, left = [], RIGHT + 24
    for row, curve in enumerate(curves):
        y = TOP + 10 + 24 * row
        parts.append(f'<path d="M{left} {y}h40" {_stroke(curve, _width(curve, curves))}/>')
        parts.append(_text(left + 50, y + 4, curve.label, anchor="start"))
    return parts


def _width(curve: Curve, curves: Sequence[Curve]) -> float:
    return 2 + 4 * (max(other.group for other in curves) - curve.group)


def _colour(curve: Curve) -> str:
    return PALETTE[curve.group % len(PALETTE)]


def _stroke(curve: Curve, width: float) -> str:
    dashes = ' stroke-dasharray="9 5"' if curve.dashed else ""
    return f'fill="none" stroke="{_colour(curve)}" stroke-width="{width}" stroke-linejoin="round"{dashes}'


def _text(x: float, y: float, text: str, size: int = 13, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'

"""Cases of `nnx.interface.convolution`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnx import reference
from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late
from nnx.conformance.cases.activations import forward, slope_terms
from nnx.conformance.tolerance import Bound, Context, Values, elementwise, reduction
from nnx.interface import FUSED, Backend, Window

ALPHA = 0.3
_XP = Backend.from_namespace(np).xp


class Setting(NamedTuple):
    """What is convolved: images (N, H, W, C) to O channels."""

    images: tuple[int, int, int, int]
    outputs: int
    window: Window
    groups: int = 1

    @property
    def weights(self) -> tuple[int, int, int, int]:
        """The shape (K, L, C / G, O)."""
        return *self.window.size, self.images[3] // self.groups, self.outputs

    @property
    def results(self) -> tuple[int, int, int, int]:
        """The shape (N, P, Q, O)."""
        return self.images[0], *self.window.places(*self.images[1:3]), self.outputs

    @property
    def terms(self) -> int:
        """How many products make one number of the result: K L C / G."""
        return math.prod(self.weights[:3])

    def __str__(self) -> str:
        """Name all that differs from the plainest window."""
        plain, window = Window(self.window.size), self.window
        odd = [f"{n} {v}" for n, v in window._asdict().items() if v != getattr(plain, n)]
        grouped = [f"{self.groups} groups"] if self.groups > 1 else []
        return ", ".join([f"{self.images} to {self.outputs}", f"window {window.size}", *odd, *grouped])


def _preactivation(context: Context, setting: Setting) -> Values:
    """Sum of the absolute terms of conv(x, w) + b: the same convolution of absolute values."""
    x, w = np.abs(context["x"]), np.abs(context["w"])
    b, total = context.given.get("b"), np.zeros(setting.results)
    options = setting.window, setting.groups, "identity", 0.0
    reference.conv2d(_XP, x, w, None if b is None else np.abs(b), total, *options)
    return total


def _activated(setting: Setting, activation: str) -> Bound:
    """As in `linear`: no fused activation has a slope above 1, so an error of z passes on at most whole."""
    before, own = reduction(setting.terms + 1, lambda c: _preactivation(c, setting)), elementwise()

    def bound(context: Context) -> Values:
        return before(context) + (0.0 if activation == "identity" else own(context))

    return bound


def _convolution(setting: Setting, x: Values, w: Values, b: Values | None, activation: str) -> Arguments:
    return {
        "x": Input(x),
        "w": Input(w),
        "b": None if b is None else Input(b),
        "y": Output(setting.results, _activated(setting, activation)),
        "window": setting.window,
        "groups": setting.groups,
        "activation": activation,
        "alpha": ALPHA,
    }


def _conv2d(draw: Draw, setting: Setting, *, activation: str = "identity", bias: bool = True) -> Arguments:
    w = draw.normal(*setting.weights, spread=1 / math.sqrt(setting.terms))
    b = draw.normal(setting.outputs) if bias else None
    return _convolution(setting, draw.normal(*setting.images), w, b, activation)


def _conv2d_special(draw: Draw, setting: Setting) -> Arguments:
    """Values that reach exactly the places whose windows hold them, in their own image and group."""
    x = draw.normal(*setting.images)
    x[1, 2, 3, 0], x[1, 0, 0, 1], x[2, 4, 4, -1] = math.nan, math.inf, -math.inf
    return _convolution(setting, x, draw.normal(*setting.weights), draw.normal(setting.outputs), "identity")


class _Terms:
    """Sums of the absolute terms of the gradients: the same backward pass of absolute values."""

    def __init__(self, setting: Setting, activation: str) -> None:
        self.setting, self.activation = setting, activation

    def dz(self, context: Context) -> Values:
        """|dy| times the absolute terms of f'."""
        y = context["y"]
        return np.abs(context["dy"]) * slope_terms(y, y, self.activation, ALPHA)

    def _all(self, context: Context) -> dict[str, Values]:
        x, w, dz = np.abs(context["x"]), np.abs(context["w"]), self.dz(context)
        made: dict[str, Values] = {"dx": np.empty(x.shape), "dw": np.empty(w.shape), "db": np.empty(w.shape[3])}
        options = self.setting.window, self.setting.groups, "identity", 0.0
        reference.conv2d_backward(_XP, x, dz, dz, w, None, made["dx"], made["dw"], made["db"], *options)
        return made

    def bound(self, length: int) -> Bound:
        """Return the bound of a gradient that sums `length` terms."""
        return reduction(length, lambda context: self._all(context)[context.name])


def _gradients(
    setting: Setting, values: dict[str, Values], activation: str, wants_dx: bool, bias: bool
) -> Arguments:
    """Lengths: dx sums the output channels of its group at every tap, dw and db all places of all images."""
    terms, (n, p, q, o) = _Terms(setting, activation), setting.results
    per_pixel = math.prod(setting.window.size) * o // setting.groups
    return {
        **{name: Input(values[name]) for name in ("x", "y", "dy", "w")},
        "dz": None if activation == "identity" else Output((n, p, q, o), elementwise(terms.dz)),
        "dx": Output(setting.images, terms.bound(per_pixel)) if wants_dx else None,
        "dw": Output(setting.weights, terms.bound(n * p * q)),
        "db": Output((o,), terms.bound(n * p * q)) if bias else None,
        "window": setting.window,
        "groups": setting.groups,
        "activation": activation,
        "alpha": ALPHA,
    }


def _drawn(draw: Draw, setting: Setting, activation: str) -> dict[str, Values]:
    """Inputs of the backward pass; y has the range of the activation, and need not belong to x and w."""
    y = draw.round(forward(draw.normal(*setting.results), activation, ALPHA))
    x, w, dy = (draw.normal(*shape) for shape in (setting.images, setting.weights, setting.results))
    return {"x": x, "y": y, "dy": dy, "w": w}


def _conv2d_backward(
    draw: Draw, setting: Setting, *, activation: str = "identity", wants_dx: bool = True, bias: bool = True
) -> Arguments:
    return _gradients(setting, _drawn(draw, setting, activation), activation, wants_dx, bias)


def _conv2d_backward_special(draw: Draw, setting: Setting) -> Arguments:
    values = _drawn(draw, setting, "identity")
    values["dy"][1, 1, 2, 0], values["x"][2, 0, 0, 1] = math.nan, math.inf
    return _gradients(setting, values, "identity", True, True)


_SAME = {"before": (1, 1), "after": (1, 1)}
_SETTINGS = (
    Setting((0, 5, 4, 3), 4, Window((3, 3))),
    Setting((1, 1, 1, 1), 1, Window((1, 1))),
    Setting((5, 2, 3, 8), 17, Window((1, 1))),
    Setting((1, 2, 3, 3), 8, Window((2, 2))),
    Setting((5, 7, 5, 3), 8, Window((3, 3), **_SAME)),
    Setting((2, 28, 28, 1), 8, Window((3, 3))),
    Setting((17, 28, 28, 8), 16, Window((3, 3), **_SAME)),
    Setting((2, 13, 13, 8), 16, Window((3, 3), **_SAME)),
    Setting((3, 7, 6, 17), 33, Window((3, 3), **_SAME)),
    Setting((1, 7, 5, 33), 16, Window((5, 3), before=(2, 1), after=(2, 1))),
    Setting((2, 1, 37, 3), 17, Window((1, 5), before=(0, 4))),
    Setting((5, 9, 10, 3), 8, Window((3, 3), stride=(2, 2), before=(0, 1), after=(1, 0))),
    Setting((2, 9, 10, 3), 5, Window((2, 2), stride=(2, 1))),
    Setting((1, 9, 11, 2), 3, Window((1, 1), stride=(3, 2))),
    Setting((1, 3, 2, 3), 4, Window((3, 3), before=(4, 5), after=(6, 3))),
    Setting((1, 7, 5, 3), 4, Window((7, 5))),
    Setting((2, 9, 8, 3), 8, Window((3, 3), dilation=(2, 2), before=(2, 2), after=(2, 2))),
    Setting((2, 12, 9, 2), 3, Window((3, 2), stride=(2, 1), before=(1, 0), after=(0, 2), dilation=(2, 3))),
    Setting((2, 6, 6, 3), 4, Window((3, 3), stride=(2, 1), dilation=(1, 2))),
    Setting((2, 7, 5, 8), 16, Window((3, 3), **_SAME), groups=2),
    Setting((3, 7, 5, 17), 17, Window((3, 3), **_SAME), groups=17),
    Setting((2, 7, 5, 8), 16, Window((2, 3), stride=(2, 2)), groups=8),
)
_FUSED = Setting((2, 7, 5, 3), 17, Window((3, 2), stride=(2, 1), before=(1, 0), after=(0, 1)))
_SPECIAL = Setting((3, 7, 6, 4), 6, Window((3, 3), **_SAME), groups=2)
_INNER = Setting((3, 7, 6, 4), 6, Window((3, 3)), groups=2)
"""Without padding, where the interface leaves NaN open."""


def _cases(kernel: str, build: Callable[[Draw, Setting], Arguments]) -> tuple[Case, ...]:
    """Make one case per setting. Views are left out of the largest."""
    return tuple(
        Case(kernel, str(setting), late(build, setting), views=math.prod(setting.images) < 100_000)
        for setting in _SETTINGS
    )


CASES: tuple[Case, ...] = (
    *_cases("conv2d", _conv2d),
    *(
        Case("conv2d", f"{_FUSED} {f}{'' if bias else ' no bias'}", late(_conv2d, _FUSED, activation=f, bias=bias))
        for f in FUSED
        for bias in (True, False)
    ),
    Case("conv2d", f"{_SPECIAL} NaN and infinities", late(_conv2d_special, _SPECIAL)),
    *_cases("conv2d_backward", _conv2d_backward),
    *(
        Case(
            "conv2d_backward",
            f"{_FUSED} {f}{'' if bias else ' no db'}{'' if wants_dx else ' no dx'}",
            late(_conv2d_backward, _FUSED, activation=f, bias=bias, wants_dx=wants_dx),
        )
        for f in FUSED
        for bias, wants_dx in ((True, True), (False, True), (True, False))
    ),
    Case("conv2d_backward", f"{_INNER} NaN and infinities", late(_conv2d_backward_special, _INNER)),
)

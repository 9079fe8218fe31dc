"""Cases of `nnx.interface.pooling`."""

from __future__ import annotations

import math

import numpy as np

from nnx import reference
from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late
from nnx.conformance.tolerance import Bound, Context, Values, exact, reduction
from nnx.interface import Backend, Window

_XP = Backend.from_namespace(np).xp
Images = tuple[int, int, int, int]


def _results(images: Images, window: Window) -> Images:
    count, height, width, channels = images
    return count, *window.places(height, width), channels


def _largest(x: Values, window: Window) -> Arguments:
    shape = _results(x.shape, window)
    return {"x": Input(x), "y": Output(shape), "index": Output(shape, dtype="int32"), "window": window}


def _max_pool(draw: Draw, images: Images, window: Window) -> Arguments:
    return _largest(draw.normal(*images), window)


def _ties(draw: Draw, images: Images, window: Window) -> Arguments:
    """Few distinct values, zeros of both signs among them, so that most windows have several largest ones."""
    x = draw.round(draw.integers(2, *images))
    return _largest(np.where(draw.uniform(*images) < 0.5, x, -x), window)


def _special(draw: Draw, images: Images, window: Window) -> Arguments:
    """NaN before and after numbers, two in a window; infinities; an image of nothing but -infinity."""
    x = draw.normal(*images)
    flat = x.reshape(-1)
    flat[::17], flat[1::13], flat[2::11] = math.nan, math.inf, -math.inf
    x[-1] = -math.inf
    x[0, :2, :2, 0] = math.nan
    return _largest(x, window)


def _overlap(window: Window) -> int:
    """The largest number of windows that a pixel lies in."""
    return math.prod(-(-size // stride) for size, stride in zip(window.size, window.stride, strict=True))


def _routed(window: Window) -> Bound:
    """A copy, or a sum over the windows that found their largest in the same pixel."""

    def terms(context: Context) -> Values:
        total = np.zeros(context.after["dx"].shape)
        reference.max_pool_backward(_XP, context["index"], np.abs(context["dy"]), total, window)
        return total

    return exact if _overlap(window) == 1 else reduction(_overlap(window), terms)


def _max_pool_backward(
    draw: Draw, images: Images, window: Window, *, tied: bool = False, special: bool = False
) -> Arguments:
    """Indices as `max_pool` finds them: they never point into the padding."""
    x = np.zeros(images) if tied else draw.normal(*images)
    y, index = np.empty(_results(images, window)), np.empty(_results(images, window), "int32")
    reference.max_pool(_XP, x, y, index, window)
    dy = draw.normal(*y.shape)
    if special:
        dy.reshape(-1)[::19], dy.reshape(-1)[5::23] = math.nan, math.inf
    return {
        "index": Input(index, "int32"),
        "dy": Input(dy),
        "dx": Output(images, _routed(window)),
        "window": window,
    }


def _average_pool(draw: Draw, images: Images, window: Window, *, special: bool = False) -> Arguments:
    def terms(context: Context) -> Values:
        total = np.zeros(context.after["y"].shape)
        reference.average_pool(_XP, np.abs(context["x"]), total, window)
        return total

    x = draw.normal(*images, mean=0.5)
    if special:
        x.reshape(-1)[::37], x.reshape(-1)[5::41] = math.nan, math.inf
    return {
        "x": Input(x),
        "y": Output(_results(images, window), reduction(math.prod(window.size), terms)),
        "window": window,
    }


def _average_pool_backward(draw: Draw, images: Images, window: Window, *, special: bool = False) -> Arguments:
    def terms(context: Context) -> Values:
        total = np.zeros(context.after["dx"].shape)
        reference.average_pool_backward(_XP, np.abs(context["dy"]), total, window)
        return total

    dy = draw.normal(*_results(images, window))
    if special:
        dy.reshape(-1)[::37], dy.reshape(-1)[5::41] = math.nan, math.inf
    return {"dy": Input(dy), "dx": Output(images, reduction(_overlap(window), terms)), "window": window}


_SETTINGS: tuple[tuple[Images, Window], ...] = (
    ((0, 4, 4, 3), Window((2, 2), (2, 2))),
    ((1, 1, 1, 1), Window((1, 1))),
    ((5, 2, 3, 3), Window((2, 3))),
    ((2, 7, 5, 8), Window((2, 2), (2, 2))),
    ((2, 28, 28, 8), Window((2, 2), (2, 2))),
    ((3, 8, 6, 17), Window((2, 2), (2, 2))),
    ((1, 9, 10, 33), Window((3, 3), (2, 2), before=(1, 1), after=(1, 1))),
    ((5, 7, 5, 16), Window((3, 2), before=(2, 0), after=(1, 1))),
    ((2, 9, 11, 3), Window((2, 2), (3, 4))),
    ((2, 10, 7, 1), Window((5, 3), (2, 1), before=(0, 2), after=(3, 1))),
    ((2, 1, 41, 5), Window((1, 4), (1, 3), after=(0, 2))),
    ((2, 9, 7, 17), Window((9, 7))),
    ((5, 7, 5, 2), Window((7, 5), before=(6, 4), after=(6, 4))),
)
_HARD: tuple[tuple[Images, Window], ...] = (
    ((3, 8, 10, 17), Window((2, 2), (2, 2))),
    ((3, 9, 7, 8), Window((3, 3), (2, 1), before=(1, 1), after=(1, 2))),
)


def _label(images: Images, window: Window) -> str:
    odd = {n: v for n, v in window._asdict().items() if n != "size" and v != getattr(Window((1, 1)), n)}
    return ", ".join([f"{images} window {window.size}", *(f"{name} {value}" for name, value in odd.items())])


CASES: tuple[Case, ...] = (
    *(
        Case(kernel, _label(*setting), late(build, *setting))
        for kernel, build in (
            ("max_pool", _max_pool),
            ("max_pool_backward", _max_pool_backward),
            ("average_pool", _average_pool),
            ("average_pool_backward", _average_pool_backward),
        )
        for setting in _SETTINGS
    ),
    *(Case("max_pool", f"{_label(*s)} ties", late(_ties, *s)) for s in _HARD),
    *(Case("max_pool", f"{_label(*s)} NaN and infinities", late(_special, *s)) for s in _HARD),
    *(Case("max_pool_backward", f"{_label(*s)} ties", late(_max_pool_backward, *s, tied=True)) for s in _HARD),
    *(
        Case(kernel, f"{_label(*setting)} NaN and infinities", late(build, *setting, special=True))
        for kernel, build in (
            ("max_pool_backward", _max_pool_backward),
            ("average_pool", _average_pool),
            ("average_pool_backward", _average_pool_backward),
        )
        for setting in _HARD
    ),
)

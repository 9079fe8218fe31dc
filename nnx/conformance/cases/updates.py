"""Cases of `nnx.interface.updates`: p, g and the moments in place, with terms for every destination."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, InPlace, Input, Output, late
from nnx.conformance.tolerance import Context, Values, elementwise, reduction

SIZES = (0, 1, 31, 32, 33, 255, 257, 100_003)
MU, RHO, BETA1, BETA2 = 0.9, 0.95, 0.9, 0.999


def _rate(draw: Draw, value: float = 0.05) -> Input:
    return Input(draw.round(value))


def _gradients(draw: Draw, size: int) -> Values:
    """Gradients of sizes from 1e-12 to 1e3, zeros among them."""
    g = draw.normal(size) * 10.0 ** draw.generator.integers(-12, 4, size)
    g[4::5] = 0.0
    return draw.round(g)


def _moved(draw: Draw, size: int, change: Callable[[Context], Values]) -> InPlace:
    """Parameters: the change is rounded in proportion to its own terms, the difference to both.

    Some parameters are 0, where the digits of the change itself show.
    """
    p = draw.normal(size)
    p[1::3] = 0.0
    return InPlace(p, elementwise(lambda c: np.abs(c["p"]) + np.abs(c["lr"]) * change(c)))


def _velocity(context: Context) -> Values:
    return MU * np.abs(context["v"]) + np.abs(context["g"])


def _sgd(draw: Draw, size: int) -> Arguments:
    p = _moved(draw, size, lambda c: np.abs(c["g"]))
    return {"p": p, "g": Input(_gradients(draw, size)), "lr": _rate(draw)}


def _heavy_ball(draw: Draw, size: int, *, ahead: bool) -> Arguments:
    def change(context: Context) -> Values:
        v = _velocity(context)
        return np.abs(context["g"]) + MU * v if ahead else v

    return {
        "p": _moved(draw, size, change),
        "g": Input(_gradients(draw, size)),
        "v": InPlace(draw.normal(size), elementwise(_velocity)),
        "lr": _rate(draw),
        "mu": MU,
    }


def _rmsprop(draw: Draw, size: int, eps: float = 1e-7) -> Arguments:
    def change(context: Context) -> Values:
        return np.abs(context["g"]) / (np.sqrt(context.after["s"]) + eps)

    return {
        "p": _moved(draw, size, change),
        "g": Input(_gradients(draw, size)),
        "s": InPlace(_second_moments(draw, size), elementwise()),  # both terms are positive
        "lr": _rate(draw),
        "rho": RHO,
        "eps": eps,
    }


def _second_moments(draw: Draw, size: int) -> Values:
    v = draw.uniform(size)
    v[::3] = 0.0
    return v


def _adam(draw: Draw, size: int, *, step: int = 3, eps: float = 1e-8, eps_root: float = 0.0) -> Arguments:
    def first(context: Context) -> Values:
        return BETA1 * np.abs(context["m"]) + (1 - BETA1) * np.abs(context["g"])

    def change(context: Context) -> Values:
        root = np.sqrt(context.after["v"] / (1 - BETA2 ** (step + 1)) + eps_root)
        return first(context) / (1 - BETA1 ** (step + 1)) / (root + eps)

    v = draw.round(_second_moments(draw, size) * (step > 0))  # nothing has been gathered before the first step
    return {
        "p": _moved(draw, size, change),
        "g": Input(_gradients(draw, size)),
        "m": InPlace(draw.round(np.sqrt(v) * draw.uniform(size, low=-1.0)), elementwise(first)),
        "v": InPlace(v, elementwise()),
        "step": Input(np.asarray(step), "int64"),
        "lr": _rate(draw, 0.001),
        "beta1": BETA1,
        "beta2": BETA2,
        "eps": eps,
        "eps_root": eps_root,
    }


def _adamw(draw: Draw, size: int, *, decayed: int, step: int = 3, weight_decay: float = 0.3) -> Arguments:
    return {**_adam(draw, size, step=step), "weight_decay": weight_decay, "decayed": decayed}


def _l2_penalty(draw: Draw, *shape: int) -> Arguments:
    scale = 0.37

    def loss_terms(context: Context) -> Values:
        return np.abs(context["loss"]) + 0.5 * scale * np.sum(context["w"] ** 2)

    size = int(np.prod(shape))
    return {
        "w": Input(draw.normal(*shape)),
        "dw": InPlace(draw.normal(*shape), elementwise(lambda c: np.abs(c["dw"]) + scale * np.abs(c["w"]))),
        "loss": InPlace(draw.round(1.25), reduction(size, loss_terms)),
        "scale": scale,
    }


def _clip(g: Values, limit: float) -> Arguments:
    size = len(g)
    return {
        "g": InPlace(g, reduction(size, lambda c: np.abs(c.after["g"]))),
        "norm": Output((), reduction(size, lambda c: np.abs(c.after["norm"]))),
        "limit": limit,
    }


def _clip_normal(draw: Draw, size: int, limit: float) -> Arguments:
    return _clip(draw.normal(size), limit)


def _huge(draw: Draw) -> Values:
    """Gradients whose squares overflow while their norm does not."""
    return draw.round(draw.normal(33) * (1e30 if draw.dtype == "float32" else 1e300))


def _with(draw: Draw, value: float) -> Values:
    g = draw.normal(257)
    g[255] = value
    return g


def _with_nan(draw: Draw, build: Callable[..., Arguments]) -> Arguments:
    """A NaN gradient reaches its parameter, and no other."""
    arguments = dict(build(draw, 65))
    g = np.array(arguments["g"].values)
    g[[3, 64]] = math.nan
    return {**arguments, "g": Input(g)}


_RULES: dict[str, Callable[..., Arguments]] = {
    "sgd": _sgd,
    "momentum": partial(_heavy_ball, ahead=False),
    "nesterov": partial(_heavy_ball, ahead=True),
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": partial(_adamw, decayed=0),
}


def _sized(kernel: str, build: Callable[..., Arguments], size: int, label: str = "") -> Case:
    return Case(kernel, f"({size},) {label}".rstrip(), lambda draw: build(draw, size), views=size < 100_000)


CASES: tuple[Case, ...] = (
    *(_sized(kernel, build, size) for kernel, build in _RULES.items() for size in SIZES),
    *(Case(kernel, "(65,) NaN", partial(_with_nan, build=build)) for kernel, build in _RULES.items()),
    *(
        _sized("adam", partial(_adam, step=step), 257, f"step {step}")
        for step in (0, 1, 9, 999, 10**6, 2**31, 2**40)
    ),
    _sized("adam", partial(_adam, eps=0.0, eps_root=1e-6), 257, "eps inside the root"),
    _sized("adam", partial(_adam, step=0, eps=1e-3, eps_root=1e-3), 257, "large eps"),
    _sized("rmsprop", partial(_rmsprop, eps=0.1), 257, "large eps"),
    *(
        _sized("adamw", partial(_adamw, decayed=decayed), 257, f"decayed {decayed}")
        for decayed in (1, 31, 33, 128, 256, 257)
    ),
    _sized("adamw", partial(_adamw, decayed=70_001), 100_003, "decayed 70001"),
    _sized("adamw", partial(_adamw, decayed=100, step=0), 257, "decayed 100 step 0"),
    *(
        Case(
            "l2_penalty",
            str(shape),
            late(_l2_penalty, *shape),
            views=size < 100_000,
        )
        for shape in ((), (0,), (1,), (33,), (31, 33), (257, 5), (3, 4, 5), (1000, 513))
        for size in (int(np.prod(shape)),)
    ),
    *(
        Case(
            "clip_by_global_norm",
            f"({size},) limit {limit}",
            late(_clip_normal, size, limit),
        )
        for size in SIZES
        for limit in (0.5, 1e6)
    ),
    Case("clip_by_global_norm", "(33,) zeros", lambda _: _clip(np.zeros(33), 1.0)),
    Case("clip_by_global_norm", "(33,) squares overflow", lambda draw: _clip(_huge(draw), 2.0)),
    Case("clip_by_global_norm", "(257,) NaN", lambda draw: _clip(_with(draw, math.nan), 1.0)),
    Case("clip_by_global_norm", "(257,) infinity", lambda draw: _clip(_with(draw, math.inf), 1.0)),
)

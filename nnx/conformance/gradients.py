"""Checks of gradients: every forward kernel with its backward kernel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from nnx.conformance.calls import call
from nnx.conformance.case import InPlace, Output
from nnx.conformance.image_gradients import image_pairs
from nnx.conformance.report import Check
from nnx.conformance.sequence_gradients import sequence_pairs
from nnx.conformance.slopes import Pair, Point, check_pair, inner
from nnx.conformance.tolerance import Values
from nnx.interface import ELEMENTWISE, FUSED, Backend

_ALPHA = 0.3


def gradient_checks() -> Iterator[Check]:
    """Yield one check per pair."""
    for pair in (*pairs(), *image_pairs(), *sequence_pairs()):
        yield Check(f"{pair.name} gradient", pair.kernel, partial(check_pair, pair))


_RNG = np.random.Generator(np.random.PCG64(23))
_X = _RNG.standard_normal((9, 7))
_W, _B = _RNG.standard_normal((7, 5)), _RNG.standard_normal(5)
_SCALE, _SHIFT = _RNG.standard_normal(7) + 1, _RNG.standard_normal(7)
_WEIGHT = _RNG.uniform(0, 2, 9)
_LABELS = _RNG.integers(0, 7, 9)
_TARGETS = _RNG.dirichlet(np.ones(7), 9)
_SEED = _RNG.standard_normal((9, 7))  # the gradient that comes in: L = sum(seed * y)
_WIDE_SEED = _RNG.standard_normal((9, 5))


def pairs() -> Iterator[Pair]:
    """Yield the pairs on matrices, and every loss."""
    for activation in ELEMENTWISE:
        yield _activation_pair(activation)
    for kernel in ("softmax", "log_softmax"):
        yield _row_pair(kernel)
    for activation in FUSED:
        yield _linear_pair(activation)
    yield _batch_norm_pair()
    yield _layer_norm_pair()
    yield _dropout_pair()
    yield from _losses()
    yield _penalty_pair()


def _losses() -> Iterator[Pair]:
    """Yield every loss, with and without weights."""
    distances: dict[str, dict[str, float]] = {
        "mean_squared_error": {},
        "mean_absolute_error": {},
        "huber": {"delta": 0.8},
    }
    logits, outputs = ("logits", "dlogits"), ("outputs", "doutputs")
    for weight in (None, _WEIGHT):
        for smoothing in (0.0, 0.2):
            options = {"weight": weight, "smoothing": smoothing}
            yield _loss_pair("softmax_cross_entropy", logits, labels=_LABELS, **options)
            yield _loss_pair("soft_cross_entropy", logits, targets=_TARGETS, **options)
        yield _loss_pair("sigmoid_cross_entropy", logits, targets=_TARGETS, weight=weight)
        for kernel, attributes in distances.items():
            yield _loss_pair(kernel, outputs, targets=_TARGETS, weight=weight, **attributes)


def _activation_pair(activation: str) -> Pair:
    options = {"activation": activation, "alpha": _ALPHA}

    def forward(backend: Backend, x: Values) -> Values:
        return call(backend, "activate", x=x, y=Output(x.shape), **options)["y"]

    def gradient(backend: Backend, point: Point) -> Point:
        x = point["x"]
        made = call(
            backend, "activate_backward", x=x, y=forward(backend, x), dy=_SEED, dx=Output(x.shape), **options
        )
        return {"x": made["dx"]}

    name = f"activate_backward {activation}"
    return Pair(name, "activate_backward", {"x": _X}, lambda b, p: inner(_SEED, forward(b, p["x"])), gradient)


def _row_pair(kernel: str) -> Pair:
    def forward(backend: Backend, x: Values) -> Values:
        return call(backend, kernel, x=x, y=Output(x.shape))["y"]

    def gradient(backend: Backend, point: Point) -> Point:
        y = forward(backend, point["x"])
        return {"x": call(backend, f"{kernel}_backward", y=y, dy=_SEED, dx=Output(y.shape))["dx"]}

    name = f"{kernel}_backward"
    return Pair(name, name, {"x": _X}, lambda b, p: inner(_SEED, forward(b, p["x"])), gradient)


def _linear_pair(activation: str) -> Pair:
    options = {"activation": activation, "alpha": _ALPHA}

    def forward(backend: Backend, point: Point) -> Values:
        return call(backend, "linear", **point, y=Output((9, 5)), **options)["y"]

    def gradient(backend: Backend, point: Point) -> Point:
        x, w, y = point["x"], point["w"], forward(backend, point)
        dz = None if activation == "identity" else Output((9, 5))
        results = {"dz": dz, "dx": Output((9, 7)), "dw": Output((7, 5)), "db": Output((5,))}
        made = call(backend, "linear_backward", x=x, y=y, dy=_WIDE_SEED, w=w, **results, **options)
        return {"x": made["dx"], "w": made["dw"], "b": made["db"]}

    name = f"linear_backward {activation}"
    point = {"x": _X, "w": _W, "b": _B}
    return Pair(name, "linear_backward", point, lambda b, p: inner(_WIDE_SEED, forward(b, p)), gradient)


def _norm_gradient(backend: Backend, kernel: str, point: Point, made: dict[str, Values]) -> Point:
    results = {"dx": Output((9, 7)), "dgamma": Output((7,)), "dbeta": Output((7,))}
    inputs = {
        "x": point["x"],
        "gamma": point["gamma"],
        "mean": made["mean"],
        "rstd": made["rstd"],
        "dy": _SEED,
    }
    out = call(backend, kernel, **inputs, **results)
    return {"x": out["dx"], "gamma": out["dgamma"], "beta": out["dbeta"]}


def _batch_norm_pair() -> Pair:
    def forward(backend: Backend, point: Point) -> dict[str, Values]:
        running = {"running_mean": InPlace(np.zeros(7)), "running_var": InPlace(np.ones(7))}
        results = {"y": Output((9, 7)), "mean": Output((7,)), "rstd": Output((7,))}
        return call(backend, "batch_norm", **point, **running, **results, momentum=0.1, eps=1e-3)

    def gradient(backend: Backend, point: Point) -> Point:
        return _norm_gradient(backend, "batch_norm_backward", point, forward(backend, point))

    point = {"x": _X, "gamma": _SCALE, "beta": _SHIFT}
    name = "batch_norm_backward"
    return Pair(name, name, point, lambda b, p: inner(_SEED, forward(b, p)["y"]), gradient)


def _layer_norm_pair() -> Pair:
    def forward(backend: Backend, point: Point) -> dict[str, Values]:
        results = {"y": Output((9, 7)), "mean": Output((9,)), "rstd": Output((9,))}
        return call(backend, "layer_norm", **point, **results, eps=1e-3)

    def gradient(backend: Backend, point: Point) -> Point:
        return _norm_gradient(backend, "layer_norm_backward", point, forward(backend, point))

    point = {"x": _X, "gamma": _SCALE, "beta": _SHIFT}
    name = "layer_norm_backward"
    return Pair(name, name, point, lambda b, p: inner(_SEED, forward(b, p)["y"]), gradient)


def _dropout_pair() -> Pair:
    def apply(backend: Backend, x: Values) -> Values:
        options = {"seed": 1, "stream": 2, "threshold": 40000}
        return call(backend, "dropout", x=x, step=np.asarray(3), y=Output(x.shape), **options)["y"]

    return Pair(
        "dropout",
        "dropout",
        {"x": _X},
        lambda b, p: inner(_SEED, apply(b, p["x"])),
        lambda b, _: {"x": apply(b, _SEED)},
    )


def _loss_pair(kernel: str, names: tuple[str, str], **options: object) -> Pair:
    value, slope = names

    def evaluate(backend: Backend, x: Values) -> dict[str, Values]:
        truth = {k: v for k, v in options.items() if k in ("labels", "targets", "weight")}
        rest = {k: v for k, v in options.items() if k not in truth}
        results = {"loss": Output(()), slope: Output(x.shape)}
        return call(backend, kernel, **{value: x}, **truth, **results, **rest)

    smoothing = f" smoothing {options['smoothing']}" if "smoothing" in options else ""
    return Pair(
        f"{kernel}{smoothing}{' weighted' if options['weight'] is not None else ''}",
        kernel,
        {value: _X},
        lambda b, p: float(evaluate(b, p[value])["loss"]),
        lambda b, p: {value: evaluate(b, p[value])[slope]},
    )


def _penalty_pair() -> Pair:
    def evaluate(backend: Backend, w: Values) -> dict[str, Values]:
        zero = {"dw": InPlace(np.zeros(w.shape)), "loss": InPlace(np.zeros(()))}
        return call(backend, "l2_penalty", w=w, **zero, scale=0.7)

    return Pair(
        "l2_penalty",
        "l2_penalty",
        {"w": _W},
        lambda b, p: float(evaluate(b, p["w"])["loss"]),
        lambda b, p: {"w": evaluate(b, p["w"])["dw"]},
    )

"""Cases of `nnx.interface.losses`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late
from nnx.conformance.cases.activations import extreme_rows, forward, log_softmax_terms, spread_terms
from nnx.conformance.tolerance import Bound, Context, Values, elementwise, reduction

DELTA = 0.75

Terms = Callable[[Context], Values]


def _weights(context: Context) -> Values:
    rows = context["targets" if "targets" in context.given else "labels"].shape[0]
    return np.abs(context.given.get("weight", np.ones(rows)))


def _loss_bound(size: int, divisor: int, terms: Terms) -> Bound:
    """A mean over all elements: `size` of them are added up, each with its own absolute terms."""
    return reduction(size, lambda c: np.sum(_weights(c) * np.sum(terms(c), axis=1)) / divisor)


def _optional(weight: Values | None) -> Input | None:
    return None if weight is None else Input(weight)


def _gradient(wanted: bool, shape: tuple[int, ...], bound: Bound) -> Output | None:
    return Output(shape, bound) if wanted else None


def _target_distribution(context: Context, smoothing: float) -> Values:
    classes = context["logits"].shape[1]
    labelled = "labels" in context.given
    targets = np.eye(classes)[context["labels"]] if labelled else context["targets"]
    return (1 - smoothing) * targets + smoothing / classes


def _cross_entropy(
    logits: Values, truth: dict[str, Input], weight: Values | None, smoothing: float, wants_gradient: bool
) -> Arguments:
    n, classes = logits.shape

    def loss_terms(context: Context) -> Values:
        q = _target_distribution(context, smoothing)
        return q * np.where(q > 0, log_softmax_terms(context["logits"]), 0.0)

    def gradient_terms(context: Context) -> Values:
        p, distance, spread = spread_terms(context["logits"])
        q = _target_distribution(context, smoothing)
        return _weights(context)[:, None] * (p * (distance + spread) + q) / n

    return {
        "logits": Input(logits),
        **truth,
        "weight": _optional(weight),
        "loss": Output((), _loss_bound(n + classes, n, loss_terms)),
        "dlogits": _gradient(wants_gradient, logits.shape, reduction(classes, gradient_terms)),
        "smoothing": smoothing,
    }


def _softmax_cross_entropy(draw: Draw, logits: Values, weight: Values | None, s: float, grad: bool) -> Arguments:
    labels = draw.integers(logits.shape[1], logits.shape[0])
    return _cross_entropy(logits, {"labels": Input(labels, "int64")}, weight, s, grad)


def _soft_cross_entropy(draw: Draw, logits: Values, weight: Values | None, s: float, grad: bool) -> Arguments:
    targets = draw.uniform(*logits.shape)
    targets[::2] = np.eye(logits.shape[1])[draw.integers(logits.shape[1], len(targets[::2]))]
    targets = draw.round(targets / np.sum(targets, axis=1, keepdims=True))
    return _cross_entropy(logits, {"targets": Input(targets)}, weight, s, grad)


def _elementwise_loss(
    names: tuple[str, str, str],
    values: tuple[Values, Values, Values | None],
    wants_gradient: bool,
    loss_terms: Terms,
    slope_bound: Bound,
) -> Arguments:
    output, slope, _ = names
    outputs, targets, weight = values
    size = outputs.size
    return {
        output: Input(outputs),
        "targets": Input(targets),
        "weight": _optional(weight),
        "loss": Output((), _loss_bound(size, size, loss_terms)),
        slope: _gradient(wants_gradient, outputs.shape, slope_bound),
    }


def _sigmoid_cross_entropy(draw: Draw, logits: Values, weight: Values | None, grad: bool) -> Arguments:
    targets = draw.uniform(*logits.shape)
    targets[::2] = np.round(targets[::2])

    def terms(context: Context) -> Values:
        z, t = context["logits"], context["targets"]
        return np.maximum(z, 0) + np.abs(z * t) + np.log1p(np.exp(-np.abs(z)))

    def slope(context: Context) -> Values:
        size = forward(context["logits"], "sigmoid", 0.0) + context["targets"]
        return size * _weights(context)[:, None] / logits.size

    return _elementwise_loss(("logits", "dlogits", ""), (logits, targets, weight), grad, terms, elementwise(slope))


def _residual_loss(terms: Terms, draw: Draw, outputs: Values, weight: Values | None, grad: bool) -> Arguments:
    """Losses of e = outputs - targets: the subtraction is rounded once, and nothing else cancels."""
    targets = draw.normal(*outputs.shape)
    targets[:, -1] = outputs[:, -1]  # ties: e = 0 exactly
    return _elementwise_loss(("outputs", "doutputs", ""), (outputs, targets, weight), grad, terms, elementwise())


def _residual(context: Context) -> Values:
    return np.abs(context["outputs"] - context["targets"])


def _huber(draw: Draw, outputs: Values, weight: Values | None, grad: bool) -> Arguments:
    def terms(context: Context) -> Values:
        e = _residual(context)
        return np.where(e <= DELTA, 0.5 * e * e, DELTA * (e + 0.5 * DELTA))

    arguments = dict(_residual_loss(terms, draw, outputs, weight, grad))
    targets = np.array(arguments["targets"].values)
    targets[0, 0] = outputs[0, 0] - DELTA  # on the seam of the two pieces, up to rounding
    return {**arguments, "targets": Input(draw.round(targets)), "delta": DELTA}


_ELEMENTWISE: dict[str, Callable[..., Arguments]] = {
    "sigmoid_cross_entropy": _sigmoid_cross_entropy,
    "mean_squared_error": partial(_residual_loss, lambda c: _residual(c) ** 2),
    "mean_absolute_error": partial(_residual_loss, _residual),
    "huber": _huber,
}
_CATEGORICAL: dict[str, Callable[..., Arguments]] = {
    "softmax_cross_entropy": _softmax_cross_entropy,
    "soft_cross_entropy": _soft_cross_entropy,
}
_SHAPES = ((1, 1), (1, 33), (31, 1), (32, 10), (33, 31), (257, 5), (3, 257), (2, 2050), (1000, 513))
_VARIANTS = ((None, True), ("weighted", True), (None, False), ("weighted", False))


def _build(
    maker: Callable[..., Arguments],
    shape: tuple[int, int],
    weighted: bool,
    extra: tuple[object, ...],
    draw: Draw,
) -> Arguments:
    weight = draw.uniform(shape[0], high=3.0) if weighted else None
    if weight is not None:
        weight[::4] = 0.0
    return maker(draw, draw.normal(*shape, spread=2.0), weight, *extra)


def _shape_cases(kernel: str, maker: Callable[..., Arguments], options: tuple[object, ...]) -> list[Case]:
    """All shapes as they are; at one of them, all combinations of weights, gradient and options."""
    cases = [
        Case(kernel, str(s), partial(_build, maker, s, False, (*options[:1], True)), views=s[0] < 1000)
        for s in _SHAPES
    ]
    for weighted, gradient in _VARIANTS:
        for option in options or ((),):
            extra = (gradient,) if option == () else (option, gradient)
            words = [f" {word}" for word in (weighted, "" if gradient else "no gradient") if word]
            label = "(33, 31)" + "".join(words) + (f" smoothing {option}" if option != () else "")
            if label != "(33, 31)":
                cases.append(Case(kernel, label, partial(_build, maker, (33, 31), bool(weighted), extra)))
    return cases


def _masked(draw: Draw, maker: Callable[..., Arguments]) -> Arguments:
    """Classes ruled out by a logit of minus infinity: probability 0, and no part of the loss where q is 0."""
    arguments = dict(maker(draw, draw.normal(9, 12), None, 0.0, True))
    logits = np.array(arguments["logits"].values)
    if "labels" in arguments:
        allowed = np.arange(12) == arguments["labels"].values[:, None]
    else:
        allowed = arguments["targets"].values > 0
    logits[~allowed & (np.arange(12) % 3 == 0)] = -math.inf
    return {**arguments, "logits": Input(logits)}


def _extreme(draw: Draw, maker: Callable[..., Arguments], *extra: object) -> Arguments:
    return maker(draw, extreme_rows(draw), None, *extra)


def _nan_rows(draw: Draw, maker: Callable[..., Arguments], extra: tuple[object, ...]) -> Arguments:
    logits = draw.normal(9, 12)
    logits[4, 3] = math.nan
    return maker(draw, logits, None, *extra)


CASES: tuple[Case, ...] = (
    *(case for name, maker in _CATEGORICAL.items() for case in _shape_cases(name, maker, (0.0, 0.1))),
    *(case for name, maker in _ELEMENTWISE.items() for case in _shape_cases(name, maker, ())),
    *(
        Case(
            name,
            f"extreme logits smoothing {s}",
            late(_extreme, maker, s, True),
        )
        for name, maker in _CATEGORICAL.items()
        for s in (0.0, 0.1)
    ),
    Case(
        "sigmoid_cross_entropy",
        "extreme logits",
        late(_extreme, _sigmoid_cross_entropy, True),
    ),
    *(Case(name, "masked classes", partial(_masked, maker=maker)) for name, maker in _CATEGORICAL.items()),
    *(Case(name, "NaN", partial(_nan_rows, maker=m, extra=(0.1, True))) for name, m in _CATEGORICAL.items()),
    *(Case(name, "NaN", partial(_nan_rows, maker=m, extra=(True,))) for name, m in _ELEMENTWISE.items()),
)

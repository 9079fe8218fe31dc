"""Kernels as formulas that a compiler of PyTorch turns into one loop or a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.kernels import cases
from benchmarks.kernels.work import ACTIVATIONS

Tensors = dict[str, Any]
Formula = Callable[[Tensors, Any], list[Any]]
"""Inputs and the number of the call, from 1, to results; updates change their inputs in place too."""


def activation(name: str, x: Any) -> Any:
    """Apply an activation."""
    if name in ("tanh", "sigmoid"):
        return getattr(torch, name)(x)
    options = {"leaky_relu": (cases.ALPHA["leaky_relu"],)}.get(name, ())
    return getattr(functional, name)(x, *options)


def _forward(name: str) -> Formula:
    return lambda held, _: [activation(name, held["x"])]


def _backward(name: str) -> Formula:
    def formula(held: Tensors, _: Any) -> list[Any]:
        if name in ("tanh", "sigmoid", "relu"):  # like everyone's backward pass, from the output y
            y, dy = held["y"], held["dy"]
            slopes = {"tanh": lambda: 1 - y * y, "sigmoid": lambda: y * (1 - y), "relu": lambda: y > 0}
            return [dy * slopes[name]()]
        _, pullback = torch.func.vjp(lambda x: activation(name, x), held["x"])
        return list(pullback(held["dy"]))

    return formula


def _linear(held: Tensors, _: Any) -> list[Any]:
    return [torch.relu(torch.addmm(held["b"], held["x"], held["w"]))]


def _linear_backward(held: Tensors, _: Any) -> list[Any]:
    dz = held["dy"] * (held["y"] > 0)
    return [dz @ held["w"].T, held["x"].T @ dz, dz.sum(0)]


def _softmax_cross_entropy(held: Tensors, _: Any) -> list[Any]:
    loss_of = torch.func.grad_and_value(functional.cross_entropy)
    slope, loss = loss_of(held["logits"], held["labels"])
    return [loss, slope]


def _batch_norm(held: Tensors, _: Any) -> list[Any]:
    x, dy, rows = held["x"], held["dy"], held["x"].shape[0]
    mean, centred = x.mean(0), x - x.mean(0)
    variance = (centred * centred).mean(0)
    rstd = torch.rsqrt(variance + cases.NORM_EPS)
    h = centred * rstd
    held["running_mean"].lerp_(mean, cases.NORM_MOMENTUM)
    held["running_var"].lerp_(variance * (rows / (rows - 1)), cases.NORM_MOMENTUM)
    y = h * held["gamma"] + held["beta"]
    dbeta, dgamma = dy.sum(0), (dy * h).sum(0)
    dx = held["gamma"] * rstd * (dy - dbeta / rows - h * (dgamma / rows))
    return [y, dx, dgamma, dbeta]


def _dropout(held: Tensors, _: Any) -> list[Any]:
    keep = cases.KEEP / 65536
    kept = torch.rand_like(held["x"]) < keep
    return [torch.where(kept, held[name] / keep, 0) for name in ("x", "dy")]


def _sgd(held: Tensors, _: Any) -> list[Any]:
    held["p"].sub_(cases.RATE * held["g"])
    return []


def _momentum(held: Tensors, _: Any) -> list[Any]:
    velocity = held["moment0"].mul_(cases.MU).add_(held["g"])
    held["p"].sub_(cases.RATE * velocity)
    return []


def _nesterov(held: Tensors, _: Any) -> list[Any]:
    velocity = held["moment0"].mul_(cases.MU).add_(held["g"])
    held["p"].sub_(cases.RATE * (held["g"] + cases.MU * velocity))
    return []


def _rmsprop(held: Tensors, _: Any) -> list[Any]:
    g, squares = held["g"], held["moment0"]
    squares.mul_(cases.RHO).add_((1 - cases.RHO) * g * g)
    held["p"].sub_(cases.RATE * g / (squares.sqrt() + cases.EPS))
    return []


def _adam(held: Tensors, t: Any) -> list[Any]:
    g, m, v = held["g"], held["moment0"], held["moment1"]
    m.lerp_(g, 1 - cases.BETA1)
    v.mul_(cases.BETA2).add_((1 - cases.BETA2) * g * g)
    root = (v / (1 - cases.BETA2**t)).sqrt() + cases.EPS
    held["p"].sub_(cases.RATE * (m / (1 - cases.BETA1**t)) / root)
    return []


def _adamw(held: Tensors, t: Any) -> list[Any]:
    held["p"].mul_(1 - cases.RATE * cases.DECAY)
    return _adam(held, t)


FORMULAS: dict[str, Formula] = {
    **{name: _forward(name) for name in ACTIVATIONS},
    **{f"{name}_backward": _backward(name) for name in ACTIVATIONS},
    "linear": _linear,
    "linear_backward": _linear_backward,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
    "take_rows": lambda held, _: [held["source"][held["order"]]],
}
"""Kernel -> its formula."""

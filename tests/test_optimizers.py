"""Every optimizer, driven by one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.peers import torch_or_skip
from support.problems import regression

import nnx
from nnx import SGD, Adam, AdamW, Backend, Momentum, Nesterov, RMSprop
from nnx.ops import Ops
from nnx.optimizers import OPTIMIZERS, Optimizer
from nnx.parameters import Parameter, Store

RATE = 0.05


@dataclass(frozen=True)
class Case:
    """An optimizer, its rule by hand, and PyTorch's of the same name."""

    optimizer: Optimizer
    rule: Callable[..., NDArray[Any]]
    torch: Callable[[Any, Any], Any] | None


def sgd(p, g, _moments, _t, _decayed):
    return p - RATE * g


def momentum(p, g, moments, _t, _decayed):
    v = moments["v"] = 0.8 * moments.get("v", 0) + g
    return p - RATE * v


def nesterov(p, g, moments, _t, _decayed):
    v = moments["v"] = 0.8 * moments.get("v", 0) + g
    return p - RATE * (g + 0.8 * v)


def rmsprop(p, g, moments, _t, _decayed):
    s = moments["s"] = 0.7 * moments.get("s", 0) + 0.3 * g**2
    return p - RATE * g / (np.sqrt(s) + 1e-5)


def adam(p, g, moments, t, _decayed, eps=1e-6, eps_root=0.0):
    m = moments["m"] = 0.8 * moments.get("m", 0) + 0.2 * g
    v = moments["v"] = 0.95 * moments.get("v", 0) + 0.05 * g**2
    return p - RATE * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t) + eps_root) + eps)


def adamw(p, g, moments, t, decayed):
    shrunk = np.where(decayed, p - RATE * 0.1 * p, p)
    return adam(shrunk, g, moments, t, decayed)


def adam_root(p, g, moments, t, decayed):
    return adam(p, g, moments, t, decayed, eps_root=1e-3)


BETAS = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6}
TORCH_BETAS = {"lr": RATE, "betas": (0.8, 0.95), "eps": 1e-6}
CASES = {
    "sgd": Case(SGD(RATE), sgd, lambda torch, p: torch.optim.SGD(p, RATE)),
    "momentum": Case(Momentum(RATE, mu=0.8), momentum, lambda torch, p: torch.optim.SGD(p, RATE, 0.8)),
    "nesterov": Case(
        Nesterov(RATE, mu=0.8), nesterov, lambda torch, p: torch.optim.SGD(p, RATE, 0.8, nesterov=True)
    ),
    "rmsprop": Case(
        RMSprop(RATE, rho=0.7, eps=1e-5), rmsprop, lambda torch, p: torch.optim.RMSprop(p, RATE, 0.7, 1e-5)
    ),
    "adam": Case(Adam(RATE, **BETAS), adam, lambda torch, p: torch.optim.Adam(p, **TORCH_BETAS)),
    "adam with eps_root": Case(Adam(RATE, **BETAS, eps_root=1e-3), adam_root, None),
    "adamw": Case(
        AdamW(RATE, **BETAS, weight_decay=0.1),
        adamw,
        lambda torch, p: torch.optim.AdamW(
            [{"params": p[:1], "weight_decay": 0.1}, {"params": p[1:], "weight_decay": 0}], **TORCH_BETAS
        ),
    ),
}


def test_every_optimizer_is_in_the_table() -> None:
    assert {case.optimizer.name for case in CASES.values()} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", CASES)
def test_steps_follow_the_rule_and_padding_stays_zero(backend: Backend, name: str) -> None:
    case, random = CASES[name], np.random.default_rng(8)
    ops = Ops(backend, "float64")
    weight = Parameter("0.weight", (3, 5), random.normal(size=(3, 5)), decayed=True)
    bias = Parameter("0.bias", (5,), random.normal(size=5))
    expected = {"weight": weight.initial, "bias": bias.initial}
    moments: dict[str, dict[str, Any]] = {"weight": {}, "bias": {}}
    store = Store(backend, "float64", [bias, weight], [])
    flat = [backend.zeros(tuple(store.values.shape), "float64") for _ in case.optimizer.moments]
    step, rate = backend.zeros((), "int64"), ops.asarray(RATE)
    for t in range(1, 6):
        for key, parameter in (("weight", weight), ("bias", bias)):
            gradient = random.normal(size=parameter.shape)
            parameter.grad[...] = ops.asarray(gradient)
            expected[key] = case.rule(expected[key], gradient, moments[key], t, key == "weight")
        case.optimizer.update(ops, store, flat, step, rate)
        step[...] = t
        np.testing.assert_allclose(backend.to_numpy(weight.value), expected["weight"], rtol=1e-12)
        np.testing.assert_allclose(backend.to_numpy(bias.value), expected["bias"], rtol=1e-12)
    values, used = backend.to_numpy(store.values), np.zeros(store.values.shape, bool)
    for slot in store.slots:
        used[slot.start : slot.start + int(np.prod(slot.shape))] = True
    np.testing.assert_array_equal(values[~used], 0)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.torch])
def test_training_agrees_with_torch(backend: Backend, name: str) -> None:
    torch, case, (x, y) = torch_or_skip(), CASES[name], regression()
    model = nnx.Sequential(
        [nnx.Dense(5, activation="tanh"), nnx.Dense(2)], dtype="float64", input_shape=(4,), backend=backend
    )
    model.compile("mean_squared_error", case.optimizer)
    held = {key: torch.tensor(value, requires_grad=True) for key, value in model.get_weights().items()}
    weights = [held[key] for key in ("0.weight", "1.weight")]
    biases = [held[key] for key in ("0.bias", "1.bias")]
    if name == "adamw":
        theirs = torch.optim.AdamW(
            [{"params": weights, "weight_decay": 0.1}, {"params": biases, "weight_decay": 0}], **TORCH_BETAS
        )
    else:
        theirs = case.torch(torch, [*weights, *biases])
    inputs, targets = torch.tensor(x), torch.tensor(y)
    for _ in range(6):
        theirs.zero_grad()
        outputs = torch.tanh(inputs @ weights[0] + biases[0]) @ weights[1] + biases[1]
        torch.nn.functional.mse_loss(outputs, targets).backward()
        theirs.step()
    model.fit(x, y, epochs=6, batch_size="full")
    for key, value in model.get_weights().items():
        np.testing.assert_allclose(value, held[key].detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_rate_of_zero_changes_nothing(backend: Backend, name: str) -> None:
    options = {**CASES[name].optimizer.config(), "learning_rate": 0}
    model = nnx.Sequential([nnx.Dense(2)], dtype="float64", input_shape=(4,), backend=backend)
    model.compile("mean_squared_error", type(CASES[name].optimizer)(**options))
    before = model.get_weights()
    model.fit(*regression(), epochs=2)
    for key, value in model.get_weights().items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("limit", [0.01, 1e6])
def test_clipping_bounds_the_norm_of_all_gradients_together(backend: Backend, limit: float) -> None:
    x, y = regression()
    model = nnx.Sequential([nnx.Dense(2)], dtype="float64", input_shape=(4,), backend=backend)
    model.compile("mean_squared_error", SGD(1.0, clip_norm=limit))
    before = np.concatenate([value.ravel() for value in model.get_weights().values()])
    outputs = model.predict(x)
    slope = 2 * (outputs - y) / y.size
    gradient = np.concatenate([(x.T @ slope).ravel(), slope.sum(axis=0)])
    model.fit(x, y, batch_size="full")
    after = np.concatenate([value.ravel() for value in model.get_weights().values()])
    scale = min(1, limit / np.linalg.norm(gradient))
    np.testing.assert_allclose(before - after, scale * gradient, rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_configuration_makes_an_equal_optimizer(name: str) -> None:
    optimizer = CASES[name].optimizer
    assert type(optimizer)(**optimizer.config()) == optimizer


@pytest.mark.parametrize(
    ("lowest", "same"),
    [
        (Momentum(RATE, mu=0), SGD(RATE)),
        (Nesterov(RATE, mu=0), SGD(RATE)),
        (AdamW(RATE, weight_decay=0), Adam(RATE)),
        (RMSprop(RATE, rho=0, eps=1e-300), Adam(RATE, beta1=0, beta2=0, eps=1e-300)),  # both step by the sign
    ],
    ids=["momentum", "nesterov", "adamw", "rmsprop"],
)
def test_the_lowest_values_are_taken_and_switch_their_part_off(lowest: Optimizer, same: Optimizer) -> None:
    models = [nnx.Sequential([nnx.Dense(2)], dtype="float64", input_shape=(4,)) for _ in range(2)]
    for model, optimizer in zip(models, (lowest, same), strict=True):
        model.compile("mean_squared_error", optimizer).fit(*regression(), epochs=2)
    for key, value in models[0].get_weights().items():
        np.testing.assert_allclose(value, models[1].get_weights()[key], rtol=1e-13)


def test_clipping_allocates_no_array_in_the_numpy_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = nnx.get_backend("numpy")
    g, norm = numpy.asarray(np.full(100, 3.0), "float32"), numpy.zeros((), "float32")
    numpy.clip_by_global_norm(g, norm, 30.0)
    monkeypatch.delattr(np, "zeros")
    numpy.clip_by_global_norm(g, norm, 15.0)
    monkeypatch.undo()
    assert norm == 30
    np.testing.assert_array_equal(g, 1.5)  # a second clipping starts from a sum of 0


def test_numbers_of_numpy_are_taken_like_those_of_python(backend: Backend) -> None:
    model = nnx.Sequential([nnx.Dense(2)], input_shape=(4,), backend=backend)
    model.compile("mean_squared_error", Momentum(np.float32(0.01), mu=np.float32(0.5), clip_norm=np.float32(1)))
    assert np.isfinite(model.fit(*regression())["loss"]).all()
    assert type(model.optimizer.mu) is float
    assert type(model.optimizer.clip_norm) is float

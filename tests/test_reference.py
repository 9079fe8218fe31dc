"""The reference is right: compared in float64 with SciPy and, where it is installed, PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from nnx import Backend, reference
from nnx.interface import ELEMENTWISE

XP = Backend.from_namespace(np).xp
SWEEP = np.concatenate([np.linspace(-40, 40, 4001), [0.0, 1e-300, -1e-300, 1e-8, -1e-8, 700.0, -700.0]])
ALPHA = 0.3


def activated(x: NDArray[Any], activation: str) -> NDArray[Any]:
    y = np.empty_like(x)
    reference.activate(XP, x, y, activation, ALPHA)
    return y


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="PyTorch, the oracle of this test, is not installed")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(5))


# SciPy


def test_gelu_is_x_times_the_normal_distribution_function() -> None:
    """SciPy rounds x / sqrt 2 before it takes erfc, which costs up to x^2 ulps where Phi is tiny."""
    expected = SWEEP * scipy.special.ndtr(SWEEP)
    error = np.abs(activated(SWEEP, "gelu") - expected)
    assert np.all(error <= np.finfo(float).eps * (16 + SWEEP**2) * np.abs(expected) + 1e-307)


def test_sigmoid_equals_expit() -> None:
    assert_allclose(activated(SWEEP, "sigmoid"), scipy.special.expit(SWEEP), rtol=1e-15, atol=1e-307)


def test_softplus_equals_logaddexp() -> None:
    assert_allclose(activated(SWEEP, "softplus"), np.logaddexp(0, SWEEP), rtol=1e-15, atol=1e-307)


def test_elu_is_accurate_near_zero() -> None:
    small = np.asarray([-1e-12, -1e-3, -1.0])
    assert_allclose(activated(small, "elu"), ALPHA * np.expm1(small), rtol=1e-15)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_softmax_and_log_softmax_equal_scipy(rng: np.random.Generator, scale: float) -> None:
    x = scale * rng.standard_normal((33, 17))
    y, log_y = np.empty_like(x), np.empty_like(x)
    reference.softmax(XP, x, y)
    reference.log_softmax(XP, x, log_y)
    assert_allclose(y, scipy.special.softmax(x, axis=1), rtol=1e-13, atol=1e-300)
    assert_allclose(log_y, x - scipy.special.logsumexp(x, axis=1, keepdims=True), rtol=1e-12, atol=1e-12)


def test_huber_equals_scipy(rng: np.random.Generator) -> None:
    outputs, targets = rng.standard_normal((9, 4)), rng.standard_normal((9, 4))
    loss = np.empty(())
    reference.huber(XP, outputs, targets, None, loss, None, 0.7)
    assert_allclose(loss, scipy.special.huber(0.7, outputs - targets).mean(), rtol=1e-14)


# PyTorch


def tensor(values: NDArray[Any], *, track: bool = False) -> Any:
    return torch_or_skip().tensor(values, requires_grad=track)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_activation_and_its_gradient_equal_torch(activation: str) -> None:
    torch = torch_or_skip()
    options = {"leaky_relu": {"negative_slope": ALPHA}, "elu": {"alpha": ALPHA}}.get(activation, {})
    function = getattr(torch.nn.functional, activation)
    points = SWEEP[np.abs(SWEEP) < 19]  # beyond 20 torch's softplus is x itself
    x = tensor(points, track=True)
    y = function(x, **options)
    y.sum().backward()
    dx = np.empty_like(points)
    ours = activated(points, activation)
    reference.activate_backward(XP, points, ours, np.ones_like(points), dx, activation, ALPHA)
    assert_allclose(ours, y.detach().numpy(), rtol=1e-10, atol=1e-14)
    assert_allclose(dx, x.grad.numpy(), rtol=1e-9, atol=1e-13)


def test_batch_norm_with_running_statistics_and_gradients_equals_torch(rng: np.random.Generator) -> None:
    torch = torch_or_skip()
    x, dy = rng.standard_normal((19, 6)) * 3 + 5, rng.standard_normal((19, 6))
    gamma, beta = rng.standard_normal(6), rng.standard_normal(6)
    mean, var = rng.standard_normal(6), rng.uniform(0.5, 2, 6)
    running = tensor(mean), tensor(var)
    tx, tg, tb = (tensor(values, track=True) for values in (x, gamma, beta))
    ty = torch.nn.functional.batch_norm(tx, *running, tg, tb, training=True, momentum=0.1, eps=1e-5)
    ty.backward(tensor(dy))

    y, batch_mean, rstd = np.empty_like(x), np.empty(6), np.empty(6)
    reference.batch_norm(XP, x, gamma, beta, mean, var, y, batch_mean, rstd, 0.1, 1e-5)
    dx, dgamma, dbeta = np.empty_like(x), np.empty(6), np.empty(6)
    reference.batch_norm_backward(XP, x, gamma, batch_mean, rstd, dy, dx, dgamma, dbeta)
    for ours, theirs in ((y, ty.detach()), (mean, running[0]), (var, running[1])):
        assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-13)
    for ours, theirs in ((dx, tx), (dgamma, tg), (dbeta, tb)):
        assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)

    reference.batch_norm_infer(XP, x, gamma, beta, mean, var, y, 1e-5)
    inferred = torch.nn.functional.batch_norm(tx, *running, tg, tb, training=False, eps=1e-5)
    assert_allclose(y, inferred.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_layer_norm_and_its_gradients_equal_torch(rng: np.random.Generator) -> None:
    torch = torch_or_skip()
    x, dy = rng.standard_normal((9, 14)) * 2 - 1, rng.standard_normal((9, 14))
    gamma, beta = rng.standard_normal(14), rng.standard_normal(14)
    tx, tg, tb = (tensor(values, track=True) for values in (x, gamma, beta))
    ty = torch.nn.functional.layer_norm(tx, (14,), tg, tb, 1e-5)
    ty.backward(tensor(dy))
    y, mean, rstd = np.empty_like(x), np.empty(9), np.empty(9)
    reference.layer_norm(XP, x, gamma, beta, y, mean, rstd, 1e-5)
    dx, dgamma, dbeta = np.empty_like(x), np.empty(14), np.empty(14)
    reference.layer_norm_backward(XP, x, gamma, mean, rstd, dy, dx, dgamma, dbeta)
    assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13)
    for ours, theirs in ((dx, tx), (dgamma, tg), (dbeta, tb)):
        assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_linear_and_its_gradients_equal_torch(rng: np.random.Generator, activation: str) -> None:
    torch = torch_or_skip()
    x, w, b, dy = (rng.standard_normal(shape) for shape in ((9, 5), (5, 4), (4,), (9, 4)))
    tx, tw, tb = (tensor(values, track=True) for values in (x, w, b))
    z = torch.nn.functional.linear(tx, tw.T, tb)
    ty = z if activation == "identity" else torch.tanh(z)
    ty.backward(tensor(dy))
    y, dz, dx, dw, db = np.empty((9, 4)), np.empty((9, 4)), np.empty((9, 5)), np.empty((5, 4)), np.empty(4)
    reference.linear(XP, x, w, b, y, activation, 0.0)
    reference.linear_backward(XP, x, y, dy, w, dz, dx, dw, db, activation, 0.0)
    assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-14)
    for ours, theirs in ((dx, tx), (dw, tw), (db, tb)):
        assert_allclose(ours, theirs.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_with_smoothing_equals_torch(rng: np.random.Generator, smoothing: float, soft: bool) -> None:
    torch = torch_or_skip()
    logits, labels = rng.standard_normal((9, 6)) * 3, rng.integers(0, 6, 9)
    targets = rng.dirichlet(np.ones(6), 9) if soft else labels
    tl = tensor(logits, track=True)
    expected = torch.nn.functional.cross_entropy(tl, tensor(targets), label_smoothing=smoothing)
    expected.backward()
    loss, dlogits = np.empty(()), np.empty_like(logits)
    kernel = reference.soft_cross_entropy if soft else reference.softmax_cross_entropy
    kernel(XP, logits, targets, None, loss, dlogits, smoothing)
    assert_allclose(loss, expected.item(), rtol=1e-13)
    assert_allclose(dlogits, tl.grad.numpy(), rtol=1e-10, atol=1e-15)


ELEMENTWISE_LOSSES = {
    "sigmoid_cross_entropy": ("binary_cross_entropy_with_logits", ()),
    "mean_squared_error": ("mse_loss", ()),
    "mean_absolute_error": ("l1_loss", ()),
    "huber": ("huber_loss", (0.7,)),
}


@pytest.mark.parametrize("name", ELEMENTWISE_LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_elementwise_loss_equals_torch(rng: np.random.Generator, name: str, weighted: bool) -> None:
    torch = torch_or_skip()
    theirs, extra = ELEMENTWISE_LOSSES[name]
    outputs, targets = rng.standard_normal((9, 4)) * 3, rng.uniform(0, 1, (9, 4))
    weight = rng.uniform(0, 2, 9) if weighted else None
    to = tensor(outputs, track=True)
    options = {"delta": extra[0]} if extra else {}
    per_element = getattr(torch.nn.functional, theirs)(to, tensor(targets), reduction="none", **options)
    expected = (per_element if weight is None else per_element * tensor(weight)[:, None]).mean()
    expected.backward()
    loss, slope = np.empty(()), np.empty_like(outputs)
    getattr(reference, name)(XP, outputs, targets, weight, loss, slope, *extra)
    assert_allclose(loss, expected.item(), rtol=1e-13)
    assert_allclose(slope, to.grad.numpy(), rtol=1e-11, atol=1e-16)


RATE = np.asarray(0.01)
ADAM = (RATE, 0.9, 0.999, 1e-8, 0.0)

Update = Callable[[Any, Any, list[Any], int], None]
OPTIMIZERS: dict[str, tuple[Update, dict[str, Any], int]] = {  # ours, torch's options, number of moments
    "SGD": (lambda p, g, _s, _t: reference.sgd(XP, p, g, RATE), {}, 0),
    "SGD momentum": (lambda p, g, s, _t: reference.momentum(XP, p, g, *s, RATE, 0.9), {"momentum": 0.9}, 1),
    "SGD nesterov": (
        lambda p, g, s, _t: reference.nesterov(XP, p, g, *s, RATE, 0.9),
        {"momentum": 0.9, "nesterov": True},
        1,
    ),
    "RMSprop": (
        lambda p, g, s, _t: reference.rmsprop(XP, p, g, *s, RATE, 0.95, 1e-7),
        {"alpha": 0.95, "eps": 1e-7},
        1,
    ),
    "Adam": (lambda p, g, s, t: reference.adam(XP, p, g, *s, np.asarray(t), *ADAM), {}, 2),
    "AdamW": (
        lambda p, g, s, t: reference.adamw(XP, p, g, *s, np.asarray(t), *ADAM, 0.2, len(p)),
        {"weight_decay": 0.2},
        2,
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_optimizer_steps_equal_torch(rng: np.random.Generator, name: str) -> None:
    torch = torch_or_skip()
    update, options, moments = OPTIMIZERS[name]
    p = rng.standard_normal(40)
    parameter = torch.nn.Parameter(tensor(p))
    optimizer = getattr(torch.optim, name.split()[0])([parameter], lr=0.01, **options)
    state = [np.zeros(40) for _ in range(moments)]
    for step in range(10):
        g = rng.standard_normal(40)
        parameter.grad = tensor(g)
        optimizer.step()
        update(p, g, state, step)
        assert_allclose(p, parameter.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_adamw_exempts_the_end_of_the_buffer_from_decay(rng: np.random.Generator) -> None:
    p, g = rng.standard_normal(10), rng.standard_normal(10)
    plain, decayed = p.copy(), p.copy()
    rest = (np.asarray(0), np.asarray(0.01), 0.9, 0.999, 1e-8, 0.0)
    reference.adam(XP, plain, g, np.zeros(10), np.zeros(10), *rest)
    reference.adamw(XP, decayed, g, np.zeros(10), np.zeros(10), *rest, 0.2, 4)
    assert_allclose(decayed[4:], plain[4:], rtol=0)
    assert_allclose(decayed[:4], plain[:4] - 0.01 * 0.2 * p[:4], rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e300])
def test_clipping_equals_torch_and_survives_huge_gradients(rng: np.random.Generator, scale: float) -> None:
    g = rng.standard_normal(40) * scale
    expected = np.linalg.norm(g / scale) * scale
    clipped, norm = g.copy(), np.empty(())
    reference.clip_by_global_norm(XP, clipped, norm, 0.5)
    assert_allclose(norm, expected, rtol=1e-14)
    assert_allclose(clipped, g * min(1, 0.5 / expected), rtol=1e-14)


def test_eps_root_is_inside_the_root(rng: np.random.Generator) -> None:
    p, g, start = rng.standard_normal(5), rng.standard_normal(5), np.asarray(0)
    before = p.copy()
    reference.adam(XP, p, g, np.zeros(5), np.zeros(5), start, np.asarray(0.1), 0.9, 0.999, 0.0, 1e-2)
    assert_allclose(p, before - 0.1 * g / np.sqrt(g * g + 1e-2), rtol=1e-12)

"""Kernels in PyTorch: eager, into tensors made once where the operation takes them; and compiled.

Backward passes are called as operations of their own, without the bookkeeping of autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.contenders.base import CannotExpressError, Loop
from benchmarks.kernels import cases
from benchmarks.kernels.cases import UPDATES, Case
from benchmarks.kernels.formulas import FORMULAS, activation
from benchmarks.kernels.in_torch_layers import EAGER_LAYERS

Tensors = dict[str, Any]
Prepared = tuple[Callable[[], Any], list[Any]]
aten = torch.ops.aten


def compile_options(device: str) -> dict[str, Any]:
    """Return how a function that is called again and again is best compiled."""
    if device == "cuda":
        return {"mode": "reduce-overhead"}
    return {"options": {"cpp_wrapper": True}}  # calls cost less from C++ than from Python


def eager_loop(case: Case, device: str) -> Loop:
    """Prepare a case without compilation.

    Raises:
        CannotExpressError: there is no operation of the kind.
    """
    held = _tensors(case, device)
    if case.kernel in UPDATES:
        return _loop(_optimizer(case.kernel, held), device)
    return _loop(_prepare(case.kernel, held), device)


def compiled_loop(case: Case, device: str) -> Loop:
    """Prepare a case with `torch.compile`: its formula, the results written into tensors made once.

    Raises:
        CannotExpressError: the compiler would call the same library as the eager operation does.
    """
    if case.kernel not in FORMULAS:
        raise CannotExpressError(f"the compiler leaves {case.kernel} to the library that torch calls itself")
    torch._dynamo.reset()  # the functions of former cases count as recompilations, of which few are allowed
    formula, held = FORMULAS[case.kernel], _with_derived(case.kernel, _tensors(case, device))
    count = torch.zeros((), device=device)
    copies = {name: tensor.clone() for name, tensor in held.items()}
    outs = [torch.empty_like(result) for result in formula(copies, count + 1)]

    def whole(held: Tensors, count: Any, outs: list[Any]) -> None:
        for out, result in zip(outs, formula(held, count.add_(1)), strict=True):
            out.copy_(result)

    for tensor in (*held.values(), *outs, count):
        torch._dynamo.mark_static_address(tensor)
    compiled = torch.compile(whole, fullgraph=True, dynamic=False, **compile_options(device))
    return _loop((lambda: compiled(held, count, outs), outs or [held["p"]]), device)


def _with_derived(kernel: str, held: Tensors) -> Tensors:
    """Add what a formula needs besides the inputs."""
    if kernel == "batch_norm":
        ones, zeros = held["x"].new_ones(held["x"].shape[1]), held["x"].new_zeros(held["x"].shape[1])
        vectors = {"gamma": ones, "beta": zeros, "running_mean": zeros.clone(), "running_var": ones.clone()}
        return {**held, **vectors}
    if kernel.endswith("_backward") and "w" not in held:
        return {**held, "y": activation(kernel.removesuffix("_backward"), held["x"])}
    return held


def _tensors(case: Case, device: str) -> Tensors:
    return {name: torch.from_numpy(values).to(device) for name, values in case.inputs().items()}


def _loop(prepared: Prepared, device: str) -> Loop:
    once, results = prepared

    def run(times: int) -> None:
        with torch.no_grad():
            for _ in range(times):
                once()
        if device == "cuda":
            torch.cuda.synchronize()

    return Loop(run, lambda: [result.detach().cpu().numpy().copy() for result in results])


def _prepare(kernel: str, held: Tensors) -> Prepared:
    if kernel in EAGER:
        return EAGER[kernel](held)
    name = kernel.removesuffix("_backward")
    x, alpha = held["x"], cases.ALPHA[name]
    if kernel == name:
        y = torch.empty_like(x)
        return lambda: FORWARD[name](x, y, alpha), [y]
    dy, dx = held["dy"], torch.empty_like(x)
    y = activation(name, x)
    return lambda: BACKWARD[name](dy, x, y, dx, alpha), [dx]


FORWARD: dict[str, Callable[[Any, Any, float], Any]] = {
    "relu": lambda x, y, _: torch.clamp_min(x, 0, out=y),
    "leaky_relu": lambda x, y, alpha: aten.leaky_relu.out(x, alpha, out=y),
    "elu": lambda x, y, alpha: aten.elu.out(x, alpha, out=y),
    "sigmoid": lambda x, y, _: torch.sigmoid(x, out=y),
    "tanh": lambda x, y, _: torch.tanh(x, out=y),
    "softplus": lambda x, y, _: aten.softplus.out(x, out=y),
    "gelu": lambda x, y, _: aten.gelu.out(x, out=y),
    "silu": lambda x, y, _: aten.silu.out(x, out=y),
}
"""f(x) into y."""

BACKWARD: dict[str, Callable[[Any, Any, Any, Any, float], Any]] = {
    "relu": lambda dy, _x, y, dx, _: aten.threshold_backward.grad_input(dy, y, 0, grad_input=dx),
    "leaky_relu": lambda dy, x, _y, dx, a: aten.leaky_relu_backward.grad_input(dy, x, a, False, grad_input=dx),
    "elu": lambda dy, x, _y, dx, a: aten.elu_backward.grad_input(dy, a, 1, 1, False, x, grad_input=dx),
    "sigmoid": lambda dy, _x, y, dx, _: aten.sigmoid_backward.grad_input(dy, y, grad_input=dx),
    "tanh": lambda dy, _x, y, dx, _: aten.tanh_backward.grad_input(dy, y, grad_input=dx),
    "softplus": lambda dy, x, _y, dx, _: aten.softplus_backward.grad_input(dy, x, 1, 20, grad_input=dx),
    "gelu": lambda dy, x, _y, dx, _: aten.gelu_backward.grad_input(dy, x, grad_input=dx),
    "silu": lambda dy, x, _y, dx, _: aten.silu_backward.grad_input(dy, x, grad_input=dx),
}
"""dy f'(x) into dx."""


def _matmul(transpose_a: bool, transpose_b: bool) -> Callable[[Tensors], Prepared]:
    def make(held: Tensors) -> Prepared:
        a, b = held["a"].T if transpose_a else held["a"], held["b"].T if transpose_b else held["b"]
        out = a.new_empty((a.shape[0], b.shape[1]))
        return lambda: torch.mm(a, b, out=out), [out]

    return make


def _linear(held: Tensors) -> Prepared:
    y = held["x"].new_empty((held["x"].shape[0], held["w"].shape[1]))

    def once() -> None:
        torch.addmm(held["b"], held["x"], held["w"], out=y)
        y.relu_()

    return once, [y]


def _linear_backward(held: Tensors) -> Prepared:
    x, w, y, dy = held["x"], held["w"], held["y"], held["dy"]
    dz, dx, dw, db = (torch.empty_like(like) for like in (y, x, w, w[0]))

    def once() -> None:
        aten.threshold_backward.grad_input(dy, y, 0, grad_input=dz)
        torch.mm(dz, w.T, out=dx)
        torch.mm(x.T, dz, out=dw)
        torch.sum(dz, 0, out=db)

    return once, [dx, dw, db]


def _softmax_cross_entropy(held: Tensors) -> Prepared:
    logits, labels, aten = held["logits"], held["labels"], torch.ops.aten
    loss, total, one = (logits.new_full((), value) for value in (0.0, 0.0, 1.0))
    logs, picked, slope = (torch.empty_like(logits) for _ in range(3))
    mean, nowhere = 1, -100  # how terms are reduced, and the label that is left out

    def once() -> None:
        aten._log_softmax.out(logits, 1, False, out=logs)
        aten.nll_loss_forward.output(logs, labels, None, mean, nowhere, output=loss, total_weight=total)
        aten.nll_loss_backward.grad_input(one, logs, labels, None, mean, nowhere, total, grad_input=picked.zero_())
        aten._log_softmax_backward_data.out(picked, logs, 1, logits.dtype, out=slope)

    return once, [loss, slope]


def _batch_norm(held: Tensors) -> Prepared:
    x, dy = held["x"], held["dy"]
    ones, zeros = x.new_ones(x.shape[1]), x.new_zeros(x.shape[1])
    gamma, running = ones.clone(), (zeros.clone(), ones.clone())
    results: list[Any] = [x.new_empty(()) for _ in range(4)]

    def once() -> None:
        mean_and_var = (*running, True, cases.NORM_MOMENTUM, cases.NORM_EPS)
        y, *seen = aten.native_batch_norm(x, gamma, zeros, *mean_and_var)
        backward = aten.native_batch_norm_backward(
            dy, x, gamma, *running, *seen, True, cases.NORM_EPS, [True, True, True]
        )
        for result, value in zip(results, (y, *backward), strict=True):
            result.data = value

    return once, results


def _dropout(held: Tensors) -> Prepared:
    x, dy = held["x"], held["dy"]
    results: list[Any] = [torch.empty_like(x), torch.empty_like(x)]
    share = 1 - cases.KEEP / 65536

    def once() -> None:
        results[0].data, mask = aten.native_dropout(x, share, True)
        results[1].data = aten.native_dropout_backward(dy, mask, 1 / (1 - share))

    return once, results


def _take_rows(held: Tensors) -> Prepared:
    source, order = held["source"], held["order"]
    out = source.new_empty((order.shape[0], source.shape[1]))
    return lambda: torch.index_select(source, 0, order, out=out), [out]


def _optimizer(name: str, held: Tensors) -> Prepared:
    """Return a step of PyTorch's optimizer, fused where it can be."""
    p = held["p"].requires_grad_()
    p.grad, adam = held["g"], {"lr": cases.RATE, "betas": (cases.BETA1, cases.BETA2), "eps": cases.EPS}
    optim = torch.optim
    made = {
        "sgd": lambda: optim.SGD([p], cases.RATE, fused=True),
        "momentum": lambda: optim.SGD([p], cases.RATE, momentum=cases.MU, fused=True),
        "nesterov": lambda: optim.SGD([p], cases.RATE, momentum=cases.MU, nesterov=True, fused=True),
        "rmsprop": lambda: optim.RMSprop([p], cases.RATE, alpha=cases.RHO, eps=cases.EPS),
        "adam": lambda: optim.Adam([p], **adam, fused=True),
        "adamw": lambda: optim.AdamW([p], **adam, weight_decay=cases.DECAY, fused=True),
    }[name]()
    _seed_moments(name, made, held)
    return made.step, [p]


def _seed_moments(name: str, optimizer: Any, held: Tensors) -> None:
    names = {1: ("momentum_buffer",), 2: ("exp_avg", "exp_avg_sq")}.get(UPDATES[name], ())
    names = ("square_avg",) if name == "rmsprop" else names
    state = optimizer.state[held["p"]]
    for index, key in enumerate(names):
        state[key] = held[f"moment{index}"]
    if UPDATES[name] == 2 or name == "rmsprop":
        state["step"] = torch.zeros((), device=held["p"].device if UPDATES[name] == 2 else "cpu")


EAGER: dict[str, Callable[[Tensors], Prepared]] = {
    "matmul": _matmul(False, False),
    "matmul_a_transposed": _matmul(True, False),
    "matmul_b_transposed": _matmul(False, True),
    "linear": _linear,
    "linear_backward": _linear_backward,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "take_rows": _take_rows,
    **EAGER_LAYERS,
}
"""Kernel -> what prepares it on its inputs; activations and updates have tables of their own."""

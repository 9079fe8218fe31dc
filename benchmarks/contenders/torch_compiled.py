"""PyTorch with the whole step, gradients and update included, in one graph of `torch.compile`.

One flat tensor of parameters and explicit arguments, because every tensor of a module that a compiled function
reaches costs a guard per call: a step of 2-16-16-1 took 42 us this way, 130 us through `functional_call`, 235 us
with a compiled forward pass and the fused optimizer, on the same core.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.contenders.base import Loop, Trainer
from benchmarks.contenders.torch_eager import BatchedTrainer, Eager
from benchmarks.kernels.cases import Case
from benchmarks.kernels.in_torch import compile_options, compiled_loop
from benchmarks.workloads import Data, Workload


class Perceptron:
    """The network as a function of its parts: W and b or (gamma, beta) per hidden layer, W and b at the end."""

    def __init__(self, workload: Workload) -> None:
        """Lay out the parts."""
        self.workload = workload
        initial: list[NDArray[Any]] = []
        for weight in workload.initial_weights():
            units = weight.shape[1]
            normed = workload.batch_norm and units != workload.sizes[-1]
            initial += [weight, *([np.ones(units)] if normed else []), np.zeros(units)]
        self.shapes: list[tuple[int, ...]] = [part.shape for part in initial]
        self.initial = np.concatenate([part.ravel() for part in initial]).astype(np.float32)

    def split(self, flat: Any) -> list[Any]:
        """Return views of the flat parameters."""
        counts = [math.prod(shape) for shape in self.shapes]
        pieces = zip(flat.split(counts), self.shapes, strict=True)
        return [piece.view(shape) for piece, shape in pieces]

    def loss(self, parts: list[Any], x: Any, y: Any) -> tuple[Any, list[Any]]:
        """Return the loss of a batch, and (mean, variance) of what each normalisation saw."""
        workload, rest, statistics, h = self.workload, list(parts), [], x
        for _ in workload.sizes[1:-1]:
            z = h @ rest.pop(0)
            if workload.batch_norm:
                statistics += [z.mean(0), z.var(0)]
                z = functional.batch_norm(z, None, None, rest.pop(0), rest.pop(0), training=True)
            else:
                z = z + rest.pop(0)
            h = torch.tanh(z) if workload.activation == "tanh" else torch.relu(z)
            h = functional.dropout(h, workload.dropout) if workload.dropout else h
        outputs = torch.addmm(rest[1], h, rest[0])
        value = _basic_loss(workload)(outputs, y)
        if workload.l2:
            matrices = [part for part in parts if part.ndim == 2]
            value = value + workload.l2 / (2 * x.shape[0]) * sum(part.square().sum() for part in matrices)
        return value, statistics


def _basic_loss(workload: Workload) -> Any:
    return functional.binary_cross_entropy_with_logits if workload.binary else functional.cross_entropy


class CompiledTrainer(BatchedTrainer):
    """One call of compiled code per step."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool, device: str) -> None:
        """Compile on the first step; on a GPU into CUDA graphs."""
        super().__init__(workload, data, shuffle, device)
        self.network = Perceptron(workload)
        flat = torch.from_numpy(self.network.initial).to(device)
        moments = [torch.zeros_like(flat) for _ in range(2 if workload.optimizer == "adam" else 0)]
        running = [
            fill
            for units in workload.sizes[1:-1]
            if workload.batch_norm
            for fill in (torch.zeros(units, device=device), torch.ones(units, device=device))
        ]
        self.state = (flat, moments, running, torch.zeros((), device=device))
        for held in (flat, *moments, *running, self.state[-1]):
            torch._dynamo.mark_static_address(held)  # CUDA graphs then change them in place, without copies
        torch._dynamo.reset()  # the steps of former workloads count as recompilations, of which few are allowed
        self._compiled = torch.compile(self._whole_step, fullgraph=True, dynamic=False, **compile_options(device))

    def step(self, x: Any, y: Any) -> Any:
        """See `BatchedTrainer.step`."""
        with torch.no_grad():
            return self._compiled(*self.state, x, y)

    def _whole_step(self, flat: Any, moments: list[Any], running: list[Any], count: Any, x: Any, y: Any) -> Any:
        derive = torch.func.grad_and_value(self.network.loss, has_aux=True)
        gradients, (loss, statistics) = derive(self.network.split(flat), x, y)
        gradient = torch.cat([part.reshape(-1) for part in gradients])
        for held, seen in zip(running, statistics, strict=True):
            held.lerp_(seen, 0.1)
        if moments:
            _adam(flat, gradient, moments[0], moments[1], count.add_(1), self.workload.rate)
        else:
            flat.sub_(self.workload.rate * gradient)
        return loss


def _adam(p: Any, g: Any, m: Any, v: Any, t: Any, rate: float) -> None:
    m.lerp_(g, 0.1)
    v.mul_(0.999).addcmul_(g, g, value=0.001)
    p.sub_(rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))


class Compiled(Eager):
    """PyTorch's compiler."""

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        return CompiledTrainer(workload, data, shuffle, self.device)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        return compiled_loop(case, self.device)

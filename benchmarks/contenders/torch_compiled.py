"""PyTorch with the whole step, gradients and update included, in one graph of `torch.compile`.

One flat tensor of parameters and explicit arguments, because every tensor of a module that a compiled function
reaches costs a guard per call: a step of 2-16-16-1 took 42 us this way, 130 us through `functional_call`, 235 us
with a compiled forward pass and the fused optimizer, on the same core.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.contenders.base import CannotExpressError, Loop, Trainer
from benchmarks.contenders.torch_eager import BatchedTrainer, Eager
from benchmarks.contenders.torch_functions import function_of
from benchmarks.kernels.cases import Case
from benchmarks.kernels.in_torch import compile_options, compiled_loop
from benchmarks.networks import Data, Sequences, Workload


class CompiledTrainer(BatchedTrainer):
    """One call of compiled code per step."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool, device: str) -> None:
        """Compile on the first step; on a GPU into CUDA graphs."""
        super().__init__(workload, data, shuffle, device)
        self.network = function_of(workload)
        flat = torch.from_numpy(self.network.initial).to(device)
        moments = [torch.zeros_like(flat) for _ in range(2 if workload.optimizer == "adam" else 0)]
        running = self.network.running(device)
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
        if isinstance(workload, Sequences):
            raise CannotExpressError("torch.compile fails at the gradient of torch.lstm and torch.gru")
        return CompiledTrainer(workload, data, shuffle, self.device)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        return compiled_loop(case, self.device)

"""PyTorch without modules and optimizers: autograd on a function, and the update on one flat tensor."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.contenders.base import CannotExpressError, Loop, Trainer
from benchmarks.contenders.torch_eager import BatchedTrainer, Eager
from benchmarks.contenders.torch_functions import function_of
from benchmarks.kernels.cases import Case
from benchmarks.networks import Data, Workload


class FunctionalTrainer(BatchedTrainer):
    """The parts are views of the flat parameters, so that one update moves them all."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool, device: str) -> None:
        """Lay out parameters and moments."""
        super().__init__(workload, data, shuffle, device)
        self.network = function_of(workload)
        self.flat = torch.from_numpy(self.network.initial).to(device)
        self.parts = [part.detach().requires_grad_() for part in self.network.split(self.flat)]
        self.running = self.network.running(device)
        self.moments = [torch.zeros_like(self.flat) for _ in range(2 if workload.optimizer == "adam" else 0)]
        self.count = 0

    def step(self, x: Any, y: Any) -> Any:
        """See `BatchedTrainer.step`."""
        loss, statistics = self.network.loss(self.parts, x, y)
        gradients = torch.autograd.grad(loss, self.parts)
        with torch.no_grad():
            gradient = torch.cat([part.reshape(-1) for part in gradients])
            for held, seen in zip(self.running, statistics, strict=True):
                held.lerp_(seen, 0.1)
            self._update(gradient)
        return loss.detach()

    def _update(self, g: Any) -> None:
        if not self.moments:
            self.flat.sub_(g, alpha=self.workload.rate)
            return
        self.count += 1
        m, v = self.moments
        m.lerp_(g, 0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        root = (v / (1 - 0.999**self.count)).sqrt_().add_(1e-8)
        self.flat.addcdiv_(m, root, value=-self.workload.rate / (1 - 0.9**self.count))


class Functional(Eager):
    """PyTorch's operations and autograd alone."""

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        return FunctionalTrainer(workload, data, shuffle, self.device)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        raise CannotExpressError(f"{case.name} alone is the same as that of torch")

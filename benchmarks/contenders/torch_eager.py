"""PyTorch as its users write it: modules, autograd, the fused optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.contenders.base import Loop, Trainer
from benchmarks.contenders.torch_modules import build, loss_function
from benchmarks.kernels.cases import Case
from benchmarks.kernels.in_torch import eager_loop
from benchmarks.networks import Data, Workload
from benchmarks.workloads import Orders


class BatchedTrainer(Trainer):
    """The loop over shuffled batches, with the data on the device and the loss read once per epoch."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool, device: str) -> None:
        """Move the data to the device."""
        self.workload, self.device = workload, device
        self.x, self.y = torch.from_numpy(data.x).to(device), torch.from_numpy(data.y).to(device)
        self.rows = min(workload.batch, len(data.x))
        self.full = self.rows == len(data.x)
        self.orders = Orders(len(data.x), shuffle and not self.full)

    def train(self, epochs: int) -> float:
        """See `Trainer.train`."""
        total = self.x.new_zeros(())
        for _ in range(epochs):
            total.zero_()
            for x, y in [(self.x, self.y)] if self.full else self._batches():
                total += self.step(x, y)
        return float(total) * self.rows / len(self.x)  # reading it waits for the device

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        order = torch.from_numpy(self.orders.draw()).to(self.device)
        for rows in order.split(self.rows):
            yield self.x[rows], self.y[rows]

    def step(self, x: Any, y: Any) -> Any:
        """Train on one batch; return its loss, detached."""
        raise NotImplementedError(f"{type(self).__name__} must supply step")


class EagerTrainer(BatchedTrainer):
    """The step of the tutorials."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool, device: str) -> None:
        """Make the module and its optimizer."""
        super().__init__(workload, data, shuffle, device)
        self.model = build(workload, device)
        self.loss = loss_function(workload, self.model)
        kind = torch.optim.Adam if workload.optimizer == "adam" else torch.optim.SGD
        self.optimizer = kind(self.model.parameters(), lr=workload.rate, fused=True)

    def step(self, x: Any, y: Any) -> Any:
        """See `BatchedTrainer.step`."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class Eager:
    """PyTorch without compilation."""

    def __init__(self, threads: int, device: str) -> None:
        """Set the threads, and float32 products without TF32, as nnx has them."""
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        self.device = device

    def versions(self) -> dict[str, str]:
        """See `Contender.versions`."""
        return {"torch": torch.__version__, "threads": str(torch.get_num_threads()), "device": self.device}

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        return EagerTrainer(workload, data, shuffle, self.device)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        return eager_loop(case, self.device)

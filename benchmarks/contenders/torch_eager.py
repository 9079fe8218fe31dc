"""PyTorch as its users write it: modules, autograd, the fused optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.contenders.base import Loop, Trainer
from benchmarks.kernels.cases import Case
from benchmarks.kernels.in_torch import eager_loop
from benchmarks.workloads import Data, Orders, Workload


def build(workload: Workload, device: str) -> Any:
    """Return the module with the workload's initial weights."""
    made: list[Any] = []
    weights = workload.initial_weights()
    for index, weight in enumerate(weights):
        hidden = index < len(weights) - 1
        layer = nn.Linear(*weight.shape, bias=not (hidden and workload.batch_norm))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            if layer.bias is not None:
                layer.bias.zero_()
        made.append(layer)
        made += _after(workload, weight.shape[1]) if hidden else []
    return nn.Sequential(*made).to(device)


def _after(workload: Workload, units: int) -> list[Any]:
    norm = [nn.BatchNorm1d(units)] if workload.batch_norm else []
    drop = [nn.Dropout(workload.dropout)] if workload.dropout else []
    return [*norm, nn.Tanh() if workload.activation == "tanh" else nn.ReLU(inplace=True), *drop]


def loss_function(workload: Workload, model: Any) -> Callable[[Any, Any], Any]:
    """Return the loss of a batch, L2 penalty included."""
    functional = nn.functional
    basic = functional.binary_cross_entropy_with_logits if workload.binary else functional.cross_entropy
    matrices = [layer.weight for layer in model if isinstance(layer, nn.Linear)]

    def loss(x: Any, y: Any) -> Any:
        value = basic(model(x), y)
        if workload.l2:
            value = value + workload.l2 / (2 * x.shape[0]) * sum(weight.square().sum() for weight in matrices)
        return value

    return loss


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

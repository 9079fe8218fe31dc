"""JAX at its best: a whole epoch in one call, batches by `lax.scan`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contenders import jax_network
from benchmarks.contenders.base import Loop
from benchmarks.contenders.jax_step import JitStep, StepTrainer
from benchmarks.kernels.cases import Case
from benchmarks.kernels.in_jax import loop
from benchmarks.networks import Data, Workload


class ScanTrainer(StepTrainer):
    """One call per epoch; on a full batch, one call for all epochs of a repetition."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool) -> None:
        """Move everything to the device."""
        super().__init__(workload, data, shuffle)
        self.repeat = jax.jit(self._repeat, donate_argnums=0, static_argnums=3)
        self.epoch = jax.jit(self._epoch, donate_argnums=0)

    def _repeat(self, state: Any, x: Any, y: Any, epochs: int) -> Any:
        def body(state: Any, _: Any) -> Any:
            return jax_network.step(self.workload, state, x, y)

        return lax.scan(body, state, None, length=epochs)

    def _epoch(self, state: Any, x: Any, y: Any, order: Any) -> Any:
        def body(state: Any, rows: Any) -> Any:
            batch = jax_network.take(x, rows), jax_network.take(y, rows)
            return jax_network.step(self.workload, state, *batch)

        return lax.scan(body, state, order.reshape(self.steps, self.rows))

    def train(self, epochs: int) -> float:
        """See `Trainer.train`."""
        if self.steps == 1:
            self.state, losses = self.repeat(self.state, self.x, self.y, epochs)
            return float(losses[-1])
        for _ in range(epochs):
            order = jnp.asarray(self.orders.draw().astype(np.int32))
            self.state, losses = self.epoch(self.state, self.x, self.y, order)
        jax.block_until_ready(self.state)
        return float(losses.mean())


class ScannedEpoch(JitStep):
    """JAX, epoch by epoch."""

    maker = ScanTrainer

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        return loop(case)

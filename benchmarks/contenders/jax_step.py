"""JAX as most write it: one jitted step per batch, called from a Python loop."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contenders import jax_layers, jax_network  # noqa: F401  registers its networks
from benchmarks.contenders.base import CannotExpressError, Loop, Trainer
from benchmarks.kernels.cases import Case
from benchmarks.networks import Data, Workload
from benchmarks.workloads import Orders


class StepTrainer(Trainer):
    """Data, state and loss on the device; the state's memory is given back to each step."""

    def __init__(self, workload: Workload, data: Data, shuffle: bool) -> None:
        """Move everything to the device."""
        labels = data.y if data.y.dtype == np.float32 else data.y.astype(np.int32)
        self.x, self.y = jnp.asarray(data.x), jnp.asarray(labels)
        self.workload, self.state = workload, jax_network.initial_state(workload)
        self.rows = min(workload.batch, len(data.x))
        self.steps = len(data.x) // self.rows
        self.orders = Orders(len(data.x), shuffle and self.steps > 1)
        self.advance = jax.jit(self._advance, donate_argnums=(0, 1))

    def _advance(self, state: Any, total: Any, x: Any, y: Any, order: Any, start: Any) -> Any:
        if self.steps > 1:
            rows = lax.dynamic_slice(order, (start,), (self.rows,))
            x, y = jax_network.take(x, rows), jax_network.take(y, rows)
        state, loss = jax_network.step(self.workload, state, x, y)
        return state, total + loss

    def train(self, epochs: int) -> float:
        """See `Trainer.train`."""
        total = jnp.zeros(())
        starts = [np.int32(start) for start in range(0, self.steps * self.rows, self.rows)]
        for _ in range(epochs):
            order, total = jnp.asarray(self.orders.draw().astype(np.int32)), jnp.zeros(())
            for start in starts:
                self.state, total = self.advance(self.state, total, self.x, self.y, order, start)
        jax.block_until_ready(self.state)
        return float(total) / self.steps


class JitStep:
    """JAX, step by step."""

    maker: Any = StepTrainer

    def __init__(self, threads: int, device: str) -> None:
        """Threads come from the environment; float32 products in full precision, as nnx has them."""
        del threads
        jax.config.update("jax_default_matmul_precision", "highest")
        self.devices = str(jax.devices("gpu" if device == "cuda" else "cpu"))

    def versions(self) -> dict[str, str]:
        """See `Contender.versions`."""
        return {"jax": jax.__version__, "devices": self.devices}

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        made: Trainer = self.maker(workload, data, shuffle)
        return made

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        raise CannotExpressError(f"{case.name} alone is the same as that of jax-scan")

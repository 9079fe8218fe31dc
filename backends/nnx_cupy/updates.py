"""Update rules: one pass over the flat buffers each; rates and counters are read on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.interface import Array
from nnx_cupy.kernels import Group
from nnx_cupy.launch import Launcher

L2_PENALTY = Group("updates", ("l2_penalty",))
CLIP = Group("updates", ("global_norm", "clip"))
SGD = Group("updates", ("sgd",))
MOMENTUM = Group("updates", ("momentum",))
NESTEROV = Group("updates", ("nesterov",))
RMSPROP = Group("updates", ("rmsprop",))
ADAM = Group("updates", ("adam",))


class Updates(Launcher):
    """Kernels that work in place on all parameters at once."""

    def l2_penalty(self, w: Array, dw: Array, loss: Array, scale: float) -> None:
        """Sum and gradient in one pass."""
        kernel = L2_PENALTY.of("l2_penalty", w.dtype)
        arguments = self.contiguous(w), dw, loss, np.int64(w.size), w.dtype.type(scale)
        self.sum_elements(kernel, self.packs(w), *arguments, dtype=w.dtype)

    def clip_by_global_norm(self, g: Array, norm: Array, limit: float) -> None:
        """The norm in one pass, by sums of large, medium and small squares; then g, if it is too long."""
        size = np.int64(g.size)
        self.sum_elements(CLIP.of("global_norm", g.dtype), self.packs(g), g, norm, size, dtype=g.dtype, sums=3)
        self.launch_elements(CLIP.of("clip", g.dtype), self.packs(g), g, norm, size, g.dtype.type(limit))

    def sgd(self, p: Array, g: Array, lr: Array) -> None:
        """One pass."""
        self._update(SGD, p, g, lr)

    def momentum(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """One pass."""
        self._update(MOMENTUM, p, g, v, lr, numbers=(p.dtype.type(mu),))

    def nesterov(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """One pass."""
        self._update(NESTEROV, p, g, v, lr, numbers=(p.dtype.type(mu),))

    def rmsprop(self, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
        """One pass."""
        number = p.dtype.type
        self._update(RMSPROP, p, g, s, lr, numbers=(number(rho), number(1 - rho), number(eps)))

    def adam(
        self,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        step: Array,
        lr: Array,
        beta1: float,
        beta2: float,
        eps: float,
        eps_root: float,
    ) -> None:
        """One pass; the kernel of `adamw` with nothing to decay."""
        self.adamw(p, g, m, v, step, lr, beta1, beta2, eps, eps_root, 0.0, 0)

    def adamw(
        self,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        step: Array,
        lr: Array,
        beta1: float,
        beta2: float,
        eps: float,
        eps_root: float,
        weight_decay: float,
        decayed: int,
    ) -> None:
        """One pass."""
        number = p.dtype.type
        betas = np.float64(beta1), np.float64(beta2)
        numbers = *betas, number(eps), number(eps_root), number(weight_decay), np.int64(decayed)
        self._update(ADAM, p, g, m, v, step, lr, numbers=numbers)

    def _update(self, group: Group, p: Array, g: Array, *state: Array, numbers: tuple[Any, ...] = ()) -> None:
        arguments = p, self.contiguous(g), *state, np.int64(p.size), *numbers
        self.launch_elements(group.of(group.kernels[0], p.dtype), self.packs(p), *arguments)

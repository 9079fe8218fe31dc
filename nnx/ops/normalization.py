"""Batch and layer normalisation, and dropout."""

from __future__ import annotations

import math

from nnx.errors import ShapeError
from nnx.interface import Array
from nnx.ops.core import OpsCore

Normalised = tuple[Array, Array, Array]
"""(y, mean, rstd)."""

Gradients = tuple[Array, Array]
"""Destinations (dgamma, dbeta)."""


class Normalization(OpsCore):
    """Operations that centre, scale and drop."""

    def batch_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        momentum: float,
        eps: float,
    ) -> Normalised:
        """Normalise the last axis by the batch's statistics and update the running ones.

        Shapes: x and y (..., F), all others (F,).

        Raises:
            ShapeError, DtypeError: there are no rows; an array has another shape than that, or dtype than x.
        """
        if x.shape[0] == 0:
            raise ShapeError(f"batch_norm in training expects at least one row, got {tuple(x.shape)}.")
        shares = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
        self.fit("batch_norm", (x.shape[-1],), x, **shares)
        y, mean, rstd = self.like(x), self.like(gamma), self.like(gamma)
        arrays = (self.rows(x), gamma, beta, running_mean, running_var, self.rows(y), mean, rstd)
        self.call(self.backend.batch_norm, *arrays, momentum, eps)
        return y, mean, rstd

    def batch_norm_infer(
        self, x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float
    ) -> Array:
        """Normalise the last axis by the running statistics.

        Raises:
            ShapeError, DtypeError: as `batch_norm`, but for the rows.
        """
        shares = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
        self.fit("batch_norm_infer", (x.shape[-1],), x, **shares)
        y = self.like(x)
        arrays = (self.rows(x), gamma, beta, running_mean, running_var, self.rows(y))
        self.call(self.backend.batch_norm_infer, *arrays, eps)
        return y

    def batch_norm_backward(
        self, x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, into: Gradients, wants_dx: bool
    ) -> Array | None:
        """Write the gradients of gamma and beta into `into`; return dx if it is wanted.

        Raises:
            ShapeError, DtypeError: dy is not like x; another array is not (F,), or has another dtype than x.
        """
        self.same("batch_norm_backward", x=x, dy=dy)
        shares = {"gamma": gamma, "mean": mean, "rstd": rstd, "dgamma": into[0], "dbeta": into[1]}
        self.fit("batch_norm_backward", (x.shape[-1],), x, **shares)
        dx = self.like(x) if wants_dx else None
        flat_dx = None if dx is None else self.rows(dx)
        arrays = (self.rows(x), gamma, mean, rstd, self.rows(dy), flat_dx, *into)
        self.call(self.backend.batch_norm_backward, *arrays)
        return dx

    def layer_norm(self, x: Array, gamma: Array, beta: Array, eps: float) -> Normalised:
        """Normalise each row over the last axis.

        Raises:
            ShapeError, DtypeError: there are no features; gamma or beta is not (F,), or has another dtype than x.
        """
        if x.shape[-1] == 0:
            raise ShapeError(f"layer_norm expects at least one feature, got {tuple(x.shape)}.")
        self.fit("layer_norm", (x.shape[-1],), x, gamma=gamma, beta=beta)
        rows, y = self.rows(x), self.like(x)
        mean, rstd = self.empty(rows.shape[0]), self.empty(rows.shape[0])
        self.call(self.backend.layer_norm, rows, gamma, beta, self.rows(y), mean, rstd, eps)
        return y, mean, rstd

    def layer_norm_backward(
        self, x: Array, gamma: Array, mean: Array, rstd: Array, dy: Array, into: Gradients, wants_dx: bool
    ) -> Array | None:
        """Write the gradients of gamma and beta into `into`; return dx if it is wanted.

        Raises:
            ShapeError, DtypeError: dy is not like x; mean or rstd is not one number per row, another array not
                (F,); one has another dtype than x.
        """
        self.same("layer_norm_backward", x=x, dy=dy)
        self.fit("layer_norm_backward", (math.prod(x.shape[:-1]),), x, mean=mean, rstd=rstd)
        self.fit("layer_norm_backward", (x.shape[-1],), x, gamma=gamma, dgamma=into[0], dbeta=into[1])
        dx = self.like(x) if wants_dx else None
        flat_dx = None if dx is None else self.rows(dx)
        arrays = (self.rows(x), gamma, mean, rstd, self.rows(dy), flat_dx, *into)
        self.call(self.backend.layer_norm_backward, *arrays)
        return dx

    def dropout(self, x: Array, step: Array, seed: int, stream: int, threshold: int, sample: int = 0) -> Array:
        """Inverted dropout over all axes but the first; on a gradient, its own backward pass.

        `sample` is the number of the first row in its batch.
        """
        y = self.like(x)
        self.call(self.backend.dropout, self.samples(x), step, self.samples(y), seed, stream, threshold, sample)
        return y

    def channel_dropout(
        self, x: Array, step: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> Array:
        """Inverted dropout of whole channels (the last axis); on a gradient, its own backward pass."""
        y, shape = self.like(x), (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
        arrays = self.reshape(x, shape), step, self.reshape(y, shape)
        self.call(self.backend.channel_dropout, *arrays, seed, stream, threshold, sample)
        return y

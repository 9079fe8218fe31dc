"""Batch and layer normalisation."""

from __future__ import annotations

from nnx.interface import Array, Backend
from nnx_numba.batchnorm import batch_norm, batch_norm_backward, batch_norm_infer
from nnx_numba.columns import panels
from nnx_numba.hostarrays import plain, row_grain
from nnx_numba.layernorm import layer_norm, layer_norm_backward, layer_norm_parameters


class Normalization(Backend):
    """Batch and layer normalisation."""

    def batch_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        mean: Array,
        rstd: Array,
        momentum: float,
        eps: float,
    ) -> None:
        """Two passes over memory."""
        batch_norm(
            *(*panels(*x.shape), plain(x), plain(gamma), plain(beta), running_mean, running_var),
            *(y, mean, rstd, float(momentum), float(eps)),
        )

    def batch_norm_infer(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        y: Array,
        eps: float,
    ) -> None:
        """One pass over memory."""
        statistics = plain(running_mean), plain(running_var)
        batch_norm_infer(*panels(*x.shape), plain(x), plain(gamma), plain(beta), *statistics, y, float(eps))

    def batch_norm_backward(
        self,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """Two passes over memory."""
        inputs = plain(x), plain(gamma), plain(mean), plain(rstd), plain(dy)
        batch_norm_backward(*panels(*x.shape), *inputs, dx, dgamma, dbeta)

    def layer_norm(
        self, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
    ) -> None:
        """Row by row."""
        rows, columns = x.shape
        inputs = plain(x), plain(gamma), plain(beta)
        layer_norm(rows, row_grain(columns), *inputs, y, mean, rstd, float(eps))

    def layer_norm_backward(
        self,
        x: Array,
        gamma: Array,
        mean: Array,
        rstd: Array,
        dy: Array,
        dx: Array | None,
        dgamma: Array,
        dbeta: Array,
    ) -> None:
        """dx by rows, then dgamma and dbeta by columns."""
        x, dy, mean, rstd = plain(x), plain(dy), plain(mean), plain(rstd)
        if dx is not None:
            layer_norm_backward(x.shape[0], row_grain(x.shape[1]), x, plain(gamma), mean, rstd, dy, dx)
        layer_norm_parameters(*panels(*x.shape), x, mean, rstd, dy, dgamma, dbeta)

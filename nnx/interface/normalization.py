"""Batch and layer normalisation."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays


class Normalization(Arrays):
    """Kernels that centre and scale. Letters: N rows, C channels, F features."""

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
        """Batch normalisation in training, over the rows of each channel; running statistics in place.

            mean = 1 / N sum_n x_n
            var = 1 / N sum_n (x_n - mean)^2    biased
            rstd = 1 / sqrt(var + eps)
            y = gamma (x - mean) rstd + beta
            running_mean = (1 - momentum) running_mean + momentum mean
            running_var = (1 - momentum) running_var + momentum var N / (N - 1)    unbiased

        A single row has no unbiased variance, and leaves running_var as it was. The variance is that of the
        centred values (two passes, or the equivalent in accuracy): x with a mean far larger than its spread must
        not lose digits to E[x^2] - mean^2.

        Shapes: x, y (N, C), N >= 1; gamma, beta, running_mean, running_var, mean, rstd (C,).
        Source: Ioffe & Szegedy 2015, Algorithm 1.
        """
        reference.batch_norm(self.xp, x, gamma, beta, running_mean, running_var, y, mean, rstd, momentum, eps)

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
        """Batch normalisation with the running statistics in place of the batch's.

            y = gamma (x - running_mean) / sqrt(running_var + eps) + beta

        Shapes: as in `batch_norm`.
        """
        reference.batch_norm_infer(self.xp, x, gamma, beta, running_mean, running_var, y, eps)

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
        """Gradients of `batch_norm`, with mean and rstd as it returned them.

            h = (x - mean) rstd
            dbeta = sum_n dy_n
            dgamma = sum_n dy_n h_n
            dx = gamma rstd (dy - dbeta / N - h dgamma / N)

        Shapes: x, dy, dx (N, C), dx or None; all others (C,).
        """
        reference.batch_norm_backward(self.xp, x, gamma, mean, rstd, dy, dx, dgamma, dbeta)

    def layer_norm(
        self, x: Array, gamma: Array, beta: Array, y: Array, mean: Array, rstd: Array, eps: float
    ) -> None:
        """Layer normalisation, over the features of each row.

            mean = 1 / F sum_f x_f
            rstd = 1 / sqrt(1 / F sum_f (x_f - mean)^2 + eps)    the biased variance
            y = gamma (x - mean) rstd + beta

        Shapes: x, y (N, F), F >= 1; gamma, beta (F,); mean, rstd (N,).
        Source: Ba, Kiros & Hinton 2016.
        """
        reference.layer_norm(self.xp, x, gamma, beta, y, mean, rstd, eps)

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
        """Gradients of `layer_norm`, with mean and rstd as it returned them.

            h = (x - mean) rstd
            dbeta = sum_n dy_n    over the rows
            dgamma = sum_n dy_n h_n
            q = dy gamma
            dx = rstd (q - 1 / F sum_f q_f - h / F sum_f q_f h_f)

        Shapes: x, dy, dx (N, F), dx or None; gamma, dgamma, dbeta (F,); mean, rstd (N,).
        """
        reference.layer_norm_backward(self.xp, x, gamma, mean, rstd, dy, dx, dgamma, dbeta)

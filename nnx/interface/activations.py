"""Activation functions and their gradients."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays

ELEMENTWISE = ("relu", "leaky_relu", "elu", "sigmoid", "tanh", "softplus", "gelu", "silu")
"""The activations that work on each element alone."""


class Activations(Arrays):
    """Kernels on elements and rows."""

    def activate(self, x: Array, y: Array, activation: str, alpha: float) -> None:
        """Apply an elementwise activation.

            y = f(x)

        ============  =================================  ===================================================
        activation    f(x)                               Source
        ============  =================================  ===================================================
        relu          max(x, 0)                          Nair & Hinton 2010
        leaky_relu    x if x > 0 else alpha x            Maas et al. 2013
        elu           x if x > 0 else alpha (e^x - 1)    Clevert et al. 2016
        sigmoid       1 / (1 + e^-x)
        tanh          tanh x
        softplus      log(1 + e^x)                       Dugas et al. 2001
        gelu          x Phi(x), Phi the normal CDF       Hendrycks & Gimpel 2016 (exact, by erf)
        silu          x / (1 + e^-x)                     Elfwing et al. 2018
        ============  =================================  ===================================================

        Shapes: x and y alike, any shape.
        Attributes: activation, one of `ELEMENTWISE`; alpha >= 0, read by leaky_relu and elu only.
        No finite x may overflow on the way: sigmoid(-1000) is 0, softplus(1000) is 1000.
        """
        reference.activate(self.xp, x, y, activation, alpha)

    def activate_backward(self, x: Array, y: Array, dy: Array, dx: Array, activation: str, alpha: float) -> None:
        """Gradient of `activate`, given both x and y = f(x).

            dx = dy * f'(x)

        At the kink of relu, leaky_relu and elu (x = 0) the derivative from the left is taken: 0, alpha, alpha.
        The product is formed even where f' is 0, so that a NaN in dy stays visible. Where x or y is NaN, the
        result is NaN for smooth activations and unspecified for these three, whose derivative compares only.
        Shapes: x, y, dy, dx alike.
        """
        reference.activate_backward(self.xp, x, y, dy, dx, activation, alpha)

    def softmax(self, x: Array, y: Array) -> None:
        """Softmax of each row.

            y_ij = e^(x_ij - m_i) / sum_k e^(x_ik - m_i)
            m_i = max_k x_ik

        Shapes: x and y (N, C), C >= 1.
        """
        reference.softmax(self.xp, x, y)

    def softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """Gradient of `softmax`, from the output y.

            dx_ij = y_ij (dy_ij - sum_k y_ik dy_ik)

        Shapes: y, dy, dx (N, C).
        """
        reference.softmax_backward(self.xp, y, dy, dx)

    def log_softmax(self, x: Array, y: Array) -> None:
        """Logarithm of the softmax of each row.

            y_ij = x_ij - m_i - log sum_k e^(x_ik - m_i)
            m_i = max_k x_ik

        Shapes: x and y (N, C), C >= 1.
        """
        reference.log_softmax(self.xp, x, y)

    def log_softmax_backward(self, y: Array, dy: Array, dx: Array) -> None:
        """Gradient of `log_softmax`, from the output y.

            dx_ij = dy_ij - e^(y_ij) sum_k dy_ik

        Shapes: y, dy, dx (N, C).
        """
        reference.log_softmax_backward(self.xp, y, dy, dx)

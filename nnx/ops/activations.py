"""Activations and their gradients."""

from __future__ import annotations

from nnx.interface import Array
from nnx.ops.core import OpsCore


class Activations(OpsCore):
    """Operations on elements and rows."""

    def activate(self, x: Array, activation: str, alpha: float) -> Array:
        """y = f(x), elementwise."""
        y = self.like(x)
        self.call(self.backend.activate, x, y, activation, alpha)
        return y

    def activate_backward(self, x: Array, y: Array, dy: Array, activation: str, alpha: float) -> Array:
        """Dx = dy f'(x)."""
        self.same("activate_backward", x=x, y=y, dy=dy)
        dx = self.like(x)
        self.call(self.backend.activate_backward, x, y, dy, dx, activation, alpha)
        return dx

    def softmax(self, x: Array) -> Array:
        """Softmax over the last axis."""
        y = self.like(x)
        self.call(self.backend.softmax, self.rows(x), self.rows(y))
        return y

    def softmax_backward(self, y: Array, dy: Array) -> Array:
        """Gradient of `softmax` from its output."""
        self.same("softmax_backward", y=y, dy=dy)
        dx = self.like(y)
        self.call(self.backend.softmax_backward, self.rows(y), self.rows(dy), self.rows(dx))
        return dx

    def log_softmax(self, x: Array) -> Array:
        """Logarithm of the softmax over the last axis."""
        y = self.like(x)
        self.call(self.backend.log_softmax, self.rows(x), self.rows(y))
        return y

    def log_softmax_backward(self, y: Array, dy: Array) -> Array:
        """Gradient of `log_softmax` from its output."""
        self.same("log_softmax_backward", y=y, dy=dy)
        dx = self.like(y)
        self.call(self.backend.log_softmax_backward, self.rows(y), self.rows(dy), self.rows(dx))
        return dx

"""Penalties, clipping and the update rules, in place on flat buffers."""

from __future__ import annotations

from nnx import reference
from nnx.interface.arrays import Array, Arrays


class Updates(Arrays):
    """Kernels that work in place on all parameters at once.

    Letters: p (P,) parameters, g (P,) gradients, other (P,) arrays the optimizer's moments, lr () the learning
    rate, step () int64 the number of steps already done, so that t = step + 1. P may be 0.
    """

    def l2_penalty(self, w: Array, dw: Array, loss: Array, scale: float) -> None:
        """Add an L2 penalty, in place.

            loss = loss + scale / 2 sum w^2
            dw = dw + scale w

        Shapes: w, dw alike, any shape; loss ().
        """
        reference.l2_penalty(self.xp, w, dw, loss, scale)

    def clip_by_global_norm(self, g: Array, norm: Array, limit: float) -> None:
        """Scale all gradients, in place, so that their Euclidean norm is at most limit.

            norm = sqrt(sum g^2)
            g = g min(1, limit / norm)

        norm receives the norm before clipping. The sum of squares must not overflow where the norm itself is a
        finite number of the dtype. A NaN in g makes norm and all of g NaN.
        Shapes: g (P,), norm (). Attributes: limit > 0. Source: Pascanu et al. 2013.
        """
        reference.clip_by_global_norm(self.xp, g, norm, limit)

    def sgd(self, p: Array, g: Array, lr: Array) -> None:
        """Gradient descent.

            p = p - lr g

        Shapes: p, g (P,), lr (). Source: Robbins & Monro 1951, for gradients of batches.
        """
        reference.sgd(self.xp, p, g, lr)

    def momentum(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Gradient descent with momentum.

            v = mu v + g
            p = p - lr v

        Source: Polyak 1964, in the form of Sutskever et al. 2013 with the learning rate outside v.
        """
        reference.momentum(self.xp, p, g, v, lr, mu)

    def nesterov(self, p: Array, g: Array, v: Array, lr: Array, mu: float) -> None:
        """Nesterov momentum.

            v = mu v + g
            p = p - lr (g + mu v)

        Source: Sutskever et al. 2013.
        """
        reference.nesterov(self.xp, p, g, v, lr, mu)

    def rmsprop(self, p: Array, g: Array, s: Array, lr: Array, rho: float, eps: float) -> None:
        """RMSprop.

            s = rho s + (1 - rho) g^2
            p = p - lr g / (sqrt(s) + eps)

        Source: Tieleman & Hinton 2012, lecture 6.5.
        """
        reference.rmsprop(self.xp, p, g, s, lr, rho, eps)

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
        """Adam.

            t = step + 1
            m = beta1 m + (1 - beta1) g
            v = beta2 v + (1 - beta2) g^2
            p = p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t) + eps_root) + eps)

        The bias corrections 1 - beta^t are computed in float64: in float32 the first step would lose four digits
        to cancellation.

        Source: Kingma & Ba 2015, Algorithm 1; eps_root as in optax.
        """
        reference.adam(self.xp, p, g, m, v, step, lr, beta1, beta2, eps, eps_root)

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
        """`adam`, with p[:decayed] first shrunk by the decoupled decay.

            p = p - lr weight_decay p

        The flat buffer holds the weights before the biases and scales, which are exempt from decay.
        Source: Loshchilov & Hutter 2019, Algorithm 2.
        """
        reference.adamw(self.xp, p, g, m, v, step, lr, beta1, beta2, eps, eps_root, weight_decay, decayed)

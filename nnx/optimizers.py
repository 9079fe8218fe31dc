"""Optimizers: one kernel call on the flat buffers per step; the formulas stand at the kernels of `nnx.Backend`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import partial
from typing import Any, ClassVar

from nnx.checks import check_number
from nnx.errors import OptionError, UnknownNameError
from nnx.interface import Array
from nnx.ops import Ops
from nnx.parameters import Store
from nnx.schedules import Schedule, check_schedule

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSprop",
]

Check = Callable[[str, object], object]
"""Maps the name of an option and its value to the plain value that kernels take; raises OptionError."""

SHARE: Check = partial(check_number, low=0, high=1)
NOT_NEGATIVE: Check = partial(check_number, low=0)
POSITIVE: Check = partial(check_number, low=0, open_low=True)


@dataclass(frozen=True)
class Optimizer:
    """Base of all optimizers: options only; the moments belong to the model that is trained.

    A subclass is a dataclass whose fields are its options, and names in `checks` how each of them is checked. An
    option whose default is None may be None.

    Args:
        learning_rate: a number or a `Schedule`.
        clip_norm: largest Euclidean norm of all gradients together, > 0; None for no clipping.

    Raises:
        OptionError: an option is out of its range.
    """

    learning_rate: float | Schedule = 0.001
    _: KW_ONLY
    clip_norm: float | None = None

    name: ClassVar[str]
    moments: ClassVar[tuple[str, ...]] = ()
    checks: ClassVar[Mapping[str, Check]] = {"clip_norm": POSITIVE}

    def __post_init__(self) -> None:
        """Check the options, and keep them as the plain values that kernels take."""
        check_schedule(self.learning_rate)
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "learning_rate" and not (value is None and item.default is None):
                object.__setattr__(self, item.name, self._check(item.name, value))

    def _check(self, option: str, value: object) -> object:
        if option not in self.checks:
            raise NotImplementedError(f"{type(self).__name__} must name a check of its option {option!r} in checks")
        return self.checks[option](option, value)

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """Change the parameters, in place, by one step.

        Args:
            ops: the operations of the model's backend.
            store: parameters and gradients.
            moments: one flat array for each of `moments`, like the parameters.
            step: () int64, the number of steps done before.
            rate: () the learning rate.
        """
        raise NotImplementedError(f"{type(self).__name__} must supply update")

    def config(self) -> dict[str, Any]:
        """Return the options, by field name; a schedule stays an object."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent."""

    learning_rate: float | Schedule = 0.01

    name: ClassVar[str] = "sgd"

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """See `Optimizer.update`."""
        del moments, step
        ops.call(ops.backend.sgd, store.values, store.gradients, rate)


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Gradient descent along a running sum of the gradients.

    Args:
        mu: how much of the sum is kept, in [0, 1).
    """

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY
    mu: float = 0.9

    name: ClassVar[str] = "momentum"
    moments: ClassVar[tuple[str, ...]] = ("velocity",)
    checks: ClassVar[Mapping[str, Check]] = {**Optimizer.checks, "mu": SHARE}

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """See `Optimizer.update`."""
        del step
        ops.call(ops.backend.momentum, store.values, store.gradients, *moments, rate, self.mu)


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum that looks ahead: the gradient is weighed as if the next step had been taken already."""

    name: ClassVar[str] = "nesterov"

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """See `Optimizer.update`."""
        del step
        ops.call(ops.backend.nesterov, store.values, store.gradients, *moments, rate, self.mu)


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Divide each gradient by a running root mean square of it.

    Args:
        rho: how much of the running mean is kept, in [0, 1).
        eps: added to the root, > 0.
    """

    learning_rate: float | Schedule = 0.001
    _: KW_ONLY
    rho: float = 0.9
    eps: float = 1e-7

    name: ClassVar[str] = "rmsprop"
    moments: ClassVar[tuple[str, ...]] = ("mean_square",)
    # eps is never 0: the padding of the flat buffers has g = 0, which is not to become 0 / 0
    checks: ClassVar[Mapping[str, Check]] = {**Optimizer.checks, "rho": SHARE, "eps": POSITIVE}

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """See `Optimizer.update`."""
        del step
        arrays = store.values, store.gradients, *moments, rate
        ops.call(ops.backend.rmsprop, *arrays, self.rho, self.eps)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps along the first moment, scaled by the root of the second, both corrected for their start at 0.

    Args:
        beta1, beta2: how much of the moments is kept, in [0, 1).
        eps: added to the root, > 0.
        eps_root: added inside the root, >= 0.
    """

    learning_rate: float | Schedule = 0.001
    _: KW_ONLY
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    eps_root: float = 0.0

    name: ClassVar[str] = "adam"
    moments: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")
    checks: ClassVar[Mapping[str, Check]] = {
        **Optimizer.checks,
        "beta1": SHARE,
        "beta2": SHARE,
        "eps": POSITIVE,  # as in RMSprop
        "eps_root": NOT_NEGATIVE,
    }

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """See `Optimizer.update`."""
        arrays = store.values, store.gradients, *moments, step, rate
        ops.call(ops.backend.adam, *arrays, self.beta1, self.beta2, self.eps, self.eps_root)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay on the weights; biases and scales are exempt.

    Args:
        weight_decay: share of a weight that a step with learning rate 1 takes away, >= 0.
    """

    _: KW_ONLY
    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"
    checks: ClassVar[Mapping[str, Check]] = {**Adam.checks, "weight_decay": NOT_NEGATIVE}

    def update(self, ops: Ops, store: Store, moments: Sequence[Array], step: Array, rate: Array) -> None:
        """See `Optimizer.update`."""
        arrays = store.values, store.gradients, *moments, step, rate
        betas = self.beta1, self.beta2, self.eps, self.eps_root
        ops.call(ops.backend.adamw, *arrays, *betas, self.weight_decay, store.decayed)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer for optimizer in (SGD, Momentum, Nesterov, RMSprop, Adam, AdamW)
}
"""Every optimizer, by name."""


def check_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer that a name stands for, with its usual options, or the optimizer itself.

    Raises:
        UnknownNameError: no optimizer has that name.
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type):
        raise OptionError(f"optimizer must be a name or an object: write {optimizer.__name__}(), with brackets.")
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise UnknownNameError("optimizer", optimizer, OPTIMIZERS)
    return OPTIMIZERS[optimizer]()

"""A network with a goal: the loss that training makes small, and the optimizer that does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from nnx.checks import check_number
from nnx.errors import NotBuiltError, OptionError
from nnx.interface import Backend
from nnx.layers import Layer, TimeDistributed
from nnx.losses import Loss, check_loss
from nnx.movable import Movable
from nnx.optimizers import Optimizer, check_optimizer


class Compiled(Movable):
    """A network, and what `compile` gives it.

    Attributes:
        l2: factor lambda of the penalty on the weights of layers that name none of their own.
    """

    def __init__(self, layers: Sequence[Layer], seed: int, dtype: str, backend: str | Backend | None) -> None:
        """Begin without a loss and an optimizer."""
        super().__init__(layers, seed, dtype, backend)
        self.l2 = 0.0
        self._loss: Loss | None = None

    def compile(self, loss: str | Loss, optimizer: str | Optimizer = "adam", *, l2: float = 0.0) -> Self:
        """Choose what training makes small, and how; returns the model itself.

        Training starts anew, from the weights as they are: the optimizer's moments and the numbers of steps and
        epochs done are zero again, and so is the time of a schedule.

        Args:
            loss: a name such as "softmax_cross_entropy", or a `Loss`.
            optimizer: a name such as "adam", or an `Optimizer`.
            l2: lambda of the penalty lambda / (2 m) sum W^2 over the weights of all layers that name none of
                their own, m being the number of examples in the batch.

        Raises:
            UnknownNameError: no loss or optimizer has that name.
            OptionError: l2 is negative, or the last layer applies what the loss applies itself.
            BackendError: the model is being trained, or another thread uses it.
        """
        checked, rule, penalty = check_loss(loss), check_optimizer(optimizer), check_number("l2", l2, 0)
        self._check_last_layer(checked)
        with self.access.exclusively():
            self._loss, self._optimizer, self.l2 = checked, rule, penalty
            if self.built:
                self._make_moments()
                self.step[...] = 0
            self.epoch = 0
        return self

    def _check_last_layer(self, loss: Loss) -> None:
        activation = _final_activation(self.chain.layers)
        if activation in loss.final_activations:
            raise OptionError(
                f"{loss.name} applies its own {activation.split('_')[-1]}: end the model in plain outputs, "
                f"without activation={activation!r}, and use predict_proba for probabilities."
            )

    @property
    def compiled(self) -> bool:
        """Whether `compile` has been called."""
        return self._optimizer is not None

    @property
    def loss(self) -> Loss:
        """The loss given to `compile`."""
        if self._loss is None:
            raise NotBuiltError("The model has no loss yet; call model.compile(loss, optimizer) first.")
        return self._loss

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer given to `compile`."""
        if self._optimizer is None:
            raise NotBuiltError("The model has no optimizer yet; call model.compile(loss, optimizer) first.")
        return self._optimizer

    def to(self, backend: str | Backend) -> Self:
        """Move the model, with all optimizer state, to another backend; returns the model itself.

        Raises:
            UnknownNameError, BackendUnavailableError: there is no such backend here.
            BackendError: the model is being trained, or another thread uses it.
        """
        with self.access.exclusively():
            return super().to(backend)


def _final_activation(layers: Sequence[Layer]) -> str:
    """Return the activation that the outputs of these layers come from, "identity" where none is named."""
    last = layers[-1] if layers else None
    if isinstance(last, TimeDistributed):
        return _final_activation(last.layers)
    return str(getattr(last, "activation", "identity"))

"""What training makes small, as a function of all parameters: for optimizers of other libraries.

    objective = model.objective(x, y)
    found = scipy.optimize.minimize(objective, objective.values(), jac=True, method="L-BFGS-B")
    objective.assign(found.x)

The flat buffers of `nnx.parameters` have gaps, which no optimizer should see; the vectors here have none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.border import to_host
from nnx.errors import DataError, OptionError, ShapeError
from nnx.inputs import Examples
from nnx.layers import BatchNorm, Context
from nnx.memory import check_training
from nnx.parameters import Slot
from nnx.shortage import tells_where_memory_ended
from nnx.steps import Batches, Runner, TrainingStep
from nnx.verification import foreign_parts

if TYPE_CHECKING:
    from nnx.trainable import Trainable

Vector = NDArray[np.float64]


class Objective:
    """The loss of training on some examples, and its gradient, as a function of all parameters in one vector.

    `Sequential.objective` makes one. It is the loss that `fit` makes small with all the examples in one batch:
    their mean, weighed as in `fit`, with the L2 penalty, in training mode. Equal vectors give equal losses, bit for
    bit on one backend: `BatchNorm` goes by the mean and variance of these examples, and `Dropout` by the masks of
    the step that the model is at. These are held still, and an optimizer will fit the network to them; where that
    is not wanted, leave dropout out.

    A vector holds the parameters, without running statistics, one behind the other, each row by row. They come in
    the order of `Sequential.get_weights`, which has running statistics besides; `split` takes a vector apart by the
    same names. It is of float64, as optimizers want it, while the model computes in its own dtype: the loss of a
    float32 model has about seven digits, which bounds how far an optimizer gets.

    The step is recorded at the first call and replayed from then on; layers of one's own are run by their code. The
    model stays as it is until `assign`.

    Attributes:
        model: whose loss it is.
        size: the number of parameters, P.

    Examples:
        >>> model = nnx.Sequential([nnx.Dense(1)], dtype="float64").compile("mean_squared_error")
        >>> objective = model.objective([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> loss, gradient = objective([0.0, 0.0])  # weight and bias
        >>> round(loss, 3), gradient.round(3)
        (11.667, array([-8.667, -6.   ]))
        >>> from scipy.optimize import minimize
        >>> found = minimize(objective, objective.values(), jac=True)
        >>> objective.assign(found.x)
        >>> model.predict([[3.0]]).round(3)
        array([[7.]])

        From a vector to the weights of `get_weights` and `set_weights`, and back, which leaves running statistics:

        >>> weights = objective.split(found.x)
        >>> list(weights)
        ['0.weight', '0.bias']
        >>> kept = model.get_weights()
        >>> vector = np.concatenate([kept[name].ravel() for name in weights])
        >>> bool((vector == objective.values()).all())
        True
    """

    def __init__(self, model: Trainable, examples: Examples) -> None:
        """Send checked examples to the device; raises as `Sequential.objective` does."""
        check_training(model, examples, None, "full")
        self.model, self.backend = model, model.backend
        self._slots = model.store.named_slots()
        self._parts, self.size = _side_by_side(self._slots)
        self._batches = Batches(model.ops, examples, examples.count)
        self._step = TrainingStep(model, self._batches)
        self._runner = Runner(model.ops, self._differentiate, eager=bool(foreign_parts(model)))
        self._terms = model.store, model.loss, model.l2
        kept = (model.store.values, model.store.state)
        self._copies = [self.backend.empty(tuple(array.shape), model.dtype) for array in kept]

    def __call__(self, values: Any) -> tuple[float, Vector]:
        """Return the loss at some values of the parameters, and its gradient, (P,); the model stays as it is.

        Far from good values both may be infinite or NaN: an optimizer's line search turns back there.

        Args:
            values: (P,) numbers.

        Raises:
            ShapeError, DtypeError: values are no such vector.
            OptionError: the model has been moved, or compiled anew, since the objective was made.
            BackendError: the model is being trained, or another thread uses it.
            OutOfMemoryError: host or device ran out of memory.
        """
        return self._compute(self._checked("values", values))

    @tells_where_memory_ended("The model is left as it was. Take fewer examples, or a smaller network.")
    def _compute(self, values: Vector) -> tuple[float, Vector]:
        store = self.model.store
        with self._alone(), self._put_back():
            self._put(values)
            self._runner.run(self._batches.count, 1)
            loss = float(self._step.trace.read()[0][0])
            return loss, self._join(self.backend.to_numpy(store.gradients))

    def _differentiate(self, rows: int) -> None:
        loss, _ = self._step.differentiate(rows)
        self._step.trace.store(self._batches.number, loss, None)

    def values(self) -> Vector:
        """Return the parameters of the model as they are now, (P,): where an optimizer begins.

        Raises:
            BackendError: another thread changes the model.
        """
        with self.model.access.reading():
            return self._join(self.backend.to_numpy(self.model.store.values))

    def assign(self, values: Any) -> None:
        """Give the model these parameters, and `BatchNorm` the statistics of the examples to predict by.

        The state of the model's own optimizer, and the numbers of steps and epochs done, stay as they are.

        Args:
            values: (P,) numbers, finite in the model's dtype.

        Raises:
            ShapeError, DtypeError, DataError: values are no such vector. Nothing is changed then.
            OptionError, BackendError, OutOfMemoryError: as in a call.
        """
        checked = self._checked("values", values)
        self._check_finite(checked)
        self._assign(checked)

    @tells_where_memory_ended("Take fewer examples, or a smaller network.")
    def _assign(self, values: Vector) -> None:
        with self._alone():
            self._put(values)
            self._settle()

    def _settle(self) -> None:
        """Replace running statistics by those of the examples: a forward pass with momentum 1 does that."""
        norms = [layer for _, layer in self.model.places if isinstance(layer, BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        batch = self._batches.gather(self._batches.count)
        try:
            for norm in norms:
                norm.momentum = 1.0
            if norms:
                self.model.chain.forward(batch.x, Context(train=True, lengths=batch.lengths))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum

    def split(self, vector: Any) -> dict[str, Vector]:
        """Return the parts of a vector, be it of values or of a gradient, by parameter and in the shape of each.

        Args:
            vector: (P,) numbers; where they are of float64, the parts share its memory.

        Raises:
            ShapeError, DtypeError: it is no such vector.
        """
        whole = self._checked("vector", vector)
        return {name: whole[part].reshape(self._slots[name].shape) for name, part in self._parts.items()}

    def _checked(self, argument: str, vector: Any) -> Vector:
        array = to_host(vector, argument, self.model.ops)
        if array.shape != (self.size,):
            raise ShapeError(
                f"{argument} must have shape ({self.size},), one number per parameter and none for running "
                f"statistics, as objective.values() gives them, got {array.shape}."
            )
        return array.astype(np.float64, copy=False)

    def _check_finite(self, values: Vector) -> None:
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(self.model.dtype))
        if not finite.all():
            first = int(np.argmin(finite))
            name = next(name for name, part in self._parts.items() if part.start <= first < part.stop)
            raise DataError(
                f"values must be finite in {self.model.dtype}, got {values[first]:g} for an element of {name!r}. "
                "If an optimizer has run away, scale the inputs, or begin elsewhere."
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the model to oneself in the block; loss and gradient are looked at instead of every operation."""
        with self.model.access.exclusively(), np.errstate(all="ignore"):
            store, loss, l2 = self._terms
            if self.model.store is not store or self.model.loss is not loss or self.model.l2 != l2:
                raise OptionError(
                    "The model has been moved or compiled anew since this objective was made; make another one by "
                    "model.objective(x, y)."
                )
            yield

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        """Leave parameters and running statistics after the block as they were before."""
        held = self.model.store.values, self.model.store.state
        for array, copy in zip(held, self._copies, strict=True):
            copy[...] = array
        try:
            yield
        finally:
            for array, copy in zip(held, self._copies, strict=True):
                array[...] = copy

    def _put(self, values: Vector) -> None:
        flat = np.zeros(tuple(self.model.store.values.shape))
        for name, part in self._parts.items():
            flat[self._slots[name].place] = values[part]
        self.model.store.values[...] = self.model.ops.asarray(flat)

    def _join(self, flat: NDArray[Any]) -> Vector:
        vector = np.empty(self.size)
        for name, part in self._parts.items():
            vector[part] = flat[self._slots[name].place]
        return vector

    def __repr__(self) -> str:
        return f"<Objective of {self.size} parameters and {self._batches.count} examples on {self.backend.name}>"


def _side_by_side(slots: dict[str, Slot]) -> tuple[dict[str, slice], int]:
    """Return where each parameter lies in a vector without gaps, and the length of that."""
    parts, start = {}, 0
    for name, slot in slots.items():
        parts[name] = slice(start, start + math.prod(slot.shape))
        start = parts[name].stop
    return parts, start

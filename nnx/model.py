"""The model: layers in sequence, their buffers on one backend, and what users do with them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx import registry, training
from nnx.checks import check_count, check_number
from nnx.errors import BackendError, NotBuiltError, OptionError, ShapeError
from nnx.inputs import check_examples, check_x, transfer
from nnx.interface import Array, Backend
from nnx.layers import Activation, Builder, Chain, Dense, Layer
from nnx.losses import Loss, check_loss
from nnx.ops import Ops
from nnx.optimizers import Optimizer, check_optimizer
from nnx.parameters import Store
from nnx.random import check_seed
from nnx.steps import Measurement

if TYPE_CHECKING:
    from nnx.callbacks import Callback
    from nnx.history import History

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Snapshot:
    """Copies of all that training changes, on the device: restore it to go back."""

    arrays: tuple[Array, ...]
    epoch: int


class Sequential:
    """A network of layers, one after another.

    The model binds the backend that is selected when it is built: at once if `input_shape` is given, else by
    the first `fit`. `to` moves it to another.

    Args:
        layers: the layers, from input to output.
        seed: decides initial weights, dropout masks and shuffles; 0 to 2^64 - 1.
        dtype: "float32" or "float64".
        input_shape: the shape of one example; needed only to use the model before `fit`.
        backend: a name or a `Backend`; by default the selected one.

    Raises:
        OptionError, UnknownNameError, ShapeError: an option is out of its range, or layers do not fit together.
        BackendUnavailableError: the backend cannot run here.

    Examples:
        >>> model = nnx.Sequential([nnx.Dense(3, activation="relu"), nnx.Dense(1)], seed=1, input_shape=(2,))
        >>> model.predict([[0.0, 0.0]]).shape
        (1, 1)
    """

    backend: Backend
    ops: Ops
    store: Store
    step: Array
    input_shape: tuple[int, ...]

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        seed: int = 0,
        dtype: str = "float32",
        input_shape: Sequence[int] | None = None,
        backend: str | Backend | None = None,
    ) -> None:
        """Take the layers; build if the input shape is known."""
        if dtype not in DTYPES:
            raise OptionError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        self.chain, self.seed, self.dtype = Chain(layers), check_seed(seed), dtype
        self.moments: list[Array] = []
        self.l2 = 0.0
        self.epoch = 0
        self.built = False
        self._loss: Loss | None = None
        self._optimizer: Optimizer | None = None
        self._requested = backend
        self._training = threading.Lock()
        if input_shape is not None:
            self.build(input_shape)

    # Building

    def build(self, input_shape: Sequence[int]) -> None:
        """Bind the backend, infer all shapes and draw the initial weights.

        Args:
            input_shape: the shape of one example, without the batch axis.

        Raises:
            ShapeError: the layers do not fit together, or the model was built for another shape.
        """
        shape = tuple(check_count("input_shape", extent) for extent in input_shape)
        if self.built:
            if shape != self.input_shape:
                raise ShapeError(f"The model was built for examples of shape {self.input_shape}, got {shape}.")
            return
        self._bind(self._resolve(self._requested), shape)
        self._make_moments()

    @staticmethod
    def _resolve(backend: str | Backend | None) -> Backend:
        if backend is None:
            return registry.current()
        return registry.get(backend) if isinstance(backend, str) else backend

    def _bind(self, backend: Backend, shape: tuple[int, ...]) -> None:
        ops, step = Ops(backend, self.dtype), backend.zeros((), "int64")
        builder = Builder(ops, self.seed, step)
        output_shape = self.chain.build(builder, shape)
        self.store = Store(backend, self.dtype, builder.parameters, builder.states)
        self.backend, self.ops, self.step = backend, ops, step
        self.input_shape, self.output_shape, self.built = shape, output_shape, True

    def _make_moments(self) -> None:
        names = self._optimizer.moments if self._optimizer else ()
        self.moments = [self.backend.zeros(tuple(self.store.values.shape), self.dtype) for _ in names]

    def compile(
        self, loss: str | Loss, optimizer: str | Optimizer = "adam", *, l2: float = 0.0
    ) -> Sequential:
        """Choose what training makes small, and how; returns the model itself. Moments start again at zero.

        Args:
            loss: a name such as "softmax_cross_entropy", or a `Loss`.
            optimizer: a name such as "adam", or an `Optimizer`.
            l2: lambda of the penalty lambda / (2 m) sum W^2 over the weights of all layers that name none of
                their own, m being the number of examples in the batch.

        Raises:
            UnknownNameError: no loss or optimizer has that name.
            OptionError: l2 is negative, or the last layer applies what the loss applies itself.
        """
        self._loss, self._optimizer = check_loss(loss), check_optimizer(optimizer)
        self.l2 = check_number("l2", l2, 0)
        self._check_last_layer(self._loss)
        if self.built:
            self._make_moments()
        return self

    def _check_last_layer(self, loss: Loss) -> None:
        last = self.chain.layers[-1] if self.chain.layers else None
        if isinstance(last, Dense | Activation) and last.activation in loss.final_activations:
            raise OptionError(
                f"{loss.name} applies its own {last.activation.split('_')[-1]}: end the model in plain outputs, "
                f"without activation={last.activation!r}, and use predict_proba for probabilities."
            )

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

    @property
    def outputs(self) -> int:
        """Number of outputs per example; ShapeError unless the model ends in one axis."""
        if len(self.output_shape) != 1:
            raise ShapeError(
                f"A loss needs outputs of shape (N, outputs), got (N, {', '.join(map(str, self.output_shape))}). "
                "Add Flatten() or a Dense layer."
            )
        return self.output_shape[0]

    def _need_built(self) -> None:
        if not self.built:
            raise NotBuiltError("The model has no weights yet; call fit, or build(input_shape) first.")

    # Training and measuring

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int | str = 32,
        validation_data: tuple[Any, Any] | None = None,
        validation_split: float = 0.0,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        callbacks: Iterable[Callback] = (),
        shuffle: bool = True,
        eager: bool = False,
        progress: bool | None = None,
    ) -> History:
        """Train the model; calling it again goes on where it ended.

        Args:
            x: (M, *input shape) numbers.
            y: targets as the loss takes them: (M,) labels, (M, C) distributions, or (M, O) values.
            epochs: how many times to go through the examples.
            batch_size: examples per step, or "full" for all at once. A last, smaller batch is trained on too.
            validation_data: (x, y) to measure after each epoch.
            validation_split: share of the examples, drawn by the seed, to set aside for that instead, in [0, 1).
            sample_weight: (M,) how much each example counts.
            class_weight: how much each class counts, by label.
            callbacks: see `nnx.callbacks`.
            shuffle: new order in every epoch; otherwise the order given.
            eager: run the layers' code in every step instead of replaying a recording; the same numbers.
            progress: show a progress bar; by default only on a terminal.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: the data are not what the model takes.
            DivergenceError: the loss became NaN or infinite; the model is left as it was before that step.
            NotBuiltError: `compile` was not called.
            BackendError: another thread is training this model.
        """
        options = training.Options(
            epochs=check_count("epochs", epochs, 0),
            batch_size=batch_size if batch_size == "full" else check_count("batch_size", batch_size),
            validation_split=check_number("validation_split", validation_split, 0, 1),
            shuffle=shuffle,
            eager=eager,
            progress=progress,
        )
        if validation_data is not None and validation_split:
            raise OptionError("validation_data and validation_split exclude each other; give one of them.")
        with self._exclusively():
            examples = self._examples(x, y, sample_weight, class_weight)
            validation = None if validation_data is None else self._examples(*validation_data)
            return training.fit(self, examples, validation, options, callbacks)

    def _examples(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Any:
        loss, _ = self.loss, self.optimizer
        if not self.built:
            backend = self._resolve(self._requested)
            array = check_x(x, None, Ops(backend, self.dtype))
            self._requested = backend
            self.build(array.shape[1:])
        shape = self.input_shape
        return check_examples(x, y, sample_weight, class_weight, loss, shape, self.outputs, self.ops)

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        if not self._training.acquire(blocking=False):
            raise BackendError("This model is being trained by another thread; give each thread a model of its own.")
        try:
            yield
        finally:
            self._training.release()

    def evaluate(self, x: Any, y: Any, *, batch_size: int = 1024) -> dict[str, float]:
        """Return {"loss": ..., "accuracy": ...} on examples; accuracy for classification only, loss without L2.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: the data are not what the model takes.
        """
        self._need_built()
        examples = transfer(self._examples(x, y), self.ops)
        return Measurement(self, examples, check_count("batch_size", batch_size)).measure()

    # Predicting

    def predict(self, x: Any, *, batch_size: int = 1024) -> NDArray[Any]:
        """Return the outputs, (N, *output shape): logits for a classifier, values for a regression.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: x is not what the model takes.
        """
        return self._map(x, batch_size, lambda outputs: outputs)

    def predict_proba(self, x: Any, *, batch_size: int = 1024) -> NDArray[Any]:
        """Return the probabilities under a classification loss, (N, outputs).

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss = self.loss
        return self._map(x, batch_size, lambda outputs: loss.probabilities(self.ops, outputs))

    def predict_classes(self, x: Any, *, batch_size: int = 1024) -> NDArray[Any]:
        """Return the most likely class of each example, (N,) int64.

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss = self.loss
        return self._map(x, batch_size, lambda outputs: loss.classes(self.ops, outputs))

    def _map(self, x: Any, batch_size: int, function: Any) -> NDArray[Any]:
        self._need_built()
        size = check_count("batch_size", batch_size)
        host = check_x(x, self.input_shape, self.ops)
        pieces = []
        for start in range(0, max(host.shape[0], 1), size):
            piece = self.ops.asarray(host[start : start + size])
            outputs, _ = self.chain.forward(piece, train=False)
            pieces.append(self.backend.to_numpy(function(outputs)))
        return np.concatenate(pieces)

    # Moving and keeping

    def state_arrays(self) -> tuple[Array, ...]:
        """Return every array that training changes: values, state, step and moments."""
        return self.store.values, self.store.state, self.step, *self.moments

    def snapshot(self) -> Snapshot:
        """Copy all that training changes."""
        copies = []
        for array in self.state_arrays():
            copy = self.backend.empty(tuple(array.shape), self.backend.dtype_name(array))
            copy[...] = array
            copies.append(copy)
        return Snapshot(tuple(copies), self.epoch)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this model."""
        for array, copy in zip(self.state_arrays(), snapshot.arrays, strict=True):
            array[...] = copy
        self.epoch = snapshot.epoch

    def to(self, backend: str | Backend) -> Sequential:
        """Move the model, with all optimizer state, to another backend; returns the model itself.

        Raises:
            UnknownNameError, BackendUnavailableError: there is no such backend here.
        """
        target = self._resolve(backend)
        self._requested = target
        if self.built and target is not self.backend:
            host = [self.backend.to_numpy(array) for array in self.state_arrays()]
            self._bind(target, self.input_shape)
            self._make_moments()
            for array, values in zip(self.state_arrays(), host, strict=True):
                array[...] = target.asarray(values, target.dtype_name(array))
        return self

    def get_weights(self) -> dict[str, NDArray[Any]]:
        """Return copies of all parameters and states on the host, by name ("0.weight", "1.running_mean", ...)."""
        self._need_built()
        held = [*self.store.parameters, *self.store.states]
        return {item.name: self.backend.to_numpy(item.value) for item in held}

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Replace parameters and states by name; those not named stay.

        Raises:
            UnknownNameError: the model has nothing of that name.
            ShapeError: the values have another shape. Nothing is changed then.
        """
        from nnx.weights import assign

        self._need_built()
        assign(self, weights)

    def save(self, path: str | Path) -> None:
        """Write configuration, weights and optimizer state to an HDF5 file, whole or not at all; see `nnx.load`."""
        from nnx.serialization import save

        save(self, path)

    def summary(self) -> str:
        """Return a table of the layers, their output shapes and numbers of parameters."""
        from nnx.summary import summarise

        self._need_built()
        return summarise(self)

    def __repr__(self) -> str:
        where = f" on {self.backend.name}, {self.store.count()} parameters" if self.built else ", not built"
        return f"<Sequential of {len(self.chain.layers)} layers{where}>"

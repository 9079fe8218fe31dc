"""Prediction step by step: sequences come in pieces, and recurrent states go on from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.border import check_time_axis, check_values, check_x
from nnx.errors import OptionError, ShapeError, UnknownNameError
from nnx.inputs import send
from nnx.interface import Array
from nnx.layers import Context, Layer

if TYPE_CHECKING:
    from nnx.layers.base import States
    from nnx.model import Sequential

HostStates = dict[str, tuple[NDArray[Any], ...]]


class Stream:
    """Some sequences side by side, predicted piece by piece; made by `Sequential.stream`.

    Its predictions are those for whole sequences, except that recurrent layers without `return_sequences` give
    their output after each piece. The states belong to the stream: others of the same model do not disturb it, nor
    does training, whose new weights are used as soon as they are there. It follows the model to another backend.
    One thread at a time may use a stream.

    Examples:
        >>> model = nnx.Sequential([nnx.LSTM(4)], seed=1, input_shape=(10, 2))
        >>> stream = model.stream()
        >>> stream.predict([[[0.5, -1.0]]]).shape, stream.predict([[[1.0, 0.0], [2.0, 0.5]]]).shape
        ((1, 4), (1, 4))
        >>> [state.shape for state in stream.states["0"]]
        [(1, 4), (1, 4)]
    """

    def __init__(self, model: Sequential, batch_size: int) -> None:
        """Begin with states of zeros."""
        model.need_built()
        check_time_axis(model.input_shape, model.vocabulary, "stream")
        unfit = _unfit(model.chain.layers)
        if unfit:
            raise OptionError(
                f"stream needs layers that work step by step, but layer {unfit[0]}, {unfit[1]!r}, needs whole "
                "sequences; use predict, or a model without it."
            )
        self._model, self._ops, self._batch_size = model, model.ops, batch_size
        self._paths: dict[Layer, str] = {layer: path for path, layer in model.places if isinstance(layer, Layer)}
        self._states: States = self._zeros()

    @property
    def model(self) -> Sequential:
        """The model that predicts."""
        return self._model

    @property
    def batch_size(self) -> int:
        """How many sequences go side by side."""
        return self._batch_size

    def predict(self, x: Any) -> NDArray[Any]:
        """Return the outputs for the next piece of each sequence, and go on from there.

        Args:
            x: (N, T, F) numbers, or (N, T) tokens, N being the stream's batch size and T at least 1.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: x is not what the model takes; the states stay.
        """
        return self._advance(x, lambda outputs: outputs)

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return the probabilities under a classification loss, of shape like the outputs; else as `predict`.

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss = self._model.loss
        return self._advance(x, lambda outputs: loss.probabilities(self._ops, outputs))

    def predict_classes(self, x: Any) -> NDArray[Any]:
        """Return the most likely classes, (N,) or (N, T) int64; else as `predict`.

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss, before = self._model.loss, self._states
        outputs = self.predict(x)
        try:
            return loss.classes(outputs)
        except OptionError:
            self._states = before
            raise

    def reset(self) -> None:
        """Begin new sequences, with states of zeros."""
        self._follow()
        self._states = self._zeros()

    @property
    def states(self) -> HostStates:
        """Copies of the states on the host, by path of the layer: (h,), or (h, c) of an LSTM, each (N, H).

        Those that are set, by path, replace the stream's; others stay.

        Raises:
            UnknownNameError: there is no recurrent layer at a path.
            ShapeError, DataError, DtypeError: states of another number or shape, not finite, or not numbers.
        """
        to_numpy = self._ops.backend.to_numpy
        return {self._paths[layer]: tuple(map(to_numpy, arrays)) for layer, arrays in self._states.items()}

    @states.setter
    def states(self, states: Mapping[str, tuple[Any, ...]]) -> None:
        self._follow()
        held = {self._paths[layer]: layer for layer in self._states}
        for path in states:
            if path not in held:
                raise UnknownNameError("recurrent layer", path, held)
        self._states = {
            **self._states,
            **{held[path]: self._checked(path, given, self._states[held[path]]) for path, given in states.items()},
        }

    def _checked(self, path: str, given: Any, former: tuple[Array, ...]) -> tuple[Array, ...]:
        ops = self._ops
        if not isinstance(given, tuple | list) or len(given) != len(former):
            shapes = ", ".join(str(tuple(array.shape)) for array in former)
            raise ShapeError(
                f"states[{path!r}] must be a tuple of {len(former)}, of shape {shapes}, "
                f"got a {type(given).__name__}{f' of {len(given)}' if hasattr(given, '__len__') else ''}."
            )
        return tuple(
            ops.asarray(check_values(values, tuple(array.shape), f"states[{path!r}][{index}]", ops))
            for index, (values, array) in enumerate(zip(given, former, strict=True))
        )

    def _advance(self, x: Any, function: Callable[[Array], Array]) -> NDArray[Any]:
        self._follow()
        model, ops, states = self._model, self._ops, dict(self._states)
        host = check_x(x, (None, *model.input_shape[1:]), model.vocabulary, ops)
        if host.shape[0] != self._batch_size or host.shape[1] == 0:
            expected = ", ".join(map(str, (self._batch_size, "T", *model.input_shape[1:])))
            raise ShapeError(
                f"x must have shape ({expected}) with T of at least 1, the next steps of the stream's "
                f"{self._batch_size} sequences, got {host.shape}."
            )
        with np.errstate(all="ignore"):
            outputs, _ = model.chain.forward(send(host, ops), Context(train=False, states=states))
            result = ops.backend.to_numpy(function(outputs))
        self._states = states
        return result

    def _zeros(self) -> States:
        """Return the states of all recurrent layers, zero: one step shows which there are, and of what shape."""
        model, ops = self._model, self._ops
        states: States = {}
        dtype = "float64" if model.vocabulary is None else "int64"
        step = np.zeros((self._batch_size, 1, *model.input_shape[1:]), dtype)
        with np.errstate(all="ignore"):
            model.chain.forward(send(step, ops), Context(train=False, states=states))
        zeros = ops.backend.zeros
        return {
            layer: tuple(zeros(tuple(array.shape), model.dtype) for array in arrays)
            for layer, arrays in states.items()
        }

    def _follow(self) -> None:
        """Take the states to the backend of the model, if it has moved."""
        if self._ops is not self._model.ops:
            former, self._ops = self._ops, self._model.ops
            self._states = {
                layer: tuple(self._ops.asarray(former.backend.to_numpy(array)) for array in arrays)
                for layer, arrays in self._states.items()
            }


def _unfit(layers: Sequence[Layer], outer: str = "") -> tuple[str, Layer] | None:
    """Return path and layer of the first that does not work step by step; of a container, what is in it."""
    for index, layer in enumerate(layers):
        if not layer.streams:
            path = f"{outer}{index}"
            return _unfit(getattr(layer, "layers", ()), f"{path}.") or (path, layer)
    return None

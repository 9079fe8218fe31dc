"""Prediction step by step: sequences come in pieces, and recurrent states go on from one to the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.border import check_time_axis, check_values, check_x, to_host
from nnx.errors import BackendError, OptionError, ShapeError, UnknownNameError
from nnx.inputs import send
from nnx.interface import Array
from nnx.layers import Context, Layer

if TYPE_CHECKING:
    from nnx.layers.base import States
    from nnx.trainable import Trainable

HostStates = dict[str, tuple[NDArray[Any], ...]]


class Stream:
    """Some sequences side by side, predicted piece by piece; made by `Sequential.stream`.

    Its predictions are those for whole sequences, except that recurrent layers without `return_sequences` give
    their output after each piece. The states belong to the stream: others of the same model do not disturb it, nor
    does training, whose new weights are used as soon as they are there. It follows the model to another backend.
    One thread at a time may use a stream, while others may use streams of their own.

    Attributes:
        model: what predicts.
        batch_size: how many sequences go side by side.

    Examples:
        >>> model = nnx.Sequential([nnx.LSTM(4)], seed=1, input_shape=(10, 2))
        >>> stream = model.stream()
        >>> stream.predict([[[0.5, -1.0]]]).shape, stream.predict([[[1.0, 0.0], [2.0, 0.5]]]).shape
        ((1, 4), (1, 4))
        >>> [state.shape for state in stream.states["0"]]
        [(1, 4), (1, 4)]
    """

    def __init__(self, model: Trainable, batch_size: int) -> None:
        """Begin with states of zeros."""
        model.need_built()
        check_time_axis(model.input_shape, model.vocabulary, "stream")
        unfit = _unfit(model.chain.layers)
        if unfit:
            raise OptionError(
                f"stream needs layers that work step by step, but layer {unfit[0]}, {unfit[1]!r}, needs whole "
                "sequences; use predict, or a model without it."
            )
        self.model, self.batch_size, self._ops = model, batch_size, model.ops
        self._paths: dict[Layer, str] = {layer: path for path, layer in model.places if isinstance(layer, Layer)}
        self._states: States = {}
        self._busy = threading.Lock()
        self._advance(np.zeros((batch_size, 1, *model.input_shape[1:])), lambda outputs: outputs)
        self.reset()  # that step has shown which states there are, and of what shapes

    def predict(self, x: Any) -> NDArray[Any]:
        """Return the outputs for the next piece of each sequence, and go on from there.

        Args:
            x: (N, T, F) numbers, or (N, T) tokens, N being the stream's batch size and T at least 1.

        Raises:
            DataError, ShapeError, DtypeError, BackendError: x is not what the model takes; the states stay.
            BackendError: another thread uses the stream, or trains or changes the model; the states stay.
        """
        return self._advance(x, lambda outputs: outputs)

    def predict_proba(self, x: Any) -> NDArray[Any]:
        """Return the probabilities under a classification loss, of shape like the outputs; else as `predict`.

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss = self.model.loss
        return self._advance(x, lambda outputs: loss.probabilities(self._ops, outputs))

    def predict_classes(self, x: Any) -> NDArray[Any]:
        """Return the most likely classes, (N,) or (N, T) int64; else as `predict`.

        Raises:
            OptionError: the loss is not one of classification.
        """
        loss, before = self.model.loss, self._states
        outputs = self.predict(x)
        try:
            return loss.classes(outputs)
        except OptionError:
            self._states = before
            raise

    def reset(self) -> None:
        """Begin new sequences, with states of zeros."""
        with self._alone():
            self._follow()
            zeros, dtype = self._ops.backend.zeros, self._ops.dtype
            self._states = {
                layer: tuple(zeros(tuple(array.shape), dtype) for array in arrays)
                for layer, arrays in self._states.items()
            }

    @property
    def states(self) -> HostStates:
        """Copies of the states on the host, by path of the layer: (h,), or (h, c) of an LSTM, each (N, H).

        Those that are set, by path, replace the stream's; others stay.

        Raises:
            OptionError, UnknownNameError: they are not named, or there is no recurrent layer at a path.
            ShapeError, DataError, DtypeError: states of another number or shape, not finite, or not numbers.
        """
        to_numpy = self._ops.backend.to_numpy
        return {self._paths[layer]: tuple(map(to_numpy, arrays)) for layer, arrays in self._states.items()}

    @states.setter
    def states(self, states: Mapping[str, tuple[Any, ...]]) -> None:
        if not isinstance(states, Mapping):
            kind = type(states).__name__
            raise OptionError(f"states must map paths of layers to tuples of arrays, got {kind}.")
        held = {self._paths[layer]: layer for layer in self._states}
        for path in states:
            if path not in held:
                raise UnknownNameError("recurrent layer", path, held)
        with self._alone():
            self._follow()
            self._states |= {
                held[path]: self._checked(path, given, self._states[held[path]]) for path, given in states.items()
            }

    def __repr__(self) -> str:
        return f"<Stream of {self.batch_size} sequences through {self.model!r}>"

    def _checked(self, path: str, given: Any, former: tuple[Array, ...]) -> tuple[Array, ...]:
        ops = self._ops
        if not isinstance(given, tuple | list) or len(given) != len(former):
            shapes = " and ".join(str(tuple(array.shape)) for array in former)
            found = (
                f"{type(given).__name__} of {len(given)}"
                if isinstance(given, tuple | list)
                else type(given).__name__
            )
            raise ShapeError(
                f"states[{path!r}] must be a tuple that holds {len(former)} array{'s' * (len(former) > 1)}, "
                f"{shapes}, got {found}."
            )
        return tuple(
            ops.asarray(check_values(values, tuple(array.shape), f"states[{path!r}][{index}]", ops))
            for index, (values, array) in enumerate(zip(given, former, strict=True))
        )

    def _advance(self, x: Any, function: Callable[[Array], Array]) -> NDArray[Any]:
        with self._alone():
            self._follow()
            model, ops, states = self.model, self._ops, dict(self._states)
            given = to_host(x, "x", ops)
            self._check_shape(given.shape)
            host = check_x(given, None, model.vocabulary, ops)
            outputs, _ = model.chain.forward(send(host, ops), Context(train=False, states=states))
            result = ops.backend.to_numpy(function(outputs))
            self._states = states
            return result

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Use stream and model as the only thread that advances the one, and while none changes the other."""
        if not self._busy.acquire(blocking=False):
            raise BackendError("This stream is being used by another thread; give each thread a stream of its own.")
        try:
            with self.model.access.reading(), np.errstate(all="ignore"):
                yield
        finally:
            self._busy.release()

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        count, features = self.batch_size, self.model.input_shape[1:]
        if len(shape) == len(features) + 2 and shape[0] == count and shape[1] > 0 and shape[2:] == features:
            return
        hint = ""
        if shape == (count, *features):
            hint = " For one step of each sequence, add the axis of steps: x[:, None]."
        elif count == 1 and shape == features:
            hint = " For one step of one sequence, add both axes: x[None, None]."
        elif count == 1 and len(shape) == len(features) + 1 and shape[1:] == features:
            hint = " For one sequence, add the batch axis: x[None]."
        expected = ", ".join(map(str, (count, "T", *features)))
        raise ShapeError(
            f"x must have shape ({expected}) with T of at least 1, the next steps of the stream's "
            f"{count} sequences, got {shape}.{hint}"
        )

    def _follow(self) -> None:
        """Take the states to the backend of the model, if it has moved."""
        if self._ops is not self.model.ops:
            former, self._ops = self._ops, self.model.ops
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

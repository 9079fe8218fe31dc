"""Layers with their buffers on one backend: built, given inputs, and looked into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from nnx.access import Access
from nnx.border import (
    Extents,
    Host,
    check_lengths,
    check_states,
    check_time_axis,
    check_weight,
    check_x,
    has_time_axis,
)
from nnx.builder import Blank, Builder, Claimable, Shape
from nnx.checks import check_count
from nnx.errors import NotBuiltError, OptionError, ShapeError
from nnx.interface import Array, Backend
from nnx.layers import Chain, Layer
from nnx.ops import Ops
from nnx.optimizers import Optimizer
from nnx.parameters import Store
from nnx.random import check_seed
from nnx.registry import resolve

DTYPES = ("float32", "float64")


class Network:
    """What a model is made of; `Movable` takes it to other backends, `Sequential` adds what users do with it.

    Attributes:
        chain: the layers.
        seed, dtype, input_shape, output_shape: as given and inferred; shapes without the batch axis.
        steps_last: whether the first axis of an output holds the steps of the inputs.
        last_states: whether a recurrent layer gives only its last states.
        mixer: the path and the layer of the first that takes padding for steps, or knows one number of steps only;
            None if there is none.
        backend, ops: where it runs.
        store: parameters, gradients and state in flat buffers.
        step: () int64 on the device, the number of training steps done.
        moments: one flat array per moment of the optimizer.
        places: the path, such as "2" or "3.0", and the layer, of every layer and inner layer; an inner one after
            the one that holds it.
        epoch: the number of epochs done.
        built: whether all of these exist yet.
        access: which threads use the model now.
    """

    store: Store
    step: Array
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    steps_last: bool
    last_states: bool
    mixer: tuple[str, Claimable] | None

    def __init__(self, layers: Sequence[Layer], seed: int, dtype: str, backend: str | Backend | None) -> None:
        """Take the layers, unbuilt, and bind the backend."""
        if dtype not in DTYPES:
            raise OptionError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
        self.chain, self.seed, self.dtype = Chain(layers), check_seed(seed), dtype
        self.moments: list[Array] = []
        self.epoch = 0
        self.built = False
        self._optimizer: Optimizer | None = None
        self.access = Access()
        self.backend = resolve(backend)
        self.ops = Ops(self.backend, dtype)
        self.places: list[tuple[str, Claimable]] = []

    def build(self, input_shape: Sequence[int]) -> None:
        """Infer all shapes and draw the initial weights.

        Args:
            input_shape: the shape of one example, without the batch axis.

        Raises:
            ShapeError: the layers do not fit together, or the model was built for another shape.
            OptionError: input_shape is not a shape, or a layer belongs to another model.
            BackendError: the model has no weights yet, and another thread uses it.
        """
        self._build(input_shape, Builder)

    def lay_out(self, input_shape: Sequence[int], room: int) -> None:
        """Do as `build` does, but draw no weights: all are zero until `from_host` sets them.

        Args:
            input_shape: the shape of one example, without the batch axis.
            room: how many values the layers may have together; nothing is allocated for more.

        Raises:
            ShapeError, OptionError: as `build`, or there are more values.
        """
        self._build(input_shape, partial(Blank, room=room))

    def _build(self, input_shape: Sequence[int], maker: Callable[..., Builder]) -> None:
        shape = check_input_shape(input_shape)
        if self._is_built_for(shape):
            return
        with self.access.changing():
            if not self._is_built_for(shape):  # nor has another thread done so, and perhaps trained it, by now
                self._bind(self.backend, shape, maker)
                self.built = True

    def _is_built_for(self, shape: Shape) -> bool:
        if self.built and shape != self.input_shape:
            raise ShapeError(f"The model was built for examples of shape {self.input_shape}, got {shape}.")
        return self.built

    def _bind(self, backend: Backend, shape: Shape, maker: Callable[..., Builder]) -> None:
        ops, step = Ops(backend, self.dtype), backend.zeros((), "int64")
        steps = has_time_axis(shape, self.vocabulary)
        builder = maker(ops, self.seed, step, owner=self.chain, steps=steps)
        output_shape = self.chain.build(builder, shape)
        self.store = Store(backend, self.dtype, builder.parameters, builder.states)
        for layer in builder.layers:
            layer.owner = self.chain
        self.backend, self.ops, self.step = backend, ops, step
        self.places = list(zip(builder.paths, builder.layers, strict=True))
        self.input_shape, self.output_shape = shape, output_shape
        self.steps_last, self.last_states, self.mixer = builder.steps, builder.last_states, builder.mixer
        self._make_moments()

    def _make_moments(self) -> None:
        shape = tuple(self.store.values.shape)
        self.moments = [self.backend.zeros(shape, self.dtype) for _ in self.moment_names]

    @property
    def moment_names(self) -> tuple[str, ...]:
        """The names of the optimizer's moments, in the order of `moments`."""
        return self._optimizer.moments if self._optimizer else ()

    @property
    def vocabulary(self) -> int | None:
        """How many tokens there are, if the first layer takes tokens; None if the model takes numbers."""
        first: Any = self.chain.layers[0] if self.chain.layers else None
        return first.vocabulary if first is not None and first.takes == "tokens" else None

    @property
    def input_extents(self) -> Extents:
        """The shape that examples must have, None standing for any number of steps where all layers take any."""
        if self.mixer is None and has_time_axis(self.input_shape, self.vocabulary):
            return None, *self.input_shape[1:]
        return self.input_shape

    def check_inputs(
        self, x: Any, lengths: Any, x_name: str = "x", lengths_name: str = "lengths"
    ) -> tuple[Host, Host | None]:
        """Return inputs (M, *input_extents), and how many of their steps are real, (M,) int64 or None for all.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: they are not what the model takes.
            OptionError: lengths for a model with a layer that would take padding for steps.
        """
        host = check_x(x, self.input_extents, self.vocabulary, self.ops, x_name)
        return host, self.check_lengths_of(host.shape, lengths, lengths_name)

    def check_lengths_of(self, shape: tuple[int, ...], lengths: Any, lengths_name: str) -> Host | None:
        """Return how many steps of inputs of this shape are real; arguments and errors as of `check_inputs`."""
        if lengths is None:
            return None
        check_time_axis(self.input_shape, self.vocabulary, lengths_name)
        if self.mixer is not None:
            path, layer = self.mixer
            raise OptionError(
                f"{lengths_name} cannot be given to a model with layer {path}, {layer!r}, which would take padding "
                "for steps. Leave them out, or use layers that pass over padding, such as LSTM."
            )
        return check_lengths(lengths, shape[0], shape[1], self.ops, lengths_name)

    def need_built(self) -> None:
        """Raise NotBuiltError unless the model has weights."""
        if not self.built:
            raise NotBuiltError("The model has no weights yet; call fit, or build(input_shape) first.")

    def get_weights(self) -> dict[str, NDArray[Any]]:
        """Return copies of all parameters and states on the host, by name ("0.weight", "1.running_mean", ...).

        They come layer by layer, from the first to the last.

        Raises:
            BackendError: another thread changes the model.
        """
        self.need_built()
        with self.access.reading():
            return {name: self.backend.to_numpy(value) for name, value in self.store.named().items()}

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Replace parameters and states by name; those not named stay.

        Raises:
            OptionError: weights are no dictionary.
            UnknownNameError: the model has nothing of that name.
            ShapeError, DataError, DtypeError: values of another shape, not finite, of a negative variance, or not
                numbers. Nothing is changed then.
            BackendError: another thread uses the model.
        """
        self.need_built()
        if not isinstance(weights, Mapping):
            raise OptionError(
                f"weights must be a dictionary of arrays by name, as get_weights gives, got {weights!r}."
            )
        with self.access.changing():
            held = self.store.named()
            checked = {name: check_weight(name, values, held, self.ops) for name, values in weights.items()}
            check_states(checked, self.store.states)
            for name, values in checked.items():
                held[name][...] = self.ops.asarray(values)


def check_input_shape(shape: object) -> Shape:
    """Return the shape of one example.

    Raises:
        OptionError: it is no sequence of whole numbers of at least 1.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str | bytes):
        raise OptionError(f"input_shape must be the shape of one example, such as (784,), got {shape!r}.")
    try:
        return tuple(check_count("input_shape", extent) for extent in shape)
    except OptionError as error:
        hint = " For any number of steps give one of them, such as 1: recurrent layers take all." * (None in shape)
        raise OptionError(f"input_shape must hold whole numbers of at least 1, got {shape!r}.{hint}") from error

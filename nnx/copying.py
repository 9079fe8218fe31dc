"""Copies of models, and models in pickles: options and values, from which the model is made anew.

`copy.deepcopy`, `pickle` and `joblib` come here by way of `Sequential`. A pickle names classes and calls them, so
that one of a stranger can run any code: files to give away are those of `Sequential.save`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nnx import registry
from nnx.errors import BackendError, BackendUnavailableError, OptionError, UnknownNameError
from nnx.interface import Backend
from nnx.layers import Layer
from nnx.losses import Loss
from nnx.model import Sequential
from nnx.movable import Weights
from nnx.optimizers import Optimizer


@dataclass(frozen=True)
class Plan:
    """What a layer is made of: its class, and its options by name, in which inner layers are plans too."""

    kind: type[Layer]
    options: dict[str, Any]


@dataclass(frozen=True)
class Parts:
    """All that a model consists of but its backend.

    Attributes:
        layers: one plan each.
        seed, dtype, l2, loss, optimizer, epoch, metadata: of the model; loss and optimizer None before `compile`.
        input_shape: None before the model is built.
        weights: all that training changes, on the host; None before the model is built.
    """

    layers: list[Plan]
    seed: int
    dtype: str
    l2: float
    loss: Loss | None
    optimizer: Optimizer | None
    epoch: int
    metadata: dict[str, Any]
    input_shape: tuple[int, ...] | None
    weights: Weights | None


def duplicate(model: Sequential, seed: int | None = None) -> Sequential:
    """Return a model like this one, on the same backend, that shares nothing with it.

    Args:
        model: built or not, compiled or not.
        seed: in place of the model's; weights that there are stay as they are.

    Raises:
        OptionError: a layer cannot be made anew from its options.
        BackendError: another thread trains or changes the model.
    """
    parts = _take_apart(model)
    return _assemble(parts if seed is None else replace(parts, seed=seed), model.backend)


def reduce(model: Sequential) -> tuple[Callable[..., Sequential], tuple[Any, ...]]:
    """Return what makes the model anew, and the arguments to call it with, as `object.__reduce__` is to.

    Raises:
        OptionError: a layer cannot be made anew from its options.
        BackendError: another thread trains or changes the model, or no name leads to its backend.
    """
    backend = model.backend
    try:
        known = registry.get(backend.name) is backend
    except (UnknownNameError, BackendUnavailableError):
        known = False
    if not known:
        raise BackendError(
            f"a model on a backend that was not selected by its name, {backend.name!r}, cannot be pickled, because "
            "nothing would lead back to it. Move the model first, by model.to('numpy'), or save it by "
            "model.save(path)."
        )
    return assemble, (_take_apart(model), backend.name)


def assemble(parts: Parts, backend: str) -> Sequential:
    """Make the model of a pickle, on the backend it was on.

    Raises:
        BackendUnavailableError: that backend cannot run here.
    """
    try:
        return _assemble(parts, registry.get(backend))
    except BackendUnavailableError as error:
        hint = "Before pickling, move the model by model.to('numpy'); or use model.save(path) and nnx.load(path)."
        raise BackendUnavailableError(backend, error.reason, f"{error.hint} {hint}".strip()) from error


def _take_apart(model: Sequential) -> Parts:
    if type(model) is not Sequential:
        raise OptionError(
            f"a {type(model).__name__} cannot be copied or pickled, because nnx does not know what a subclass of "
            "Sequential adds; define __reduce__ and __deepcopy__ in it."
        )
    with model.access.reading():
        return Parts(
            [_plan(layer) for layer in model.chain.layers],
            model.seed,
            model.dtype,
            model.l2,
            model.loss if model.compiled else None,
            model.optimizer if model.compiled else None,
            model.epoch,
            copy.deepcopy(model.metadata),
            model.input_shape if model.built else None,
            model.to_host() if model.built else None,
        )


def _assemble(parts: Parts, backend: Backend) -> Sequential:
    layers = [_make(plan) for plan in parts.layers]
    model = Sequential(layers, seed=parts.seed, dtype=parts.dtype, backend=backend)
    if parts.loss is not None and parts.optimizer is not None:
        model.compile(parts.loss, parts.optimizer, l2=parts.l2)
    if parts.input_shape is not None and parts.weights is not None:
        model.lay_out(parts.input_shape, sum(values.size for values in parts.weights.arrays))
        model.from_host(parts.weights)
    model.epoch, model.metadata = parts.epoch, copy.deepcopy(parts.metadata)
    return model


def _plan(value: Any) -> Any:
    """Return a layer as a plan, also within lists; all else as it is."""
    if isinstance(value, list | tuple):
        return [_plan(item) for item in value]
    if not isinstance(value, Layer):
        return value
    plan = Plan(type(value), {name: _plan(option) for name, option in value.config().items()})
    try:
        _make(plan)  # so that what cannot be made anew is told of now, not when the pickle is read
    except Exception as error:  # whatever the layer of a user raises
        raise OptionError(
            f"a model with {value!r} cannot be copied or pickled: {type(value).__name__} cannot be made of what "
            f"its config() gives, {error!r}. Make it a dataclass whose fields are its options."
        ) from error
    return plan


def _make(value: Any) -> Any:
    if isinstance(value, list):
        return [_make(item) for item in value]
    if not isinstance(value, Plan):
        return value
    return value.kind(**{name: _make(option) for name, option in value.options.items()})

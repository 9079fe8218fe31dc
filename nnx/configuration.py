"""A model's configuration as plain JSON values, and back; names are looked up in tables, never imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx.errors import OptionError, UnknownNameError
from nnx.initializers import INITIALIZERS
from nnx.interface import Backend
from nnx.layers import LAYERS, Layer
from nnx.losses import LOSSES, Loss
from nnx.model import Sequential
from nnx.optimizers import OPTIMIZERS, Optimizer
from nnx.schedules import SCHEDULES, Schedule

Json = dict[str, Any]


def to_config(model: Sequential) -> Json:
    """Return everything about a built model but its arrays.

    Raises:
        OptionError: an option is a function, or something is not of a class that `from_config` knows.
    """
    views = [
        {"name": parameter.name, "start": slot.start, "shape": list(slot.shape)}
        for parameter, slot in zip(model.store.parameters, model.store.slots, strict=True)
    ]
    return {
        "layers": [_pack(layer, LAYERS) for layer in model.chain.layers],
        "input_shape": list(model.input_shape),
        "seed": model.seed,
        "dtype": model.dtype,
        "loss": _pack(model.loss, LOSSES) if model.compiled else None,
        "optimizer": _pack(model.optimizer, OPTIMIZERS) if model.compiled else None,
        "l2": model.l2,
        "epoch": model.epoch,
        "views": views,
    }


def from_config(config: Json, backend: Backend, room: int) -> Sequential:
    """Make a built, compiled model without its trained values.

    Args:
        config: what `to_config` gave.
        backend: where the model is to run.
        room: how many values its layers may have together.

    Raises:
        KeyError, TypeError, ValueError, NnxError: config was not made by `to_config`.
    """
    layers = [_unpack(item, LAYERS) for item in config["layers"]]
    model = Sequential(layers, seed=config["seed"], dtype=config["dtype"], backend=backend)
    model.lay_out(config["input_shape"], room)
    if config["loss"] is not None:
        loss, optimizer = _unpack(config["loss"], LOSSES), _unpack(config["optimizer"], OPTIMIZERS)
        model.compile(loss, optimizer, l2=config["l2"])
    model.epoch, model.metadata = int(config["epoch"]), dict(config["metadata"])
    if to_config(model)["views"] != config["views"]:
        raise ValueError("its layers and the layout of its values do not fit together")
    return model


def _pack(item: Layer | Loss | Optimizer | Schedule, table: Mapping[str, type[Any]]) -> Json:
    for kind, known in table.items():
        if known is type(item):  # a subclass would be read back as its base
            return {"type": kind, "options": {key: _plain(value) for key, value in item.config().items()}}
    raise OptionError(
        f"a model with a {type(item).__name__} cannot be saved, because only the classes of nnx itself are read "
        f"back: {', '.join(sorted(known.__name__ for known in table.values()))}. Save the weights alone "
        "by model.save_weights(path), and load_weights in a model made by the same code."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Layer):
        return _pack(value, LAYERS)
    if isinstance(value, Schedule):
        return _pack(value, SCHEDULES)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if callable(value):
        raise OptionError(
            f"a model with the function {value!r} as an option cannot be saved; "
            f"use one of the initialisers' names: {', '.join(sorted(INITIALIZERS))}."
        )
    return value


def _unpack(packed: Json, table: Mapping[str, type[Any]]) -> Any:
    kind = packed["type"]
    if kind not in table:
        raise UnknownNameError("type", kind, table)
    return table[kind](**{key: _restore(value) for key, value in packed["options"].items()})


def _restore(value: Any) -> Any:
    if isinstance(value, dict):
        return _unpack(value, {**LAYERS, **SCHEDULES})
    if isinstance(value, list):  # JSON has no tuples; layers make tuples of lists, as they do of a user's
        return [_restore(item) for item in value]
    return value

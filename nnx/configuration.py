"""A model's configuration as plain JSON values, and back; names are looked up in tables, never imported.

A class of nnx stands there as {"type": name, "options": {...}}, one of somebody's own as {"class": name,
"options": {...}}. The name of the latter leads to nothing by itself: whoever reads it hands the class over. Its
options are what its `config` gives, which must be what its constructor takes, such as the fields of a dataclass;
tuples among them are {"tuple": [...]}, since JSON has none.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeAlias

import numpy as np

from nnx.checks import listed, own_options
from nnx.errors import MissingClassError, OptionError, UnknownNameError, excerpt, shown
from nnx.initializers import INITIALIZERS
from nnx.interface import Backend
from nnx.layers import LAYERS, Layer
from nnx.losses import LOSSES, Loss
from nnx.model import Sequential
from nnx.optimizers import OPTIMIZERS, Optimizer
from nnx.schedules import SCHEDULES, Schedule

Json = dict[str, Any]
Item: TypeAlias = Layer | Loss | Optimizer | Schedule
Classes: TypeAlias = Mapping[str, type[Any]]

_BASES = (Layer, Loss, Optimizer, Schedule)
_PLAIN = (type(None), bool, int, float, str)
_ALONE = "Or save the weights alone by model.save_weights(path), and load_weights in a model made by the same code."


def to_config(model: Sequential) -> Json:
    """Return everything about a built model but its arrays.

    Raises:
        OptionError: an option is a function, or something of a class of one's own cannot be made of its options, or
            has one that no file holds.
    """
    views = [
        {"name": parameter.name, "start": slot.start, "shape": list(slot.shape)}
        for parameter, slot in zip(model.store.parameters, model.store.slots, strict=True)
    ]
    packer = _Packer()
    return {
        "layers": [packer.pack(layer, LAYERS) for layer in model.chain.layers],
        "input_shape": list(model.input_shape),
        "seed": model.seed,
        "dtype": model.dtype,
        "loss": packer.pack(model.loss, LOSSES) if model.compiled else None,
        "optimizer": packer.pack(model.optimizer, OPTIMIZERS) if model.compiled else None,
        "l2": model.l2,
        "epoch": model.epoch,
        "views": views,
    }


def from_config(config: Json, backend: Backend, room: int, own_classes: Classes | None = None) -> Sequential:
    """Make a built, compiled model without its trained values.

    Args:
        config: what `to_config` gave.
        backend: where the model is to run.
        room: how many values its layers may have together.
        own_classes: those that are not of nnx, by name.

    Raises:
        MissingClassError: it names classes that are not among these.
        KeyError, TypeError, ValueError, NnxError: config was not made by `to_config`.
    """
    unpacker = _Unpacker(own_classes or {})
    unpacker.need([config["layers"], config["loss"], config["optimizer"]])
    layers = [unpacker.unpack(item, LAYERS, (Layer,)) for item in config["layers"]]
    model = Sequential(layers, seed=config["seed"], dtype=config["dtype"], backend=backend)
    model.lay_out(config["input_shape"], room)
    if config["loss"] is not None:
        loss = unpacker.unpack(config["loss"], LOSSES, (Loss,))
        model.compile(loss, unpacker.unpack(config["optimizer"], OPTIMIZERS, (Optimizer,)), l2=config["l2"])
    model.epoch, model.metadata = int(config["epoch"]), dict(config["metadata"])
    if to_config(model)["views"] != config["views"]:
        raise ValueError("its layers and the layout of its values do not fit together")
    return model


def check_own_classes(classes: object) -> dict[str, type[Any]]:
    """Return classes of one's own by their names.

    Raises:
        OptionError: they are no list of classes of layers, losses, optimizers and schedules, or two have one name.
    """
    if isinstance(classes, str | Mapping | type) or not isinstance(classes, Iterable):
        raise OptionError(f"own_classes must be a list of classes, such as [MyLayer, MyLoss], got {classes!r}.")
    found: dict[str, type[Any]] = {}
    for item in classes:
        if not isinstance(item, type) or not issubclass(item, _BASES):
            raise OptionError(
                f"own_classes must hold classes of layers, losses, optimizers or schedules, got {item!r}; give the "
                "class itself, without brackets behind it."
            )
        if found.setdefault(item.__name__, item) is not item:
            raise OptionError(f"own_classes holds two classes of the name {item.__name__}; rename one of them.")
    return found


class _Packer:
    """Turns the parts of one model into JSON values, and notes the classes of one's own among them."""

    def __init__(self) -> None:
        self._own: dict[str, type[Any]] = {}
        self._packed: dict[int, tuple[Item, Json]] = {}  # what stands within others is looked at more than once

    def pack(self, item: Item, table: Classes) -> Json:
        for kind, known in table.items():
            if known is type(item):  # a subclass would be read back as its base
                return {"type": kind, "options": {key: self._plain(value) for key, value in item.config().items()}}
        if id(item) not in self._packed:
            self._packed[id(item)] = item, self._pack_own(item)
        return self._packed[id(item)][1]

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Layer):
            return self.pack(value, LAYERS)
        if isinstance(value, Schedule):
            return self.pack(value, SCHEDULES)
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        if isinstance(value, np.generic):
            return value.item()
        if callable(value):
            raise OptionError(
                f"a model with the function {value!r} as an option cannot be saved; "
                f"use one of the initialisers' names: {', '.join(sorted(INITIALIZERS))}."
            )
        return value

    def _pack_own(self, item: Item) -> Json:
        kind, options = type(item), own_options(item, ", so that the model cannot be saved")
        if self._own.setdefault(kind.__name__, kind) is not kind:
            raise OptionError(
                f"a model with two classes of the name {kind.__name__} cannot be saved, because a file tells them "
                "apart by their names; rename one of them."
            )
        packed, again = self._exact_options(item, options), _made_again(item, options).config()
        if self._exact_options(item, again) != packed:
            raise OptionError(
                f"a model with a {kind.__name__} cannot be saved, because one that is made of its options has "
                f"others: {options!r} became {again!r}. Let each option stay as it was given, and keep what is "
                f"computed of it elsewhere. {_ALONE}"
            )
        return {"class": kind.__name__, "options": packed}

    def _exact_options(self, item: Item, options: Mapping[str, Any]) -> Json:
        name = type(item).__name__
        return {option: self._exact(f"a {name} whose {option}", value) for option, value in options.items()}

    def _exact(self, place: str, value: Any) -> Any:
        """Return an option of a class of one's own, of which a reader knows no more than the file says."""
        if isinstance(value, Layer | Schedule):
            return self._plain(value)
        if isinstance(value, list | tuple):
            items = [self._exact(place, item) for item in value]
            return {"tuple": items} if isinstance(value, tuple) else items
        plain = value.item() if isinstance(value, np.generic) else value
        if type(plain) not in _PLAIN or (isinstance(plain, float) and not math.isfinite(plain)):
            raise OptionError(
                f"a model with {place} is {shown(value)} cannot be saved: a file holds finite numbers, texts, "
                "True, False, None, layers, schedules, and tuples and lists of these. Make such options, and "
                f"compute what you need of them in the class. {_ALONE}"
            )
        return plain


def _made_again(item: Item, options: Mapping[str, Any]) -> Item:
    try:
        again: Item = type(item)(**options)
    except Exception as error:  # whatever the class of a user raises
        name = type(item).__name__
        raise OptionError(
            f"a model with a {name} cannot be saved, because no {name} can be made of what its config() gives: "
            f"{error!r}. {_ALONE}"
        ) from error
    return again


class _Unpacker:
    """Makes the parts of a model of JSON values: of classes of nnx, and of those that it is given by name."""

    def __init__(self, own: Classes) -> None:
        self._own = own

    def need(self, config: object) -> None:
        """Make sure that every class of somebody's own that is named anywhere is at hand.

        Raises:
            MissingClassError: naming all that are not.
            ValueError: a name is none of a class.
        """
        missing = ", ".join(sorted(set(_named_classes(config)) - self._own.keys()))
        if missing:
            raise MissingClassError(
                f"it holds a model with classes that are not of nnx, whose code no file holds: {excerpt(missing)}. "
                f"Import them and hand them over: nnx.load(path, own_classes=[{excerpt(missing)}])."
            )

    def unpack(self, packed: Json, table: Classes, bases: tuple[type[Any], ...]) -> Any:
        if "class" in packed:
            return self._make_own(packed, bases)
        kind = packed["type"]
        if kind not in table:
            raise UnknownNameError("type", kind, table)
        return table[kind](**{key: self._restore(value) for key, value in packed["options"].items()})

    def _make_own(self, packed: Json, bases: tuple[type[Any], ...]) -> Any:
        kind, given = self._own[packed["class"]], packed["options"]
        if not issubclass(kind, bases):
            raise ValueError(f"a {kind.__name__} cannot stand where a {bases[0].__name__} belongs")
        taken = inspect.signature(kind).parameters.keys()
        if taken != given.keys():
            raise ValueError(
                f"it holds a {kind.__name__} made of {shown(listed(given))}, but the class that was given takes "
                f"{listed(taken)}"
            )
        options = {name: self._restore(value) for name, value in given.items()}
        try:
            return kind(**options)
        except Exception as error:  # whatever the class of a user raises
            raise ValueError(f"no {kind.__name__} can be made of its options: {error!r}") from error

    def _restore(self, value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"tuple"}:
            return tuple(self._restore(item) for item in value["tuple"])
        if isinstance(value, dict):
            return self.unpack(value, {**LAYERS, **SCHEDULES}, (Layer, Schedule))
        if isinstance(value, list):  # layers of nnx make tuples of lists, as they do of a user's
            return [self._restore(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"an option is {value}")
        return value


def _named_classes(config: object) -> Iterator[str]:
    """Yield the names of classes of somebody's own."""
    if isinstance(config, list):
        yield from chain.from_iterable(map(_named_classes, config))
    if isinstance(config, dict):
        if "class" in config:
            name = config["class"]
            if not isinstance(name, str) or not name.isidentifier():
                raise ValueError(f"{shown(name)} is no name of a class")
            yield name
        yield from chain.from_iterable(map(_named_classes, config.values()))

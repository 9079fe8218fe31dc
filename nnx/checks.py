"""Checks of options; each raises one sentence that names the option, what was expected and what was given."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from nnx.errors import OptionError, UnknownNameError, shown
from nnx.interface import ELEMENTWISE

ROWWISE = ("softmax", "log_softmax")
ACTIVATIONS = ("identity", *ELEMENTWISE, *ROWWISE)

DEFAULT_ALPHA = {"leaky_relu": 0.01, "elu": 1.0}
"""Slope or scale for x <= 0 where none is given, as in the papers."""


def check_count(option: str, value: object, least: int = 1) -> int:
    """Return a whole number of at least `least`; NumPy's are taken like Python's."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise OptionError(f"{option} must be a whole number of at least {least}, got {value!r}.")
    return int(value)


def check_batch_size(value: object) -> int | str:
    """Return "full", or a whole number of at least 1."""
    if isinstance(value, str) and value == "full":
        return value
    try:
        return check_count("batch_size", value)
    except OptionError as error:
        raise OptionError(f'batch_size must be "full" or a whole number of at least 1, got {value!r}.') from error


def check_number(
    option: str,
    value: object,
    low: float,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = True,
) -> float:
    """Return a finite number between low and high."""
    number = _as_float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if math.isfinite(number):
        above = number > low if open_low else number >= low
        below = number < high if open_high else number <= high
        if above and below:
            return number
    left, right = "(" if open_low else "[", ")" if open_high else "]"
    raise OptionError(f"{option} must be a number in {left}{low:g}, {high:g}{right}, got {shown(value)}.")


def _as_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond those of floating point
        return math.inf


def check_flag(option: str, value: object) -> bool:
    """Return True or False; NumPy's are taken like Python's, but neither words nor numbers."""
    if not isinstance(value, bool | np.bool_):
        raise OptionError(f"{option} must be True or False, got {value!r}.")
    return bool(value)


def check_json(what: str, values: object) -> dict[str, Any]:
    """Return a dictionary that comes back from JSON as it is; `what` begins the error's sentence."""
    if not isinstance(values, Mapping):
        raise OptionError(f"{what} must be a dictionary of JSON values, got {values!r}.")
    for key, value in values.items():
        if json.loads(to_json(what, {key: value})) != {key: value}:
            raise OptionError(
                f"{what} must come back from JSON as it was, but what stands under {key!r} would be changed; use "
                "lists instead of tuples, and texts as keys."
            )
    return dict(values)


def to_json(what: str, values: Mapping[str, Any]) -> str:
    """Return values as JSON; `what` begins the error's sentence."""
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"{what} is not JSON: {error}.") from error


def dataclass_options(item: Any) -> dict[str, Any]:
    """Return the options of an object, by field name.

    Raises:
        OptionError: its class is no dataclass.
    """
    if not is_dataclass(item):
        raise OptionError(
            f"the options of a {type(item).__name__} cannot be told, because it is no dataclass. Write "
            "@dataclass(frozen=True) above the class, with its options as fields, or let it override config()."
        )
    return {option.name: getattr(item, option.name) for option in fields(item)}


def own_options(item: Any, why: str) -> dict[str, Any]:
    """Return the options of an object of a class of one's own, which its `config` gives.

    Raises:
        OptionError: they are not what its constructor takes, so that some may be unknown; `why` is part of the
            sentence.
    """
    options: dict[str, Any] = item.config()
    taken = set(inspect.signature(type(item)).parameters)
    if taken != set(options):
        raise OptionError(
            f"the options of a {type(item).__name__} cannot be told{why}: its config() gives {listed(options)}, "
            f"and its constructor takes {listed(taken)}. Make it a dataclass whose fields are its options, or let "
            "config() return them all by name."
        )
    return options


def listed(names: Iterable[str]) -> str:
    """Return names as part of a sentence."""
    return ", ".join(sorted(names)) or "nothing"


def check_activation(activation: object) -> str:
    """Return the name of a known activation."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        name = getattr(activation, "activation", None)  # of a layer
        advice = f"Give the name {name!r}." if isinstance(name, str) else ""
        raise UnknownNameError("activation", activation, ACTIVATIONS, None, advice)
    return str(activation)


def check_alpha(activation: str, alpha: float | None) -> float:
    """Return alpha, or the activation's usual one for None; 0 for activations that read none."""
    if alpha is None:
        return DEFAULT_ALPHA.get(activation, 0.0)
    if activation not in DEFAULT_ALPHA:
        raise OptionError(f"alpha is an option of {' and '.join(DEFAULT_ALPHA)}; {activation!r} takes none.")
    return check_number("alpha", alpha, 0)

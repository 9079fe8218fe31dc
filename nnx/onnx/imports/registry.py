"""Which function reads which operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from nnx.onnx.reading import Found, Reading
from nnx.onnx.source import Node

Importer = Callable[[Reading, Node], Found | Mapping[int, Found]]
"""Reads a node; returns its first output, or several by their places."""

_Function = TypeVar("_Function", bound=Importer)
IMPORTERS: dict[str, Importer] = {}


def importer(*operators: str) -> Callable[[_Function], _Function]:
    """Return a decorator: the function reads these operators."""

    def register(function: _Function) -> _Function:
        for operator in operators:
            IMPORTERS[operator] = function
        return function

    return register

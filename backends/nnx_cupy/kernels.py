"""From the `.cu` files to kernels: groups are compiled when one of their kernels is first used."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import numpy as np

OPTIONS = ("--std=c++17",)
_SHARED = ("common.cuh", "functions.cuh")
_ALSO = {
    "products": ("tiles.cuh",),
    "convolution": ("tiles.cuh", "windows.cuh"),
    "pooling": ("windows.cuh",),
    "recurrent": ("tiles.cuh", "cells.cuh"),
}
"""What some sources share besides."""

C_TYPES = {
    np.dtype(name): c_type
    for name, c_type in {
        "float32": "float",
        "float64": "double",
        "bool": "bool",
        "int8": "signed char",
        "int16": "short",
        "int32": "int",
        "int64": "long long",
        "uint8": "unsigned char",
        "uint16": "unsigned short",
        "uint32": "unsigned int",
        "uint64": "unsigned long long",
    }.items()
}

_log = logging.getLogger("nnx.backends.cupy")

Kernel = Callable[..., None]
"""A compiled kernel: called with the grid, the block and the arguments."""


class Module(Protocol):
    """A compiled source."""

    def get_function(self, name: str) -> Kernel:
        """Return the kernel of that name expression."""


class ModuleLoader(Protocol):
    """What compiles: `cupy.RawModule`, or a stand-in."""

    def __call__(self, *, code: str, options: tuple[str, ...], name_expressions: Iterable[str]) -> Module:
        """Take the source and the name expressions of the templates to be instantiated."""


class Instance(NamedTuple):
    """A kernel with its template arguments, "float, Relu" for instance."""

    group: Group
    kernel: str
    types: str

    def also(self, argument: object) -> Instance:
        """Add a template argument."""
        return self._replace(types=f"{self.types}, {argument}")


class Group(NamedTuple):
    """Kernels of one source that take the same template arguments and are compiled together.

    A group is what a network uses together, so that the first use compiles little else.
    """

    source: str
    kernels: tuple[str, ...]

    def of(self, kernel: str, dtype: Any, *others: str) -> Instance:
        """Return one of the kernels for elements of `dtype`."""
        return Instance(self, kernel, ", ".join((C_TYPES[dtype], *others)))

    def expressions(self, types: str) -> tuple[str, ...]:
        """Name each kernel with its template arguments."""
        return tuple(f"{kernel}<{types}>" for kernel in self.kernels)


@cache
def source_text(name: str) -> str:
    """Return the text of `name`.cu with the shared text in front of it."""
    folder = files("nnx_cupy")
    parts = *_SHARED, *_ALSO.get(name, ()), f"{name}.cu"
    return "\n".join((folder / part).read_text(encoding="utf-8") for part in parts)


class Kernels:
    """All kernels of a backend, each compiled once, whichever thread asks first."""

    def __init__(self, load: ModuleLoader) -> None:
        """Keep the compiler."""
        self._load = load
        self._kernels: dict[Instance, Kernel] = {}
        self._lock = threading.Lock()

    def get(self, instance: Instance) -> Kernel:
        """Return a kernel, compiled if need be."""
        return self._kernels.get(instance) or self._compile(instance)

    def _compile(self, instance: Instance) -> Kernel:
        group, _, types = instance
        with self._lock:
            if instance not in self._kernels:
                began = time.perf_counter()
                expressions = group.expressions(types)
                module = self._load(code=source_text(group.source), options=OPTIONS, name_expressions=expressions)
                for kernel, expression in zip(group.kernels, expressions, strict=True):
                    self._kernels[Instance(group, kernel, types)] = module.get_function(expression)
                seconds = time.perf_counter() - began
                _log.debug("kernels of %s for <%s> are ready after %.3f s", group.source, types, seconds)
            return self._kernels[instance]

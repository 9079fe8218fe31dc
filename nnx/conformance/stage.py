"""Putting the arguments of a case on a device: poison, guard zones, layouts; and calling the kernel."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx.conformance.case import Arguments, InPlace, Input, Output
from nnx.conformance.report import NonconformanceError
from nnx.conformance.tolerance import Values
from nnx.interface import Array, Backend, Call, Tape

LAYOUTS = ("contiguous", "transposed", "strided", "padded")
GUARD = 64
"""Elements before and after every destination; a whole number of cache lines, so that alignment is kept."""

_FLOAT_POISONS = (math.nan, -7.0e33)
_INT_POISONS = (90, 77)


def poison(dtype: str, turn: int) -> float:
    """Return what destinations hold before a call: every turn another value, lest one be right by chance."""
    return (_FLOAT_POISONS if dtype.startswith("float") else _INT_POISONS)[turn % 2]


class Stage:
    """One call: device arrays for every argument of a kernel."""

    def __init__(
        self,
        backend: Backend,
        kernel: str,
        arguments: Arguments,
        dtype: str,
        layouts: Mapping[str, str] | None = None,
        turn: int = 0,
    ) -> None:
        """Place all arguments; `layouts` tells how each input lies in memory, `turn` selects the poison."""
        self.backend, self.kernel = backend, kernel
        self._hosts: dict[str, Values] = {}
        self._destinations: dict[str, Destination] = {}
        self.devices: dict[str, Any] = {}
        for name, argument in arguments.items():
            match argument:
                case Input():
                    self._hosts[name] = host = argument.values.astype(argument.dtype or dtype)
                    self.devices[name] = place(backend, host, (layouts or {}).get(name, "contiguous"))
                case InPlace():
                    self._aim(name, argument.values.astype(argument.dtype or dtype))
                case Output():
                    kind = argument.dtype or dtype
                    self._aim(name, np.full(argument.shape, poison(kind, turn), kind))
                case _:
                    self.devices[name] = argument

    def _aim(self, name: str, host: Values) -> None:
        self._destinations[name] = Destination(self.backend, host)
        self.devices[name] = self._destinations[name].array

    def call(self, times: int = 1) -> dict[str, Values]:
        """Call the kernel and return all destinations; the arguments are checked for what must not change."""
        kernel = getattr(self.backend, self.kernel)
        with np.errstate(all="ignore"):
            for _ in range(times):
                kernel(*self.devices.values())
        return self._collect()

    def replay(self, times: int = 1) -> dict[str, Values]:
        """Do the same by way of a compiled tape of the one call."""
        tape = Tape([Call(getattr(self.backend, self.kernel), tuple(self.devices.values()))])
        with np.errstate(all="ignore"):
            self.backend.compile(tape).run(times)
        return self._collect()

    def _collect(self) -> dict[str, Values]:
        self.backend.synchronize()
        for name, host in self._hosts.items():
            if not np.array_equal(
                self.backend.to_numpy(self.devices[name]), host, equal_nan=host.dtype.kind == "f"
            ):
                raise NonconformanceError(f"the input {name} was modified")
        return {name: destination.read(name) for name, destination in self._destinations.items()}


class Destination:
    """A device array inside a larger one, whose margins must come out as they went in."""

    def __init__(self, backend: Backend, host: Values) -> None:
        """Copy host values to the middle of a buffer, or to an array of their own if there are no views."""
        self.backend, self.host = backend, host
        self._guarded = has_views(backend)
        if not self._guarded:
            self.array = backend.asarray(host, str(host.dtype))
            return
        margin = np.full(GUARD, poison(str(host.dtype), 1), host.dtype)
        self._sent = np.concatenate([margin, host.reshape(-1), margin])
        self._buffer = backend.asarray(self._sent, str(host.dtype))
        self.array = backend.xp.reshape(self._buffer[GUARD : GUARD + host.size], host.shape)

    def read(self, name: str) -> Values:
        """Return the values now, after a look at the margins."""
        if not self._guarded:
            return self.backend.to_numpy(self.array)
        now = self.backend.to_numpy(self._buffer)
        end = GUARD + self.host.size
        for side, part in (("before the start", slice(0, GUARD)), ("past the end", slice(end, None))):
            if not np.array_equal(now[part], self._sent[part]):
                raise NonconformanceError(f"memory {side} of {name} was overwritten")
        return now[GUARD:end].reshape(self.host.shape)


@functools.cache
def has_views(backend: Backend) -> bool:
    """Tell whether slices and reshapes of the backend's arrays share memory with them."""
    try:
        base = backend.asarray(np.zeros(8), "float32")
        backend.xp.reshape(base[2:6], (2, 2))[...] = 1
        return bool(np.array_equal(backend.to_numpy(base), [0, 0, 1, 1, 1, 1, 0, 0]))
    except (AttributeError, TypeError, IndexError, NotImplementedError):
        return False


def place(backend: Backend, host: Values, layout: str) -> Array:
    """Copy host values to the device in a memory layout; gaps hold poison."""
    dtype = str(host.dtype)
    if layout == "transposed" and host.ndim >= 2:
        axes = tuple(reversed(range(host.ndim)))
        return backend.xp.permute_dims(backend.asarray(host.transpose(axes), dtype), axes)
    if layout == "strided" and host.ndim >= 1:
        wide = np.full((*host.shape[:-1], 2 * host.shape[-1]), poison(dtype, 1), dtype)
        wide[..., ::2] = host
        return backend.asarray(wide, dtype)[..., ::2]
    if layout == "padded" and host.ndim >= 1:
        wide = np.full((*host.shape[:-1], host.shape[-1] + 8), poison(dtype, 1), dtype)
        wide[..., 3:-5] = host
        return backend.asarray(wide, dtype)[..., 3:-5]
    array = backend.asarray(host, dtype)
    if layout == "read-only" and isinstance(array, np.ndarray):
        array.setflags(write=False)
    return array

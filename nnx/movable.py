"""All that training changes: copied, put back, and moved to another backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray

from nnx.builder import Blank
from nnx.errors import OptionError
from nnx.interface import Array, Backend
from nnx.network import Network
from nnx.ops import Ops
from nnx.registry import resolve


@dataclass
class Snapshot:
    """Copies of all that training changes, on the device: restore it to go back."""

    arrays: tuple[Array, ...]
    epoch: int = 0


@dataclass(frozen=True)
class Weights:
    """All that training changes, on the host: the arrays of `Network.state_arrays`, and the epoch."""

    arrays: tuple[NDArray[Any], ...]
    epoch: int


class Movable(Network):
    """A network whose values can be copied, and which can go to another backend with them."""

    def state_arrays(self) -> tuple[Array, ...]:
        """Return every array that training changes: values, state, step and moments."""
        return self.store.values, self.store.state, self.step, *self.moments

    def snapshot(self) -> Snapshot:
        """Copy all that training changes."""
        arrays = self.state_arrays()
        copies = tuple(self.backend.empty(tuple(x.shape), self.backend.dtype_name(x)) for x in arrays)
        kept = Snapshot(copies)
        self.update_snapshot(kept)
        return kept

    def update_snapshot(self, snapshot: Snapshot) -> None:
        """Copy all that training changes into a snapshot made before."""
        for array, copy in zip(self.state_arrays(), snapshot.arrays, strict=True):
            copy[...] = array
        snapshot.epoch = self.epoch

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this model."""
        for array, copy in zip(self.state_arrays(), snapshot.arrays, strict=True):
            array[...] = copy
        self.epoch = snapshot.epoch

    def to(self, backend: str | Backend) -> Self:
        """Move the model, with all optimizer state, to another backend; returns the model itself.

        If the target has no room for it, say, the model stays whole where it is.

        Raises:
            UnknownNameError, BackendUnavailableError: there is no such backend here.
            OptionError: backend is None.
        """
        if backend is None:
            raise OptionError(
                "backend must be a name or a Backend, got None; the selected one is nnx.current_backend()."
            )
        target = resolve(backend)
        if self.built and target is not self.backend:
            with self._restored_on_failure():
                self._move(target)
        elif not self.built:
            self.backend, self.ops = target, Ops(target, self.dtype)
        return self

    def _move(self, target: Backend) -> None:
        host = self.to_host()
        self._bind(target, self.input_shape, Blank)
        self.from_host(host)

    def to_host(self) -> Weights:
        """Return copies on the host of all that training changes."""
        return Weights(tuple(self.backend.to_numpy(array) for array in self.state_arrays()), self.epoch)

    def from_host(self, weights: Weights) -> None:
        """Go back to what `to_host` gave, be it on another backend."""
        self.restore(self.snapshot_of(weights))

    def snapshot_of(self, weights: Weights) -> Snapshot:
        """Return what `to_host` gave as a snapshot on the device."""
        pairs = zip(weights.arrays, self.state_arrays(), strict=True)
        kept = (self.backend.asarray(values, self.backend.dtype_name(array)) for values, array in pairs)
        return Snapshot(tuple(kept), weights.epoch)

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Give the model and its layers back what they held if the block raises; arrays are not copied."""
        former = [(item, dict(vars(item))) for item in (self, *(layer for _, layer in self.places))]
        try:
            yield
        except BaseException:
            for item, attributes in former:
                vars(item).update(attributes)
            raise

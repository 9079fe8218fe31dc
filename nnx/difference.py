"""Where two engines part: the same training on both, compared kernel by kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_count, check_number
from nnx.errors import BackendError, OptionError
from nnx.inputs import Examples
from nnx.interface import Array, Backend, Tape
from nnx.layers import Observer
from nnx.movable import Movable, Weights
from nnx.ops.foreign import ForeignKernel
from nnx.parameters import Store
from nnx.registry import resolve
from nnx.schedules import check_schedule
from nnx.steps import Batches, TrainingStep
from nnx.tape import Kernel
from nnx.trainable import check_model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nnx.model import Sequential

Host = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """One array that a kernel read or wrote, on both engines.

    Attributes:
        step: the training step, from 0.
        call: the number of the kernel call within the step, from 0.
        place: "batch", "layer 2 forward", "loss", "layer 2 backward" or "update".
        kernel: its name.
        array: the name of the argument.
        ulps: the largest difference, in units of the last place of the largest value; infinite where one engine
            has a NaN or an infinity and the other has not, or where whole numbers differ.
        parameter: of an update, where all parameters lie in one array, the one that differs most, such as "2.bias".
    """

    step: int
    call: int
    place: str
    kernel: str
    array: str
    ulps: float
    parameter: str | None = None

    @property
    def what(self) -> str:
        """The array in words, with the parameter in it if it holds several."""
        return self.array if self.parameter is None else f"{self.array} at {self.parameter}"


@dataclass(frozen=True)
class Difference:
    """What `diff` found.

    Attributes:
        engines: the names of the two.
        parts: every array of every kernel call, in the order of the calls.
        tolerance: from how many ulps on results have parted.
    """

    engines: tuple[str, str]
    parts: tuple[Part, ...]
    tolerance: float

    @property
    def first(self) -> Part | None:
        """The first result beyond the tolerance, or None if there is none."""
        return next((part for part in self.parts if part.ulps > self.tolerance), None)

    def worst(self) -> tuple[Part, ...]:
        """Return, for each kernel at each place, the array that differs most, in the order of the calls."""
        found: dict[tuple[str, str], Part] = {}
        for part in self.parts:
            key = part.place, part.kernel
            if key not in found or part.ulps > found[key].ulps:
                found[key] = part
        return tuple(found.values())

    def plot(self, path: str | Path | None = None, *, title: str = "") -> Figure:
        """Draw the differences over the kernel calls; see `nnx.plots.difference`."""
        from nnx.plots import difference

        return difference(self, path, title=title)

    def __repr__(self) -> str:
        ours, theirs = self.engines
        if self.first is None:
            worst = max((part.ulps for part in self.parts), default=0.0)
            return f"<{ours} and {theirs} agree within {self.tolerance:g} ulps, the worst is {worst:.3g}>"
        part = self.first
        return (
            f"<{ours} and {theirs} part in step {part.step}, {part.place}: {part.what} of {part.kernel} "
            f"by {part.ulps:.3g} ulps>"
        )

    def _repr_html_(self) -> str:
        """Return what notebooks show: the finding, and a table of `worst`."""
        from nnx.plots import differences

        return differences.markup(self)

    def __str__(self) -> str:
        """Return the finding, and a table of the array of each kernel that differs most, if it does."""
        from nnx.plots import differences

        return differences.text(self)


@dataclass
class _Seen:
    """A kernel call as it was seen on one engine."""

    place: str
    kernel: str
    arrays: dict[str, Host]


class _Watch(Tape, Observer):
    """Copies the arrays of every kernel call to the host, and notes the place it belongs to."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend, self._unplaced = backend, 0
        self.seen: list[_Seen] = []

    def append(self, kernel: Kernel, arguments: tuple[Any, ...]) -> None:
        held = {
            name: np.array(self._backend.to_numpy(value))
            for name, value in zip(_names_of(kernel, len(arguments)), arguments, strict=True)
            if self._backend.owns(value)
        }
        self.seen.append(_Seen("batch" if kernel.__name__ == "take_rows" else "", kernel.__name__, held))

    def forward(self, index: int, output: Array) -> None:
        del output
        self._put(f"layer {index} forward")

    def loss(self) -> None:
        self._put("loss")

    def backward(self, index: int, gradient: Array | None) -> None:
        del gradient
        self._put(f"layer {index} backward")

    def end(self) -> None:
        """Give what came after the backward pass its place."""
        self._put("update")

    def _put(self, place: str) -> None:
        for seen in self.seen[self._unplaced :]:
            seen.place = seen.place or place
        self._unplaced = len(self.seen)


def _names_of(kernel: Kernel, count: int) -> list[str]:
    """Return the names of a call's arguments: the contract's or, of a function of one's own, its own."""
    if not isinstance(kernel, ForeignKernel) and hasattr(Backend, kernel.__name__):
        return [*signature(getattr(Backend, kernel.__name__)).parameters][1:]  # without self
    try:
        names = [*signature(getattr(kernel, "kernel", kernel)).parameters][:count]
    except (TypeError, ValueError):  # compiled by others, as the ufuncs of NumPy are
        names = []
    return [*names, *(f"argument {index}" for index in range(len(names), count))]


def diff(
    model: Sequential,
    data: tuple[Any, ...],
    first: str | Backend,
    second: str | Backend,
    *,
    steps: int = 1,
    batch_size: int = 32,
    tolerance: float = 1000.0,
) -> Difference:
    """Train a model on two engines, from the same weights on the same batches, and compare every kernel's arrays.

    Args:
        model: compiled; it is built for the examples if need be, and left as it was.
        data: (x, y), or (x, y, lengths), as `Sequential.fit` takes them; batches are taken in their order.
        first: the name of a backend, or a `Backend`.
        second: another one.
        steps: how many training steps, >= 1; differences of one step are carried into the next.
        batch_size: examples per step; at most all there are.
        tolerance: from how many ulps on two results have parted, >= 0. Sums of n numbers may differ by some n / 10
            ulps; 1000 are 1e-4 of the largest value in float32.

    Raises:
        OptionError: model or data are something else, or an option is out of its range.
        DataError, DtypeError, ShapeError: the data are not what the model takes.
        BackendError: a layer calls other kernels on one engine than on the other, or the model is being trained.

    Examples:
        >>> model = nnx.Sequential([nnx.Dense(3, "tanh"), nnx.Dense(1)]).compile("mean_squared_error")
        >>> nnx.diff(model, ([[0.0, 1.0]], [[2.0]]), "numpy", "generic:numpy").first is None
        True
    """
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise OptionError(f"data must be (x, y) or (x, y, lengths), got {type(data).__name__}.")
    check_model(model)
    x, y, lengths = (*data, None)[:3]
    engines = resolve(first), resolve(second)
    count, size = check_count("steps", steps), check_count("batch_size", batch_size)
    limit = check_number("tolerance", tolerance, 0)
    with model.access.exclusively():
        with model.unbuilt_if_refused():
            examples = model.take(x, y, lengths=lengths)
        home, weights = model.backend, model.to_host()
        try:
            runs = [_watched_steps(model, engine, weights, examples, count, size) for engine in engines]
        finally:
            _move(model, home, weights)
    unit = np.dtype(model.dtype)
    parts = [
        part for step in range(count) for part in _compare(step, runs[0][step], runs[1][step], unit, model.store)
    ]
    return Difference((engines[0].name, engines[1].name), tuple(parts), limit)


def _move(model: Sequential, engine: Backend, weights: Weights) -> None:
    Movable.to(model, engine)  # Sequential.to refuses a model that is held exclusively
    model.from_host(weights)


def _watched_steps(
    model: Sequential, engine: Backend, weights: Weights, examples: Examples, steps: int, size: int
) -> list[list[_Seen]]:
    """Return the kernel calls of each step on one engine."""
    _move(model, engine, weights)
    batches = Batches(model.ops, examples, size)
    step = TrainingStep(model, batches)
    step.rates[...] = check_schedule(model.optimizer.learning_rate)(float(model.epoch))
    watched = []
    with np.errstate(all="ignore"):
        for number in range(steps):
            batches.restart(number % batches.steps)
            watch = _Watch(engine)
            with model.ops.recording(watch):
                step(int(batches.rows[number % batches.steps]), watch)
            watch.end()
            watched.append(watch.seen)
    return watched


def _compare(
    step: int, ours: Sequence[_Seen], theirs: Sequence[_Seen], unit: np.dtype[Any], store: Store
) -> Iterator[Part]:
    kernels = [seen.kernel for seen in ours], [seen.kernel for seen in theirs]
    if kernels[0] != kernels[1]:
        number = next(index for index, pair in enumerate(zip_longest(*kernels)) if pair[0] != pair[1])
        names = [side[number] if number < len(side) else "nothing" for side in kernels]
        raise BackendError(
            f"step {step} cannot be compared: kernel call {number} is {names[0]} on one engine and {names[1]} on "
            "the other; a layer or loss must call the same operations on all."
        )
    for call, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        for name, values in one.arrays.items():
            ulps = ulps_apart(values, other.arrays[name], unit)
            flat = ulps and one.place == "update" and values.shape == tuple(store.values.shape)
            parameter = store.name_at(_worst(values, other.arrays[name])) if flat else None
            yield Part(step, call, one.place, one.kernel, name, ulps, parameter)


def _worst(first: Host, second: Host) -> int:
    """Return where two flat arrays differ most; what is not finite in one of them differs most of all."""
    differences = np.abs(first.astype(np.float64) - second)
    return int(np.argmax(np.where(np.isfinite(differences), differences, np.where(first == second, 0.0, np.inf))))


def ulps_apart(first: Host, second: Host, unit: np.dtype[Any]) -> float:
    """Return the largest difference of two arrays, in units of the last place of their largest value in `unit`."""
    if first.dtype.kind != "f":
        return 0.0 if np.array_equal(first, second) else math.inf
    finite = np.isfinite(first) & np.isfinite(second)
    if not np.array_equal(first[~finite], second[~finite], equal_nan=True):
        return math.inf
    if not finite.any():
        return 0.0
    a, b = first[finite], second[finite]
    largest = max(np.abs(a).max(), np.abs(b).max()).astype(unit)
    return float(np.abs(a.astype(np.float64) - b).max() / np.spacing(largest))

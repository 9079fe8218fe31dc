"""A run of `fit` as it stands between two steps: taken down, checked, and gone on with.

A run is decided by its model, its examples, its options and its callbacks. What it adds to the model is its
position, its history, the losses of the epoch it stands in, and what callbacks remember.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnx.checks import check_json
from nnx.errors import FileFormatError, OptionError, shown
from nnx.history import History
from nnx.inputs import Examples
from nnx.movable import Snapshot, Weights
from nnx.stored import AnyExamples, StoredExamples

if TYPE_CHECKING:
    from nnx.callbacks import Callback
    from nnx.steps import AnyBatches, Trace
    from nnx.training import Run

Host = NDArray[Any]


@dataclass
class Position:
    """Where a run stands between two steps.

    Attributes:
        step: steps done in the unfinished epoch.
        steps_before: steps done in the epochs before it.
        epoch_factor, epoch_override: the run's `rate_factor` and `rate_override` as that epoch began, which its
            learning rates are made of.
    """

    step: int = 0
    steps_before: int = 0
    epoch_factor: float = 1.0
    epoch_override: float | None = None


@dataclass(frozen=True)
class RunState:
    """What a run adds to its model.

    Attributes:
        options: what it was started with and must be started with again, as JSON values, by name.
        history: the epochs done so far.
        position: where it stands after them.
        rate_factor, rate_override: see `nnx.training.Run`.
        callbacks: what each callback remembers, as JSON values.
        kept: the weights that each callback keeps, or None.
        losses, correct: (step,) float64 and int64, the trace of the steps of this epoch.
    """

    options: Mapping[str, Any]
    history: History
    position: Position = field(default_factory=Position)
    rate_factor: float = 1.0
    rate_override: float | None = None
    callbacks: Sequence[Mapping[str, Any]] = ()
    kept: Sequence[Weights | None] = ()
    losses: Host = field(default_factory=lambda: np.zeros(0))
    correct: Host = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class KeptRun:
    """What a file of `Run.save` holds besides the configuration of the model."""

    path: str
    weights: Weights
    metadata: dict[str, Any]
    state: RunState


class Keeper:
    """Takes a run down as it stands, and puts it where a kept one stands.

    Attributes:
        position: where the run stands.
    """

    def __init__(
        self, run: Run, batches: AnyBatches, trace: Trace, callbacks: Sequence[Callback], terms: Mapping[str, Any]
    ) -> None:
        """Keep a run through `batches` whose losses stand in `trace`.

        Args:
            run: the run, at its beginning.
            batches: of one epoch.
            trace: of one epoch.
            callbacks: all of them; those that are not `lasting` are passed over.
            terms: what else must be the same for the run to go on: JSON values, and `Examples` or None.
        """
        self._run, self._batches, self._trace = run, batches, trace
        self._callbacks = [callback for callback in callbacks if callback.lasting]
        self._given = terms
        self.position = Position()

    @cached_property
    def _terms(self) -> dict[str, Any]:
        """What must be the same for this run to go on; reading through all examples takes a while."""
        callbacks = [
            [_name(item), check_json(f"config() of {_name(item)}", item.config() or {})] for item in self._callbacks
        ]
        given = {
            name: digest(value) if isinstance(value, Examples | StoredExamples) else value
            for name, value in self._given.items()
        }
        return {"batch_size": self._batches.size, "callbacks": callbacks, **given}

    def take_down(self) -> RunState:
        """Return where the run stands.

        Raises:
            OptionError: what a callback remembers is not JSON values.
        """
        run, step, (losses, correct) = self._run, self.position.step, self._trace.read()
        return RunState(
            self._terms,
            run.history,
            replace(self.position),
            run.rate_factor,
            run.rate_override,
            [check_json(f"state() of {_name(callback)}", callback.state()) for callback in self._callbacks],
            [None if callback.kept is None else self._to_host(callback.kept) for callback in self._callbacks],
            losses[:step],
            correct[:step],
        )

    def where(self) -> str:
        """Return in words where the run stands, the same before an interruption and after it."""
        done, epochs = self._run.history.epochs, self._run.epochs
        if not self.position.step:
            return f"after epoch {done} of {epochs}" if done else "before the first epoch"
        if not done:
            return f"in the middle of epoch 1 of {epochs}"
        return f"after epoch {done} of {epochs}, in the middle of epoch {done + 1},"

    def _to_host(self, kept: Snapshot) -> Weights:
        return Weights(tuple(self._run.model.backend.to_numpy(array) for array in kept.arrays), kept.epoch)

    def check(self, kept: KeptRun) -> None:
        """Make sure that this run can go on from a kept one; nothing is changed.

        Raises:
            OptionError: it was begun on other terms, or is beyond the epochs asked for.
            FileFormatError: its parts do not fit together.
        """
        state, steps, epochs = kept.state, self._batches.steps, self._run.epochs
        check_same(kept.path, state.options, self._terms)
        step, done = state.position.step, state.history.epochs
        if step > steps:
            raise FileFormatError(f"{kept.path}: there is no step {step} in an epoch of {steps} steps.")
        if not done <= state.position.steps_before <= done * steps or kept.weights.epoch < done:
            raise FileFormatError(
                f"{kept.path}: its steps and epochs are not those of {done} epochs of {steps} steps."
            )
        if not len(state.callbacks) == len(state.kept) == len(self._callbacks):
            raise FileFormatError(
                f"{kept.path}: it does not hold what each of {len(self._callbacks)} callbacks keeps."
            )
        if epochs < done + (step > 0):
            where = f"has done {done} epochs" + (f" and {step} steps of the next" if step else "")
            raise OptionError(
                f"epochs (--epochs of nnx train) counts those done before: {kept.path!r} {where}, got {epochs}; "
                f"ask for at least {done + (step > 0)}."
            )

    @contextmanager
    def going_on(self, kept: KeptRun) -> Iterator[None]:
        """Put model and run where a kept one stands, before callbacks begin in the block, and remind them after.

        Raises:
            FileFormatError: a callback does not know its own memory again. The model is left as it was before,
                whatever is raised.
        """
        model, metadata = self._run.model, self._run.model.metadata
        before = model.snapshot()
        try:
            self._go_back(kept)
            yield
            for callback, weights in zip(self._callbacks, kept.state.kept, strict=True):
                callback.kept = None if weights is None else model.snapshot_of(weights)
            restore_callbacks(kept.path, self._callbacks, kept.state.callbacks)
        except BaseException:
            model.restore(before)
            model.metadata = metadata
            raise

    def _go_back(self, kept: KeptRun) -> None:
        state, run, backend = kept.state, self._run, self._run.model.backend
        run.model.from_host(kept.weights)
        run.model.metadata = kept.metadata
        run.history, self.position = state.history, state.position
        run.rate_factor, run.rate_override = state.rate_factor, state.rate_override
        for held, values in ((self._trace.losses, state.losses), (self._trace.correct, state.correct)):
            held[: state.position.step] = backend.asarray(values, backend.dtype_name(held))


def _name(callback: Callback) -> str:
    return type(callback).__name__


def check_same(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Make sure that a run goes on under the terms it was begun under.

    Raises:
        OptionError: naming the first difference.
        FileFormatError: the file does not say under which, or names one that no run has.
    """
    for name in now.keys() ^ before.keys():
        what = "names" if name in before else "does not say"
        raise FileFormatError(f"{path}: it {what} {shown(name)} among the terms of its run.")
    for name, value in now.items():
        if before[name] == value:
            continue
        if name.endswith("examples"):
            raise OptionError(
                f"{path!r} is a run on other {name}; give fit the same data in the same order, or train on "
                "the new ones by loading the model with nnx.load and calling fit without resume."
            )
        raise OptionError(
            f"{path!r} is a run with {name}={before[name]!r}, got {value!r}; go on with the former, or begin a new "
            "run with another file."
        )


def digest(examples: AnyExamples) -> str:
    """Return a checksum of examples that tells these from any others; of those in a file, a sample is read."""
    if isinstance(examples, StoredExamples):
        return examples.digest()
    found = hashlib.blake2b(digest_size=16)
    for part in (examples.x, examples.targets, examples.weight, examples.lengths):
        if part is None:
            found.update(b"none")
            continue
        found.update(f"{part.dtype.str}{part.shape}".encode())
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


def restore_callbacks(path: str, callbacks: Sequence[Callback], states: Sequence[Mapping[str, Any]]) -> None:
    """Give callbacks back what they remembered.

    Raises:
        FileFormatError: it is not what they gave.
    """
    for callback, state in zip(callbacks, states, strict=True):
        try:
            callback.restore(state)
        except (KeyError, TypeError, ValueError) as error:
            name = _name(callback)
            raise FileFormatError(f"{path}: what {name} remembered does not fit it: {error!r}.") from error

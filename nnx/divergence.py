"""Training that runs away: noticed after the fact, since no number is read inside a step, and undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnx.errors import DivergenceError
from nnx.interface import Array
from nnx.layers import Context, Observer
from nnx.steps import AnyBatches, Runner, Trace

if TYPE_CHECKING:
    from nnx.model import Sequential

_ADVICE = "Lower the learning rate, scale the inputs, or set clip_norm in the optimizer."


class Guard:
    """Keeps the model as it was when the epoch began, and repeats the epoch up to the last good step.

    Steps depend on counters and the order of the batches alone, so that repeating them gives the same bits.
    """

    def __init__(self, model: Sequential, batches: AnyBatches, runner: Runner, trace: Trace) -> None:
        """Watch the training of `model` by `runner`."""
        self._model, self._batches, self._runner, self._trace = model, batches, runner, trace
        self._before, self._first = model.snapshot(), 0

    def begin_epoch(self, first: int = 0) -> None:
        """Remember the model as it is now, before the step `first` of the epoch."""
        self._model.update_snapshot(self._before)
        self._first = first

    def undo_epoch(self) -> None:
        """Leave the model as it was when the epoch began."""
        self._model.restore(self._before)

    def check_losses(self, start: int, stop: int) -> None:
        """Raise if the loss of one of the steps start to stop - 1 is not finite.

        Raises:
            DivergenceError: naming epoch, step and layer; the model is left as it was before that step.
        """
        losses, _ = self._trace.read()
        bad = np.flatnonzero(~np.isfinite(losses[start:stop]))
        if bad.size:
            step = start + int(bad[0])
            self._raise(f"loss became {losses[step]}", step)

    def check_state(self, stop: int) -> None:
        """Raise if one of the first `stop` steps left what is not finite in the weights, statistics or moments.

        No loss has told of that yet. Called at the end of every epoch, and before a callback saves.

        Raises:
            DivergenceError: as `check_losses` does.
        """
        name = self._infinite()
        if name:
            self._raise(f"{name} stopped being finite", self._first_overflow(stop))

    def _raise(self, what: str, step: int) -> None:
        moment = f"epoch {self._model.epoch + 1}, step {step + 1} of {self._batches.steps}"
        good = self._rewind(step)
        rewound = self._model.snapshot()
        self._batches.restart(good)
        where = self._first_infinite_output(int(self._batches.rows[good]))
        self._model.restore(rewound)  # looking for the layer has moved the running statistics
        raise self.failure(f"The {what} in {moment}: {where}. The model is left as it was before that. {_ADVICE}")

    def failure(self, text: str) -> DivergenceError:
        """Return what is raised; several processes that train together all raise the same."""
        return DivergenceError(text)

    def _rewind(self, step: int) -> int:
        """Go back to before `step`, or before an earlier one whose update made the weights overflow; return it."""
        self._repeat(step)
        if self._infinite():
            step = self._first_overflow(step)
            self._repeat(step)
        return step

    def _first_overflow(self, stop: int) -> int:
        """Return the first step before `stop` that leaves what is not finite, or the last of them."""
        self._repeat(self._first)
        for step in range(self._first, stop):
            self._runner.run_range(self._batches, step, step + 1)
            if self._infinite():
                return step
        return max(stop - 1, self._first)

    def _repeat(self, stop: int) -> None:
        """Go back to where the epoch began and do its steps up to `stop` again."""
        self._model.restore(self._before)
        self._batches.restart(self._first)
        self._runner.run_range(self._batches, self._first, stop)

    def _infinite(self) -> str:
        """Return which part of what training changes is not finite, or an empty text."""
        xp, model = self._model.backend.xp, self._model
        names = ["weights", "running statistics", *(f"optimizer's {name}" for name in model.moment_names)]
        arrays = [model.store.values, model.store.state, *model.moments]
        found = (name for name, held in zip(names, arrays, strict=True) if not xp.all(xp.isfinite(held)))
        return next(found, "")

    def _first_infinite_output(self, rows: int) -> str:
        model, batch = self._model, self._batches.gather(rows)
        search = _Search(model)
        model.chain.observed_forward(batch.x, Context(train=True, lengths=batch.lengths), search)
        return search.found or "all layers' outputs before it are finite, the loss or its gradient is not"


class _Search(Observer):
    """Looks for the first output that is not finite."""

    def __init__(self, model: Sequential) -> None:
        self._model, self.found = model, ""

    def forward(self, index: int, output: Array) -> None:
        if not self.found and not np.isfinite(self._model.backend.to_numpy(output)).all():
            self.found = f"layer {index}, {self._model.chain.layers[index]!r}, is the first with such an output"

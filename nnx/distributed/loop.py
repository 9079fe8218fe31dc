"""The training loop of a rank: what is decided is decided by rank 0, and no rank goes on before all know of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from nnx.callbacks import Callback
from nnx.distributed.agreement import check_state, state_digest
from nnx.distributed.group import Group
from nnx.distributed.steps import RankMeasurement, RankRunner, RankStep
from nnx.distributed.streamed import AnyRankBatches, make_rank_batches
from nnx.divergence import Guard
from nnx.errors import DivergenceError
from nnx.interrupts import Interrupts
from nnx.loop import Loop, Parts
from nnx.progress import Bar
from nnx.steps import Runner, Trace, TrainingStep
from nnx.verification import make_runner

if TYPE_CHECKING:
    from nnx.model import Sequential
    from nnx.training import Run, Task


class Absent(Callback):
    """Stands on all other ranks for a callback of rank 0, so that they wait where that one is asked."""

    def __init__(self, callback: Callback) -> None:
        """Take from the callback what the loop asks of it."""
        self.every, self.saves, self._watches_steps = callback.every, callback.saves, callback.watches_steps

    def config(self) -> None:
        """See `Callback`; rank 0 keeps the run."""

    @property
    def watches_steps(self) -> bool:
        """See `Callback`."""
        return self._watches_steps


class RankInterrupts(Interrupts):
    """Signals that all ranks know of, whichever of them they came to.

    Attributes:
        number: the signal that all ranks have agreed on, or None.
    """

    def __init__(self, group: Group, own: Interrupts) -> None:
        """Begin without one; `own` are those of this rank."""
        super().__init__()
        self._group, self._own = group, own

    def agree(self) -> None:
        """Hear of the signals of all ranks; all must call this."""
        came = [number for number in self._group.collect(self._own.number) if number is not None]
        if self.number is None and came:
            self.number = came[0]
            self._handler = self._own.handler_of(came[0])
            self._own.number = None

    def say(self, text: str) -> None:
        """See `Interrupts.say`; rank 0 speaks for all."""
        if self._group.leads:
            super().say(text)


class RankGuard(Guard):
    """A guard whose findings all ranks raise alike."""

    def __init__(
        self, group: Group, model: Sequential, batches: AnyRankBatches, runner: Runner, trace: Trace
    ) -> None:
        """Watch the training of `model` by `runner`."""
        super().__init__(model, batches, runner, trace)
        self._group = group

    def failure(self, text: str) -> DivergenceError:
        """See `Guard.failure`; a rank in whose rows a layer's outputs overflowed knows more than the others."""
        found = self._group.collect(text)
        known = (told for told in found if "is the first with such an output" in told)
        error = super().failure(next(known, found[0]))
        self._group.agree_on(error)
        return error


class RankLoop(Loop):
    """A loop in step with those of the other ranks."""

    def __init__(self, group: Group, run: Run, task: Task) -> None:
        """Prepare the step; the ranks do not talk to each other yet."""
        self.group, self._signals = group, RankInterrupts(group, Interrupts())
        self.parts = Parts(
            partial(make_rank_batches, group),
            partial(RankStep, group),
            self._make_runner,
            partial(RankMeasurement, group),
            partial(RankGuard, group),
        )
        super().__init__(run, task)

    def _make_runner(
        self, model: Sequential, step: TrainingStep, batches: AnyRankBatches, trace: Trace, eager: bool
    ) -> RankRunner:
        runner = make_runner(model, step, batches, trace, eager)
        return RankRunner(self.group, runner, trace, lambda: self._signals.agree())

    def pieces(self, bar: Bar, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """See `Loop.pieces`; by the clock of rank 0."""
        if self.group.leads:
            for piece in super().pieces(bar, start, stop):
                self.group.from_first(piece)
                yield piece
            return
        while start < stop:
            first, start = self.group.from_first(None)
            yield first, start

    @contextmanager
    def put_off(self) -> Iterator[Interrupts]:
        """See `Loop.put_off`."""
        with super().put_off() as own:
            self._signals = RankInterrupts(self.group, own)
            yield self._signals

    def hand_on(self) -> None:
        """See `Loop.hand_on`; all ranks end, and rank 0 says why."""
        self._signals.agree()
        try:
            super().hand_on()
        except (KeyboardInterrupt, SystemExit) as error:
            self.group.agree_on(error)
            raise

    @contextmanager
    def asking(self) -> Iterator[None]:
        """See `Loop.asking`; what the callbacks of rank 0 do to the run and to the model is done on all ranks."""
        before, run = check_state(self.group, self.model), self.run
        yield
        told = run.history.stopped, run.rate_factor, run.rate_override, run.saved
        run.history.stopped, run.rate_factor, run.rate_override, run.saved = self.group.from_first(told)
        self.take_over(before)

    def take_over(self, before: str) -> None:
        """Make the model that of rank 0, unless that is still the one of this digest."""
        changed = self.group.leads and state_digest(self.model) != before
        host = self.group.from_first(self.model.to_host() if changed else None)
        if host is not None and not self.group.leads:
            self.model.from_host(host)

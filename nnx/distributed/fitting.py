"""One call of `fit` on several ranks: begun together, and ended together."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nnx.distributed.agreement import check_alike, terms
from nnx.distributed.group import Group, open_group
from nnx.distributed.loop import Absent, RankLoop
from nnx.distributed.mixing import check_rows_apart
from nnx.errors import BackendError, OptionError, UnknownNameError
from nnx.memory import check_training
from nnx.registry import chosen_num_threads, set_num_threads
from nnx.stored import held
from nnx.training import Run, Task, Team

if TYPE_CHECKING:
    from nnx.history import History
    from nnx.loop import Loop
    from nnx.resumption import KeptRun

_log = logging.getLogger(__name__)

_THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS")


def find_team(distributed: bool) -> Team:
    """Return who trains: all processes, if that is wanted and there are several; else this one alone.

    Raises:
        MissingLibraryError, BackendError: see `open_group`.
    """
    if not distributed or open_group().size == 1:
        return Team()
    open_group().enter()
    return RankTeam(open_group())


class RankTeam(Team):
    """All ranks, as each of them sees it."""

    def __init__(self, group: Group) -> None:
        """Share the cores of a computer with the ranks beside this one, unless threads have been chosen."""
        self._group = group
        self._terms: dict[str, Any] = {}
        if chosen_num_threads() is None and not any(name in os.environ for name in _THREAD_SETTINGS):
            set_num_threads(threads_of_a_rank(group))
        threads = chosen_num_threads() or "as many as the environment says"
        _log.info("rank %d of %d, threads: %s", group.rank, group.size, threads)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have all ranks fail if one of them fails in the block, in which they do not talk to each other.

        Raises:
            OptionError, BackendError: another rank has failed.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        except BaseException as error:  # the rank ends, and the others would wait for it below
            self._group.abort(error)
        wrong = isinstance(failure, OptionError | UnknownNameError)
        found = self._group.collect(None if failure is None else (wrong, f"{type(failure).__name__}: {failure}"))
        if failure is not None:
            raise self._group.agree_on(failure)
        failed = next((rank for rank, told in enumerate(found) if told is not None), None)
        if failed is not None:
            wrong, text = found[failed]
            kind = OptionError if wrong else BackendError
            text = f"Training cannot begin, since rank {failed} of {self._group.size} failed: {text}"
            raise self._group.agree_on(kind(text))

    def read(self, read: Callable[[], KeptRun]) -> KeptRun | None:
        """See `Team.read`; rank 0 reads for all."""
        return read() if self._group.leads else None

    def loop(self, task: Task) -> Loop:
        """See `Team.loop`.

        Raises:
            OptionError: the model has a layer or loss of one's own that mixes examples, or whose options cannot be
                told.
            MemoryLimitError: there is no memory for the data and for this rank's share of a batch.
        """
        ranks = self._group.size
        measured = None if task.validation is None else held(task.validation, task.measured_batch, ranks)
        check_training(task.model, held(task.examples, task.batch, ranks), measured, -(-task.batch // ranks))
        check_rows_apart(task.model, task.examples)
        self._terms = terms(task)
        if not self._group.leads:
            quiet = replace(task.options, progress=False)
            task = replace(task, callbacks=list(map(Absent, task.callbacks)), options=quiet)
        return RankLoop(self._group, Run(task.model, task.options.epochs), task)

    def fit(self, loop: Loop, kept: KeptRun | None) -> History:
        """See `Team.fit`; all ranks return the model and the history of rank 0.

        What ends one rank alone ends the processes of all, since the others would wait for it for ever.
        """
        path = None if kept is None else kept.path
        try:
            check_alike(self._group, self._terms)
            return self._fit(loop, self._hear_of(kept))
        except BaseException as error:
            if error is self._group.agreed:
                raise
            self._group.abort(error, loop.run.saved or path)

    def _fit(self, loop: Loop, kept: KeptRun | None) -> History:
        super().fit(loop, kept)
        model, host = loop.model, self._group.from_first(loop.model.to_host() if self._group.leads else None)
        if not self._group.leads:  # a callback of rank 0 may have put the best weights back
            model.from_host(host)
        history: History = self._group.from_first(loop.run.history)
        return history

    def _hear_of(self, kept: KeptRun | None) -> KeptRun | None:
        """Return the run that rank 0 has read; what its callbacks remember is for them alone."""
        found: KeptRun | None = self._group.from_first(kept)
        if found is None or self._group.leads:
            return found
        return replace(found, state=replace(found.state, callbacks=[], kept=[]))


def threads_of_a_rank(group: Group) -> int:
    """Return how many threads each rank of this computer can have so that none waits for another's."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    beside = [theirs for host, theirs in group.collect((platform.node(), cores)) if host == platform.node()]
    return max(len(set().union(*beside)) // len(beside), 1)

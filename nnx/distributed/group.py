"""The processes that train together, and what they say to each other."""

from __future__ import annotations

import atexit
import os
import sys
from functools import cache
from types import TracebackType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nnx.errors import BackendError, MissingLibraryError

Host = NDArray[Any]

_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where the launchers of MPICH and Intel MPI, of Open MPI and of MVAPICH leave the number of processes."""


def launched_ranks() -> int:
    """Return how many processes a launcher of MPI has started this one with, 1 if none has; loads nothing."""
    given = (os.environ.get(name, "") for name in _SIZES)
    return next((int(text) for text in given if text.isdigit()), 1)


class Group:
    """All processes of this run.

    Attributes:
        rank: the number of this process, from 0.
        size: how many there are.
        comm: MPI's communicator, by way of mpi4py.
        agreed: the last error that all ranks raise alike, so that none waits for another; see `agree_on`.
    """

    def __init__(self, comm: Any) -> None:
        """Take a communicator of mpi4py."""
        self.comm, self.rank, self.size = comm, int(comm.Get_rank()), int(comm.Get_size())
        self.agreed: BaseException | None = None
        self._doors: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which prints, writes files and asks the callbacks."""
        return self.rank == 0

    def collect(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order; all must call this."""
        found: list[Any] = self.comm.allgather(value)
        return found

    def from_first(self, value: Any) -> Any:
        """Return the value of rank 0; all must call this."""
        return self.comm.bcast(value, 0)

    def stack(self, values: Host) -> Host:
        """Return the arrays of all ranks, in their order, along a new first axis; all must call this."""
        sent = np.ascontiguousarray(values)
        found = np.empty((self.size, *sent.shape), sent.dtype)
        self.comm.Allgather(sent, found)
        return found

    def enter(self) -> None:
        """Begin what all ranks do together; end all of them if one of them ends its program instead.

        Each rank either enters or leaves next, and tells all others; who does so first waits for them, as it would
        in what it enters or, leaving, in the end of MPI. They talk by a channel of its own, so that what is said
        here is never taken for anything else.
        """
        told = self._doors.allgather(True)
        if not all(told) and told.index(True) == self.rank:
            self._end_all(
                f"rank {told.index(False)} of {self.size} ended its program, and rank {self.rank} would wait for "
                "it in fit for ever, which ends all of them. Every rank must reach each fit(distributed=True)."
            )

    def _leave(self, process: int) -> None:
        """Wait until all ranks end; a process that this one has forked is no rank."""
        from mpi4py import MPI

        if os.getpid() != process or MPI.Is_finalized():
            return
        for stream in (sys.stdout, sys.stderr):  # what stands in their buffers would be lost if all are ended
            if stream is not None and not stream.closed:
                stream.flush()
        self._doors.allgather(False)

    def agree_on(self, error: BaseException) -> BaseException:
        """Note that all ranks raise this error, each its own, at the same place."""
        self.agreed = error
        return error

    def abort(self, error: BaseException, saved: object = None) -> NoReturn:
        """End all ranks, since this one cannot go on and the others would wait for it for ever."""
        text = str(error).strip() or "no reason given"
        kind = "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {text}"
        kept = f" The run stands in {str(saved)!r} as it was last saved." if saved else ""
        self._end_all(
            f"rank {self.rank} of {self.size} failed, which ends all of them. {kind.rstrip('.')}.{kept}",
            130 if isinstance(error, KeyboardInterrupt) else 1,
        )

    def _end_all(self, text: str, code: int = 1) -> NoReturn:
        print(f"nnx: {text}", file=sys.__stderr__, flush=True)
        self.comm.Abort(code)
        raise SystemExit(code)  # for the sake of MPIs whose Abort returns

    def watch(self) -> None:
        """Have an error that nobody catches, and an end that others do not come to, end all ranks.

        All must call this.
        """
        former, self._doors = sys.excepthook, self.comm.Dup()
        atexit.register(self._leave, os.getpid())

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if error is not self.agreed or self.leads:
                former(kind, error, trace)
            if error is not self.agreed:
                self.abort(error)

        sys.excepthook = hook


@cache
def open_group() -> Group:
    """Return all processes that were started together; the first call loads MPI.

    Raises:
        MissingLibraryError: mpi4py is not installed.
        BackendError: it finds no MPI.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingLibraryError("mpi4py", "training on several processes (distributed=True)", "mpi") from error
    except RuntimeError as error:
        raise BackendError(
            f"mpi4py is installed but finds no MPI ({str(error).splitlines()[0]}). Install one, such as by "
            "python -m pip install mpich, and start the script with its mpiexec."
        ) from error
    group = Group(MPI.COMM_WORLD.Dup())
    if group.size > 1:
        group.watch()
    return group

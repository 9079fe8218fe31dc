"""Work done in a thread while something else goes on: at most one piece ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np

Result = TypeVar("Result")


class Ahead(Generic[Result]):
    """One piece of work, begun at once in a thread of its own, which ends with it."""

    def __init__(self, work: Callable[[], Result]) -> None:
        """Begin."""
        self._work = work
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="nnx-reading", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with np.errstate(all="ignore"):  # as in `fit`; threads begin with settings of their own
                self._result.append(self._work())
        except BaseException as error:  # whatever it is, it is raised where the result is asked for
            self._error = error

    def wait(self) -> None:
        """Wait until it has ended, well or not."""
        self._thread.join()

    def result(self) -> Result:
        """Wait for the result; raise what the work raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result[0]


def read_ahead(works: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield the result of each piece of work, while the next one is being done; leaves no thread behind."""
    ahead: Ahead[Result] | None = None
    try:
        for work in works:
            before, ahead = ahead, Ahead(work)
            if before is not None:
                yield before.result()
        if ahead is not None:
            yield ahead.result()
    finally:
        if ahead is not None:
            ahead.wait()

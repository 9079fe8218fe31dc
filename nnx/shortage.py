"""Where memory is short: when to ask how much there is, and what to say where it ended on the way."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from nnx.errors import NnxError, OutOfMemoryError
from nnx.interface import Backend, Memory

SMALL = 1 << 26
"""Bytes for which nobody asks how many are free, since asking takes as long as a small step."""


class _Placed(Protocol):
    backend: Backend


Placed = TypeVar("Placed", bound=_Placed)
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def free_for(needed: int, memory: Callable[[], Memory]) -> int | None:
    """Return how many bytes are free; None where so few are needed that nobody asks, or where nothing tells."""
    return None if needed <= SMALL else memory().free


def tells_where_memory_ended(
    advice: str,
) -> Callable[[Callable[Concatenate[Placed, Arguments], Result]], Callable[Concatenate[Placed, Arguments], Result]]:
    """Decorate a method of a model: what an engine says of memory that ended becomes an error of nnx.

    Raises:
        OutOfMemoryError: in place of a MemoryError of Python, or of the backend's own class.
    """

    def decorate(
        method: Callable[Concatenate[Placed, Arguments], Result],
    ) -> Callable[Concatenate[Placed, Arguments], Result]:
        @wraps(method)
        def told(model: Placed, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            try:
                return method(model, *args, **kwargs)
            except Exception as error:
                if has_ended(model.backend, error):
                    raise out_of_memory(model.backend, error, advice) from error
                raise

        return told

    return decorate


def has_ended(backend: Backend, error: BaseException) -> bool:
    """Tell whether an error says that memory ended, and not yet in the words of nnx."""
    return not isinstance(error, NnxError) and backend.ran_out(error)


def out_of_memory(backend: Backend, error: BaseException, rest: str) -> OutOfMemoryError:
    """Return the error that says which engine ran out of memory, why, and the rest."""
    reason = str(error).strip().rstrip(".")
    return OutOfMemoryError(f"{backend.name} ran out of memory{f': {reason}' if reason else ''}. {rest}")

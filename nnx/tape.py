"""A recorded training step, and the plain loop that replays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Kernel = Callable[..., None]


@dataclass(frozen=True)
class Call:
    """One kernel call: the bound kernel and its arguments, arrays included, so their addresses stay valid."""

    kernel: Kernel
    arguments: tuple[Any, ...]


@dataclass
class Tape:
    """The kernel calls of one step, in order."""

    calls: list[Call] = field(default_factory=list)

    def append(self, kernel: Kernel, arguments: tuple[Any, ...]) -> None:
        """Add one call to the end."""
        self.calls.append(Call(kernel, arguments))


class Program(Protocol):
    """What `Backend.compile` returns: a step that can be run again and again."""

    def run(self, steps: int) -> None:
        """Run the recorded step `steps` times."""


class ReplayLoop:
    """The default program: call the recorded kernels one after another."""

    def __init__(self, tape: Tape) -> None:
        """Keep the tape's calls as plain tuples, which a loop unpacks fastest."""
        self._calls = [(call.kernel, call.arguments) for call in tape.calls]

    def run(self, steps: int) -> None:
        """Run the recorded step `steps` times."""
        for _ in range(steps):
            for kernel, arguments in self._calls:
                kernel(*arguments)

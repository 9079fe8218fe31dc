"""What the kit is made of and what comes out of it: checks, failures, reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nnx.interface import Backend


class NonconformanceError(AssertionError):
    """A backend does not do what the interface says; the message tells where and by how much."""


@dataclass(frozen=True)
class Check:
    """One thing every backend must do.

    Attributes:
        name: unique and readable, such as "softmax float32 (33, 31)".
        subject: the kernel it is about, or "arrays", "compile", "gradients", "threads", "training".
        run: runs the check on a backend and raises `NonconformanceError` (or whatever the backend raised).
    """

    name: str
    subject: str
    run: Callable[[Backend], None] = field(repr=False)


@dataclass(frozen=True)
class Failure:
    """A check that failed, and why."""

    name: str
    message: str


@dataclass
class Report:
    """The outcome of all checks on one backend."""

    backend: str
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return not self.failures

    def __str__(self) -> str:
        counts = f"{self.passed} checks passed, {len(self.failures)} failed in {self.seconds:.1f} s"
        return "\n  ".join([f"{self.backend}: {counts}", *(failure.message for failure in self.failures)])

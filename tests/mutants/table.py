"""The table of mutants: one entry per way for a kernel to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnx import reference
from nnx.conformance.case import parameters
from nnx.interface import Backend
from nnx.interface.generic import GenericBackend

Mutation = Callable[[Callable[..., None], SimpleNamespace], None]
MUTANTS: dict[str, tuple[str, Mutation]] = {}


def mutant(kernel: str) -> Callable[[Mutation], Mutation]:
    """Register a wrong version of a kernel: it gets the right one, run(**changed arguments), and the arguments."""

    def register(mutation: Mutation) -> Mutation:
        MUTANTS[f"{kernel}: {mutation.__name__.replace('_', ' ')}"] = (kernel, mutation)
        return mutation

    return register


def mutated(kernel: str, mutation: Mutation) -> Backend:
    """Return the generic NumPy backend with one wrong kernel."""
    backend = GenericBackend(np, "mutant")
    names = parameters(kernel)

    def wrong(*arguments: Any) -> None:
        given = dict(zip(names, arguments, strict=True))

        def run(**changed: Any) -> None:
            getattr(reference, kernel)(backend.xp, *{**given, **changed}.values())

        mutation(run, SimpleNamespace(**given))

    setattr(backend, kernel, wrong)
    return backend

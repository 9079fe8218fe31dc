"""All checks together, and the function that runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

from nnx.conformance.arrays import array_checks
from nnx.conformance.behaviour import behaviour_checks
from nnx.conformance.cases import CASES
from nnx.conformance.gradients import gradient_checks
from nnx.conformance.kernels import kernel_checks
from nnx.conformance.randomness import randomness_checks
from nnx.conformance.report import Check, Failure, Report
from nnx.conformance.training import training_checks
from nnx.errors import OptionError, UnknownNameError
from nnx.interface import Backend
from nnx.registry import resolve

Progress = Callable[[str, int, int], None]


def checks(kernels: Collection[str] | None = None) -> list[Check]:
    """Return the checks that every backend must pass, or those about some kernels.

    Args:
        kernels: names of kernels (or other subjects, such as "arrays") to limit the checks to.

    Raises:
        OptionError: kernels names none.
        UnknownNameError: if nothing is checked under one of the names.
    """
    everything = list(_everything())
    if kernels is None:
        return everything
    if not kernels:
        raise OptionError(f"kernels must name at least one kernel, or be None for all, got {kernels!r}.")
    subjects = {check.subject for check in everything}
    for name in kernels:
        if name not in subjects:
            raise UnknownNameError("subject of a check", name, subjects)
    return [check for check in everything if check.subject in kernels]


def _everything() -> Iterator[Check]:
    yield from array_checks()
    for case in CASES:
        yield from kernel_checks(case)
    yield from randomness_checks()
    yield from gradient_checks()
    yield from behaviour_checks()
    yield from training_checks()


def check_backend(
    backend: str | Backend, progress: Progress | None = None, kernels: Collection[str] | None = None
) -> Report:
    """Run all checks on a backend and collect what fails.

    Args:
        backend: the backend to check, or its name.
        progress: called before each check with its name, how many were done, and how many there are.
        kernels: limits the checks, as in `checks`.

    Examples:
        >>> import numpy, nnx, nnx.conformance
        >>> backend = nnx.Backend.from_namespace(numpy)
        >>> nnx.conformance.check_backend(backend, kernels=["increment"]).ok
        True
    """
    selected, engine = checks(kernels), resolve(backend)
    report = Report(engine.name)
    start = time.perf_counter()
    for done, check in enumerate(selected):
        if progress is not None:
            progress(check.name, done, len(selected))
        try:
            check.run(engine)
            report.passed += 1
        except Exception as error:  # whatever a backend raises is a failure of that check, not of the kit
            report.failures.append(Failure(check.name, _describe(check, error)))
    report.seconds = time.perf_counter() - start
    return report


def _describe(check: Check, error: Exception) -> str:
    if isinstance(error, AssertionError):
        return str(error)
    return f"{check.name}: raised {type(error).__name__}: {error}"

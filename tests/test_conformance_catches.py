"""The conformance kit fails when a backend is wrong: every mutant must be caught."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mutants import MUTANTS, mutated

from nnx.conformance import checks
from nnx.conformance.cases import CASES
from nnx.interface import Backend
from nnx.interface.generic import GenericBackend


def first_failure(backend: Backend, subject: str) -> str | None:
    for check in checks([subject]):
        try:
            check.run(backend)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_kernel_is_caught(name: str) -> None:
    kernel, mutation = MUTANTS[name]
    failure = first_failure(mutated(kernel, mutation), kernel)
    assert failure is not None, f"the kit passes a backend whose {name}"
    assert kernel in failure or ": needs" in name or name.endswith("past the end")


def test_right_kernel_passes_in_the_harness_of_the_mutants() -> None:
    for kernel in ("adam", "huber", "take_rows"):
        assert first_failure(mutated(kernel, lambda run, _a: run()), kernel) is None


def test_there_is_a_mutant_for_nearly_every_kernel() -> None:
    without = {case.kernel for case in CASES} - {kernel for kernel, _ in MUTANTS.values()}
    assert without <= {"load_at", "log_softmax_backward"}


class _Unsteady(GenericBackend):
    """A backend whose programs run one step too many."""

    def compile(self, tape: Any) -> Any:
        program = super().compile(tape)
        return SimpleNamespace(run=lambda steps: program.run(steps + 1))


class _Sharing(GenericBackend):
    """A backend whose arrays share memory with the host's."""

    def asarray(self, values: Any, dtype: str) -> Any:
        return np.asarray(values, dtype)


class _Greedy(GenericBackend):
    """A backend that takes anything for an array."""

    def owns(self, _value: object) -> bool:
        return True


class _Elsewhere(GenericBackend):
    """A backend that says of NumPy's arrays that they lie on a device."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.on_host = False


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (_Unsteady, "compile"),
        (_Unsteady, "sgd"),
        (_Unsteady, "training"),
        (_Sharing, "arrays"),
        (_Greedy, "arrays"),
        (_Elsewhere, "arrays"),
    ],
)
def test_wrong_array_part_or_program_is_caught(kind: type[GenericBackend], subject: str) -> None:
    assert first_failure(kind(np, "mutant"), subject) is not None


def test_kernel_with_shared_scratch_is_caught_by_threads() -> None:
    scratch: dict[str, Any] = {}

    def through_scratch(run: Callable[..., None], a: SimpleNamespace) -> None:
        scratch["dx"] = a.dx
        time.sleep(0.001)
        run(dx=scratch["dx"])

    backend = mutated("softmax_backward", through_scratch)
    assert first_failure(backend, "threads") is not None


def test_training_on_wrong_masks_is_caught_by_the_trajectory() -> None:
    backend = mutated("dropout", lambda run, a: run(stream=a.stream + 1))
    assert "differs from the reference" in str(first_failure(backend, "training"))


def test_training_without_the_lengths_is_caught_by_the_trajectory() -> None:
    backend = mutated("lstm", lambda run, _a: run(lengths=None))
    assert "a network of tokens with lengths: after 5 epochs" in str(first_failure(backend, "training"))


def test_training_that_counts_a_repeated_token_once_is_caught_by_the_trajectory() -> None:
    def once(run: Callable[..., None], a: SimpleNamespace) -> None:
        run()
        a.dtable[a.tokens] = a.dy

    backend = mutated("embedding_backward", once)
    assert "a network of tokens with lengths: after 5 epochs" in str(first_failure(backend, "training"))

"""What a law is, and how it is tried on examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as some

from nnx import Backend, Layer
from nnx.layers import LAYERS
from tests.properties.subjects import Subject, subject_of
from tests.properties.values import MODERATE, Values, numbers
from tests.support.gradients import Bench, mount


class Law(NamedTuple):
    """Something that holds for some layers.

    Attributes:
        name: what holds, in words.
        layers: of which layers, by name.
        check: raises AssertionError where it does not.
    """

    name: str
    layers: tuple[str, ...]
    check: Callable[[Trial], None]


LAWS: list[Law] = []

ALL = (*LAYERS, "Chain")


def law(*layers: str, but: Iterable[str] = ()) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Enter a function among the laws, under its own name, for these layers or for all but some."""

    def enter(check: Callable[[Trial], None]) -> Callable[[Trial], None]:
        names = tuple(name for name in layers or ALL if name not in but)
        LAWS.append(Law(check.__name__.replace("_", " "), names, check))
        return check

    return enter


@dataclass
class Trial:
    """One example: a layer's name, and the means to draw the rest.

    Attributes:
        data: where hypothesis' choices come from.
        backend: where the layer runs.
        name: the layer's class.
    """

    data: some.DataObject
    backend: Backend
    name: str

    def among(self, *choices: Any) -> Any:
        """Draw one of these."""
        return self.data.draw(some.sampled_from(choices))

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number, both ends included."""
        return self.data.draw(some.integers(low, high))

    def dtype(self) -> str:
        """Draw a dtype."""
        return self.among("float32", "float64")

    def numbers(self, shape: tuple[int, ...], dtype: str = "float64", kinds: tuple[str, ...] = MODERATE) -> Values:
        """Draw numbers of one of the kinds."""
        return numbers(self.among(*kinds), self.integer(0, 2**32 - 1), shape, dtype)

    def subject(self, **fixed: Any) -> Subject:
        """Draw a layer, some of its options fixed."""
        return subject_of(self.data, self.name, fixed)

    def inputs(self, subject: Subject, rows: int, dtype: str, kinds: tuple[str, ...] = MODERATE) -> Values:
        """Draw a batch for a layer."""
        if subject.vocabulary is None:
            return self.numbers((rows, *subject.shape), dtype, kinds)
        random = np.random.default_rng(self.integer(0, 2**32 - 1))
        return random.integers(0, subject.vocabulary, (rows, *subject.shape))

    def lengths(self, subject: Subject, rows: int) -> Values | None:
        """Draw how many steps of each sequence are real, or None where a layer is not for sequences, or for all."""
        if not subject.recurrent or self.among(True, False):
            return None
        return np.random.default_rng(self.integer(0, 2**32 - 1)).integers(0, subject.shape[0] + 1, rows)

    def mount(self, layer: Layer, shape: tuple[int, ...], dtype: str = "float64") -> Bench:
        """Build a layer with random weights, the same for the same shapes; tokens come first in a model."""
        return mount(layer, shape, self.backend, dtype, path="0" if layer.takes == "tokens" else "1")

    def bench(self, subject: Subject, dtype: str = "float64") -> Bench:
        """Build what was drawn."""
        return self.mount(subject.layer, subject.shape, dtype)


PHASES: tuple[Phase, ...] = (Phase.generate, Phase.shrink)
"""Without that which explains: it takes minutes, and a failed law says what was drawn."""


def examine(which: Law, layer: str, backend: Backend, count: int, seed: int | None = None) -> None:
    """Try a law of one layer on `count` examples: always the same ones, or those of a seed."""

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=seed is None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=PHASES,
        report_multiple_bugs=False,
    )
    @hypothesis.given(data=some.data())
    def tried(data: some.DataObject) -> None:
        with np.errstate(all="ignore"):
            which.check(Trial(data, backend, layer))

    (tried if seed is None else hypothesis.seed(seed)(tried))()

"""Gradients of the kernels on sequences: backward through time, and through the table of an embedding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nnx.conformance.calls import call
from nnx.conformance.case import Output, parameters
from nnx.conformance.recurrences import KINDS
from nnx.conformance.slopes import Pair, Point, inner
from nnx.conformance.tolerance import Values
from nnx.interface import FUSED, Backend

_COUNT, _STEPS, _UNITS = 4, 5, 3
_LENGTHS = np.asarray([5, 0, 3, 1])


def sequence_pairs() -> Iterator[Pair]:
    """Yield the pairs of recurrence, with and without lengths, given states and reverse, and of embedding."""
    for kernel in KINDS:
        for lengths, reverse, first in itertools.product((None, _LENGTHS), (False, True), (False, True)):
            yield _Recurrence(kernel, lengths, reverse, first).pair()
    for activation in sorted({*FUSED} - {"tanh"}):
        yield _Recurrence("simple_rnn", _LENGTHS, False, True, activation).pair()
    yield _embedding()


def _ordered(backend: Backend, kernel: str, given: Mapping[str, Any]) -> dict[str, Values]:
    """Call a kernel with those of the arguments that it takes; what is missing is None."""
    return call(backend, kernel, **{name: given.get(name) for name in parameters(kernel)})


class _Recurrence:
    """One kernel with one choice of options; the loss takes all that comes out."""

    def __init__(
        self, kernel: str, lengths: Values | None, reverse: bool, first: bool, activation: str = "tanh"
    ) -> None:
        self.kernel, self.kind, self.lengths, self.first = kernel, KINDS[kernel], lengths, first
        self.options = {"lengths": lengths, "reverse": reverse, "activation": activation, "alpha": 0.3}
        self.draw = np.random.Generator(np.random.PCG64(37)).standard_normal
        self.seeds = {"y": self.draw((_COUNT, _STEPS, _UNITS))}
        self.seeds |= {f"{state}_last": self.draw((_COUNT, _UNITS)) for state in self.kind.states}

    def pair(self) -> Pair:
        kernel, words = f"{self.kernel}_backward", ["masked"] if self.lengths is not None else []
        words += ["given states"] if self.first else []
        words += ["reverse"] if self.options["reverse"] else []
        words += [str(self.options["activation"])] if self.kernel == "simple_rnn" else []
        return Pair(" ".join([kernel, *words]), kernel, self._point(), self._loss, self._gradient)

    def _point(self) -> Point:
        width = self.kind.gates * _UNITS
        point = {"xw": self.draw((_COUNT, _STEPS, width)), "u": self.draw((_UNITS, width))}
        if self.first:
            point |= {f"{state}0": self.draw((_COUNT, _UNITS)) for state in self.kind.states}
        if self.kernel == "gru":
            point["b"] = self.draw(width)
        return point

    def _forward(self, backend: Backend, point: Point) -> dict[str, Values]:
        results = {name: Output(seed.shape) for name, seed in self.seeds.items()}
        kept = {name: Output((_COUNT, _STEPS, w * _UNITS)) for name, w in self.kind.kept.items()}
        return _ordered(backend, self.kernel, {**point, **self.options, **results, **kept})

    def _loss(self, backend: Backend, point: Point) -> float:
        made = self._forward(backend, point)
        return sum(inner(seed, made[name]) for name, seed in self.seeds.items())

    def _gradient(self, backend: Backend, point: Point) -> Point:
        made = self._forward(backend, point)
        results = {f"d{name}": Output(values.shape) for name, values in point.items()}
        if self.kernel == "gru":
            results["dhu"] = results["dxw"]
        seeds = {f"d{name}": seed for name, seed in self.seeds.items()}
        given = {**point, **self.options, **made, **seeds, **results}
        done = _ordered(backend, f"{self.kernel}_backward", given)
        return {name: done[f"d{name}"] for name in point}


def _embedding() -> Pair:
    draw = np.random.Generator(np.random.PCG64(41)).standard_normal
    tokens, seed = np.asarray([2, 0, 2, 4, 2]), draw((5, 3))

    def loss(backend: Backend, point: Point) -> float:
        return inner(seed, call(backend, "embedding", tokens=tokens, table=point["table"], y=Output((5, 3)))["y"])

    def gradient(backend: Backend, _: Point) -> Point:
        made = call(backend, "embedding_backward", tokens=tokens, dy=seed, dtable=Output((6, 3)))
        return {"table": made["dtable"]}

    point = {"table": draw((6, 3))}
    return Pair("embedding_backward", "embedding_backward", point, loss, gradient)

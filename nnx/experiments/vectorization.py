"""How much faster whole vectors are than a loop over their numbers."""

from __future__ import annotations

import math
import statistics
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nnx import plots, random, registry
from nnx.experiments.choosing import median
from nnx.experiments.experiment import Experiment, Picture, Quantity, Results, Row, Settings
from nnx.experiments.result import Curve, Result
from nnx.ops import Ops
from nnx.random import Floats

LENGTH = 1_000_000
LENGTHS = tuple(10**power for power in range(1, 8))
PUBLISHED = 1000
ABOUT = 2
"""Within this factor, a measured ratio is about the published one."""

TIME, TIMES, DIGITS = "time", "times as fast as the loop", "right digits"
LOOP, LISTS = "Python loop", "Python loop, lists"
ENGINES = ("numpy", "numba", "cupy")

TITLE = "Time of one dot product"
CAPTION = (
    "The time of one dot product of float64 numbers over the length of its vectors. Where the line of an engine is "
    "level, calling it costs more than computing does; it pays to the right of where its line crosses those of the "
    "loops."
)

_ROUND, _ROUNDS = 0.01, 9
"""Seconds and number of the rounds of calls that are timed; a slow product has fewer rounds, of one call."""

Product = Callable[[], float]
"""Computes the dot product once, to the end: the result is a number of the host."""


@dataclass(frozen=True)
class DotProduct(Settings):
    """The dot product of two vectors of random numbers from [0, 1), and the time it takes.

    The loop over NumPy arrays is timed in the same run, so that a busy moment of the machine strikes both.

    Attributes:
        dtype: what the numbers are rounded to beforehand; "float64" leaves them as they are.
        length: numbers per vector.
        lengths: those of the curve.
    """

    dtype: str = "float64"
    length: int = LENGTH
    lengths: tuple[int, ...] = LENGTHS

    def run(self, seed: int, backend: str) -> Result:
        """See `Settings.run`."""
        pair = vectors(self.length, seed, self.dtype)
        product = self.product(pair, backend)
        taken = seconds(product)
        figures = {
            TIME: taken,
            TIMES: seconds(partial(loop, *pair)) / taken,
            DIGITS: right_digits(product(), math.fsum(pair.prod(0).tolist())),
        }
        taken_each = [seconds(self.product(vectors(length, seed, self.dtype), backend)) for length in self.lengths]
        return Result(figures, {TIME: Curve(self.lengths, taken_each)})

    def product(self, pair: Floats, backend: str) -> Product:
        """Return what is timed of two vectors, (2, N); moving them to where they are multiplied is not."""
        raise NotImplementedError(f"{type(self).__name__} must supply product")


@dataclass(frozen=True)
class LoopOverArrays(DotProduct):
    """A loop over NumPy arrays: each element that it takes is made an object of Python first."""

    def product(self, pair: Floats, backend: str) -> Product:
        """See `DotProduct.product`."""
        del backend
        return partial(loop, *pair)


@dataclass(frozen=True)
class LoopOverLists(DotProduct):
    """The same loop over lists of numbers of Python, the fastest that it can be."""

    def product(self, pair: Floats, backend: str) -> Product:
        """See `DotProduct.product`."""
        del backend
        return partial(loop, *pair.tolist())


@dataclass(frozen=True)
class OnEngine(DotProduct):
    """A dense layer of one unit on one example, recorded once and replayed, as a step of training is."""

    def product(self, pair: Floats, backend: str) -> Product:
        """See `DotProduct.product`; copying the result to the host waits for the device."""
        engine = registry.get(backend)
        ops = Ops(engine, self.dtype)
        x, w = ops.asarray(pair[:1]), ops.asarray(pair[1:].T)  # (1, I) and (I, 1)
        with ops.recording() as tape:
            y = ops.linear(x, w, None)  # (1, 1)
        program = engine.compile(tape)

        def replay() -> float:
            program.run(1)
            return float(engine.to_numpy(y)[0, 0])

        return replay


def loop(first: Sequence[Any] | Floats, second: Sequence[Any] | Floats) -> float:
    """Return the dot product as a beginner writes it."""
    total = 0.0
    for index in range(len(first)):
        total += first[index] * second[index]
    return total


def vectors(length: int, seed: int, dtype: str) -> Floats:
    """Return two vectors, (2, length) float64, of numbers that the dtype can hold."""
    drawn = random.uniform((2, length), seed, random.stream_of("vectorization"))
    return drawn.astype(dtype).astype(np.float64)


def seconds(product: Product) -> float:
    """Return the time of one call: in the fastest of several rounds, which others' work has disturbed least."""
    timer = timeit.Timer(product)
    once = min(timer.repeat(2, 1))  # the first call warms up
    calls = max(1, round(_ROUND / once))
    rounds = max(1, min(_ROUNDS, round(_ROUNDS * _ROUND / once)))
    return min(timer.repeat(rounds, calls)) / calls


def right_digits(value: float, exact: float) -> float:
    """Return to how many decimal digits a value agrees with the exact one, at most what float64 can tell."""
    return -math.log10(max(abs(value - exact) / exact, 2.0**-53))


def notes(results: Results) -> Iterator[str]:
    """Say how far the published ratio holds, what part of it arrays cause, and where vectors begin to pay."""
    ran = [name for name in ENGINES if name in results]
    for name in ran:
        yield _ratio(name, median(results, name, TIMES))
    if LISTS in results:
        faster = median(results, LISTS, TIMES)
        against = ", ".join(f"{median(results, name, TIMES) / faster:.0f} on {name}" for name in ran)
        yield (
            f"Over lists of Python's own numbers, the loop is {faster:.1f} times as fast as over arrays, whose "
            "elements it must turn into objects one by one. Times as fast as that loop: "
            f"{against or 'no engine was measured'}."
        )
        yield from (_break_even(name, results) for name in ran)


def _ratio(name: str, ratio: float) -> str:
    near = "less than" if ratio < PUBLISHED / ABOUT else "about" if ratio <= PUBLISHED * ABOUT else "more than"
    return f"{name} is {ratio:.0f} times as fast as the loop over arrays: {near} the published {PUBLISHED} times."


def _break_even(name: str, results: Results) -> str:
    lengths = results[name][0].curves[TIME].steps
    engine, lists = (_median_curve(results, row) for row in (name, LISTS))
    slower = [index for index, (time, other) in enumerate(zip(engine, lists, strict=True)) if time >= other]
    first = slower[-1] + 1 if slower else 0
    if first == len(lengths):
        return f"{name} is not faster than the loop over lists at the longest of the lengths measured."
    return (
        f"{name} is faster than the loop over lists from {lengths[first]:,.0f} numbers on, of the lengths measured."
    )


def _median_curve(results: Results, row: str) -> list[float]:
    runs = (result.curves[TIME].values for result in results[row])
    return [statistics.median(values) for values in zip(*runs, strict=True)]


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the time over the length of the vectors, in the loops and on the engines."""
    shown = {name: results[name] for name in (LOOP, LISTS, *ENGINES) if name in results}
    curves = {name: [run.curves[TIME] for run in runs] for name, runs in shown.items()}
    in_microseconds = {
        name: [(curve.steps, [1e6 * value for value in curve.values]) for curve in own]
        for name, own in curves.items()
    }
    figure = plots.learning_curves(
        in_microseconds,
        quantity="microseconds",
        across="numbers in each vector (logarithmic)",
        logarithmic=True,
        title=TITLE,
    )
    figure.axes[0].set_xscale("log")
    yield Picture("time-over-length", TITLE, CAPTION, figure)


ROWS = (
    Row(LOOP, LoopOverArrays()),
    Row(LISTS, LoopOverLists()),
    *(Row(name, OnEngine(), {TIMES: PUBLISHED}, backend=name) for name in ENGINES),
    *(Row(f"{name}, float32", OnEngine("float32"), backend=name) for name in ENGINES),
)

EXPERIMENT = Experiment(
    name="vectorization",
    title="A loop over numbers against whole vectors",
    question=(
        "Why are networks written in matrices? The dot product of two vectors is what every unit of a dense layer "
        "computes. A loop in Python takes the numbers pair by pair, an engine takes the vectors as a whole. Both "
        "are timed from when the vectors are in place to when the result is a number in Python."
    ),
    dataset=None,
    settings={
        "vectors": f"two of {LENGTH:,} random numbers from [0, 1)",
        "numbers": "float64, also float32, which networks compute in by default",
        "loop": "total += first[i] * second[i], over NumPy arrays; also over lists",
        "engines": "a dense layer of one unit on one example, its step recorded once and replayed",
        "time": "of one call, in the fastest of several rounds of calls",
        "right digits": "compared with the exactly rounded sum of the products in float64",
    },
    rows=ROWS,
    quantities=(
        Quantity(TIME, 3, 1000, " ms", "low"),
        Quantity(TIMES, 0, better="high"),
        Quantity(DIGITS, 1, better="high"),
    ),
    source="The claim that a loop in Python is about 1000 times slower, as courses on deep learning show it.",
    pictures=pictures,
    notes=notes,
    seeds=5,
    alone=True,
    seconds={"numba": 3.0, "numpy": 6.0},
    links={
        "The course 'Neural Networks and Deep Learning'": "https://www.coursera.org/learn/neural-networks-deep-learning"
    },
)

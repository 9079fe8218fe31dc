"""How much memory a model needs, computed before it is taken; and requests that cannot be met, refused.

The step that would be recorded is gone through with arrays that have no memory (`nnx.interface.outlines`). So the
figure is that of the layers' own code, those of one's own included. Not counted: what callbacks hold and files take
while they are written, what checks of the caller's arrays take, the engine's code, 1 MiB per thread of Numba's, and
the context, modules and partial sums of CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from nnx.builder import Shape
from nnx.checks import check_count
from nnx.errors import MemoryLimitError, NnxError, OptionError, in_units
from nnx.inputs import Examples
from nnx.network import check_input_shape
from nnx.sketch import Outlined, Recorded, Sketch
from nnx.steps import EvaluationStep, TrainingStep
from nnx.verification import foreign_parts

if TYPE_CHECKING:
    from nnx.model import Sequential

_SMALL = 1 << 24
"""Bytes for which nobody asks how many are free."""

_ROUGHLY = 16
"""A step is guessed to take no more than so many numbers for each of its arrays' elements; see `_guess`."""

_SHARE = 4
"""A guess of less than a fourth of what is free is believed."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that training takes, on the device of the model; printed, a table.

    Attributes:
        parameters, gradients, moments, statistics: what the model holds once it is built and compiled.
        copies: of these but the gradients, to go back to after a divergence, and the marks of what is finite.
        activations: all arrays of the recorded steps: outputs, their gradients, batches, losses.
        scratch: working memory of the engine for them, as far as it is known, and what the check of layers of one's
            own takes.
        examples: the data set, with the order of its examples.
        prediction: what `predict` takes for one batch, beside the parameters; no part of the total.
    """

    parameters: int
    gradients: int
    moments: int
    statistics: int
    copies: int
    activations: int
    scratch: int
    examples: int
    prediction: int

    @property
    def held(self) -> int:
        """What the model itself holds."""
        return self.parameters + self.gradients + self.moments + self.statistics

    @property
    def training(self) -> int:
        """What training takes beside the model."""
        return self.copies + self.activations + self.scratch + self.examples

    @property
    def total(self) -> int:
        """All that training takes."""
        return self.held + self.training

    def __str__(self) -> str:
        rows = {item.name: getattr(self, item.name) for item in fields(self)}
        prediction = rows.pop("prediction")
        lines = [f"{name:<12} {in_units(size):>10}" for name, size in {**rows, "total": self.total}.items()]
        lines.insert(-1, "-" * len(lines[0]))
        return "\n".join([*lines, f"{'prediction':<12} {in_units(prediction):>10}"])


def of_training(
    model: Sequential, batch_size: int, input_shape: Sequence[int] | None, examples: int | None
) -> MemoryNeed:
    """Return what training takes; see `Sequential.memory`.

    Raises:
        OptionError: a layer, loss or optimizer of one's own does what cannot be followed.
        MemoryLimitError: an array is too large for any computer's addresses.
    """
    size = check_count("batch_size", batch_size)
    count = 2 * size if examples is None else check_count("examples", examples)  # twice: batches are gathered
    if input_shape is None:
        model.need_built()
    shape = model.input_shape if input_shape is None else check_input_shape(input_shape)
    _, _ = model.loss, model.optimizer
    with _followed():
        sketch = Sketch(model, shape)
        need = _need(sketch, sketch.examples(count), None, size)
    return need if examples is not None else replace(need, examples=0)


@contextmanager
def _followed() -> Iterator[None]:
    try:
        yield
    except NnxError:
        raise
    except Exception as error:  # what somebody else's code makes of arrays without values
        raise OptionError(
            f"The memory of this model cannot be computed: a part of one's own does what only arrays with values "
            f"can do ({error}). Let it use operations of self.ops alone."
        ) from error


def _need(sketch: Sketch, examples: Examples, validation: Examples | None, size: int) -> MemoryNeed:
    batches = Outlined(sketch.ops, examples, size)
    trained = sketch.recorded(TrainingStep, batches)
    others, data = list[Recorded](), batches.taken
    if validation is not None:
        measured = Outlined(sketch.ops, validation, max(size, 1024))
        others, data = sketch.recorded(EvaluationStep, measured), data + measured.taken
    recorded, store, itemsize = [*trained, *others], sketch.store, np.dtype(sketch.dtype).itemsize
    values, moments = store.values.nbytes, sum(array.nbytes for array in sketch.moments)
    return MemoryNeed(
        parameters=values,
        gradients=values,
        moments=moments,
        statistics=store.state.nbytes,
        copies=values + moments + store.state.nbytes + values // itemsize,
        activations=sum(recording.arrays for recording in recorded),
        scratch=_working(recorded, sketch),
        examples=data + (4 * batches.order.nbytes if sketch.backend.on_host else 0),  # an order being drawn
        prediction=sketch.predicted(batches.size),
    )


def _working(recorded: list[Recorded], sketch: Sketch) -> int:
    """Return the scratch of all programs, and of this thread, which runs each step once by its code."""
    eager = max(recording.scratch.thread for recording in recorded)
    again = max(recording.arrays for recording in recorded) if foreign_parts(sketch) else 0
    return sum(recording.scratch.program for recording in recorded) + eager + again


def check_training(
    model: Sequential, examples: Examples, validation: Examples | None, batch_size: int | str
) -> None:
    """Refuse training for which there is no memory, before any of it is taken.

    Raises:
        MemoryLimitError: with the largest batches that there is memory for.
    """
    count = examples.x.shape[0]
    size = count if isinstance(batch_size, str) else min(batch_size, count)
    shape = examples.x.shape[1:]
    data = sum(int(part.x.nbytes) for part in (examples, validation) if part is not None)

    def needed(sketch: Sketch, rows: int) -> int:
        return _need(sketch, examples, validation, rows).training

    def fixed(sketch: Sketch) -> str:
        need = _need(sketch, examples, validation, 1)
        parts = ("copies", "activations", "scratch", "examples")
        sizes = ", ".join(f"{in_units(getattr(need, name))} of {name}" for name in parts)
        return f": {sizes}, beside the {in_units(need.held)} that the model itself takes"

    held = 4 * (2 + len(model.moments)) * prod(model.store.values.shape) if model.built else 0
    _check(model, f"Training in batches of {size}", shape, size, 2 * data + held, needed, fixed)


def check_evaluation(model: Sequential, examples: Examples, batch_size: int) -> None:
    """Refuse to measure a model where there is no memory for it.

    Raises:
        MemoryLimitError: with the largest batches that there is memory for.
    """
    shape, size = examples.x.shape[1:], min(batch_size, examples.x.shape[0])

    def needed(sketch: Sketch, rows: int) -> int:
        batches = Outlined(sketch.ops, examples, rows)
        recorded = sketch.recorded(EvaluationStep, batches)
        return batches.taken + sum(recording.arrays for recording in recorded) + _working(recorded, sketch)

    _check(model, f"Evaluation in batches of {size}", shape, size, 2 * int(examples.x.nbytes), needed)


def check_prediction(model: Sequential, shape: Shape, batch_size: int) -> None:
    """Refuse to predict for inputs (N, ...) of this shape where there is no memory for it.

    Raises:
        MemoryLimitError: with the largest batches that there is memory for.
    """
    size = max(min(batch_size, shape[0]), 1)

    _check(model, f"Prediction in batches of {size}", shape[1:], size, 0, Sketch.predicted)


def _check(
    model: Sequential,
    what: str,
    shape: Shape,
    size: int,
    others: int,
    needed: Callable[[Sketch, int], int],
    fixed: Callable[[Sketch], str] | None = None,
) -> None:
    """Refuse what needs more than is free; others are bytes beside the layers', `fixed` says what they are."""
    guess = _guess(model, shape, size)
    small = others < _SMALL and guess < _SMALL * _ROUGHLY // _SHARE
    guess, free = guess + others, None if small else model.backend.free_memory()
    if free is None or guess < free // _SHARE:
        return
    try:
        sketch = Sketch(model, shape)

        def take(rows: int) -> int:
            return _bytes(needed, sketch, rows)

        wanted = take(size)
        if wanted > free:
            raise MemoryLimitError.of(what, wanted, free, _advice(take, size, free, fixed and fixed(sketch)))
    except MemoryLimitError:
        raise
    except Exception:  # what is wrong with a step, or cannot be followed, is for the step itself to say
        return


def _guess(model: Sequential, shape: Shape, rows: int) -> int:
    """Guess the bytes of a step, on the high side, by looking at shapes alone, which takes microseconds.

    Inner arrays may be wider than outputs, and have steps that outputs have not, as in recurrent layers: so every
    parameter is taken to make an array of as many places as any layer has, and windows to be copied out.
    """
    shapes = [shape, *model.chain.shapes]
    places = max(prod(out[:-1]) for out in shapes)
    weights = [parameter.shape for parameter in model.store.parameters if parameter.shape]
    width = sum(weight[-1] + (prod(weight[:-1]) if len(weight) > 2 else 0) for weight in weights)
    steps = max(prod(shape) // max(prod(model.input_shape), 1), 1)  # more of them than the model was built for
    return 8 * _ROUGHLY * rows * (places * width + steps * sum(map(prod, shapes)))


def _bytes(needed: Callable[[Sketch, int], int], sketch: Sketch, size: int) -> int:
    """Return what batches of this size take, where no array of theirs can be had at all what that one takes."""
    try:
        return needed(sketch, size)
    except MemoryLimitError as error:
        return error.needed


def _advice(take: Callable[[int], int], size: int, free: int, fixed: str | None) -> str:
    if size == 1 or (least := take(1)) > free:
        return f"not even batches of 1 fit{'' if size == 1 else f', which need {in_units(least)}'}{fixed or ''}."
    fits, beyond = 1, size
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        fits, beyond = (middle, beyond) if take(middle) <= free else (fits, middle)
    return f"batches of at most {fits} fit."

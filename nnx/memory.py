"""How much memory a model needs, computed before it is taken; and requests that cannot be met, refused.

The step that would be recorded is gone through with arrays that have no memory (`nnx.interface.outlines`), so that
the figure is that of the layers' own code, one's own included. Requests are not looked at so closely where a bound
from shapes alone (`nnx.bounds`) is below what is free. Not counted: what callbacks hold and files take while they
are written, what checks of the caller's arrays take, the engine's code, 1 MiB per thread of Numba's, and the
context, modules and partial sums of CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from nnx.bounds import bound_of_batches, bound_of_copies, bound_of_step
from nnx.builder import Shape
from nnx.checks import check_count
from nnx.errors import MemoryLimitError, OptionError, ShapeError, in_units
from nnx.inputs import Examples
from nnx.network import check_input_shape
from nnx.shortage import SMALL, free_for
from nnx.sketch import Outlined, Recorded, Sketch
from nnx.steps import EvaluationStep, TrainingStep
from nnx.verification import foreign_parts, is_foreign

if TYPE_CHECKING:
    from nnx.trainable import Trainable


class _UnfollowedError(OptionError):
    """A part of one's own does what outlines cannot."""


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
    model: Trainable, batch_size: int, input_shape: Sequence[int] | None, examples: int | None
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
    with _sketched(model, shape) as sketch:
        need = _need(sketch, sketch.examples(count), None, size)
    return need if examples is not None else replace(need, examples=0)


@contextmanager
def _sketched(model: Trainable, shape: Shape) -> Iterator[Sketch]:
    """Hand a sketch to the block.

    Raises:
        _UnfollowedError: in place of what somebody else's code makes of arrays without values.
    """
    sketch = Sketch(model)
    try:
        sketch.build(shape)
        yield sketch
    except (ShapeError, OptionError, MemoryLimitError):
        raise
    except Exception as error:
        parts = [*sketch.layers, *([model.loss, model.optimizer] if model.compiled else [])]
        if not any(map(is_foreign, parts)):
            raise
        raise _UnfollowedError(
            f"The memory of this model cannot be computed: a part of one's own does what only arrays with values "
            f"can do ({error}). Let it use operations of self.ops alone."
        ) from error


def _need(sketch: Sketch, examples: Examples, validation: Examples | None, size: int) -> MemoryNeed:
    recorded, data = _recorded(sketch, examples, validation, size)
    values, statistics = sketch.store.values.nbytes, sketch.store.state.nbytes
    moments = sum(array.nbytes for array in sketch.moments)
    return MemoryNeed(
        parameters=values,
        gradients=values,
        moments=moments,
        statistics=statistics,
        copies=values + moments + statistics + sketch.store.values.size,
        activations=sum(recording.arrays for recording in recorded),
        scratch=_working(recorded, sketch),
        examples=data,
        prediction=sketch.predicted(min(size, examples.x.shape[0])),
    )


def _recorded(
    sketch: Sketch, examples: Examples, validation: Examples | None, size: int
) -> tuple[list[Recorded], int]:
    """Return what the recordings of training take, and the bytes of its data."""
    batches = Outlined(sketch.ops, examples, size)
    found, data = sketch.recorded(TrainingStep, batches), batches.taken
    if sketch.backend.on_host:
        data += 4 * batches.order.nbytes  # an order being drawn
    if validation is not None:
        measured = Outlined(sketch.ops, validation, max(size, 1024))
        found, data = [*found, *sketch.recorded(EvaluationStep, measured)], data + measured.taken
    return found, data


def _working(recorded: list[Recorded], sketch: Sketch) -> int:
    """Return the scratch of all programs, and of this thread, which runs each step once by its code."""
    eager = max(recording.scratch.thread for recording in recorded)
    again = max(recording.arrays for recording in recorded) if foreign_parts(sketch) else 0
    return sum(recording.scratch.program for recording in recorded) + eager + again


def check_training(
    model: Trainable, examples: Examples, validation: Examples | None, batch_size: int | str
) -> None:
    """Refuse training for which there is no memory, before any of it is taken.

    Raises:
        MemoryLimitError: with the largest batches that there is memory for.
    """
    count = examples.x.shape[0]
    size = count if isinstance(batch_size, str) else min(batch_size, count)
    bound = bound_of_copies(model) + bound_of_batches(model, examples, size)
    if validation is not None:
        bound += bound_of_batches(model, validation, max(size, 1024))

    def needed(sketch: Sketch, rows: int) -> int:
        return _need(sketch, examples, validation, rows).training

    def fixed(sketch: Sketch) -> str:
        need = _need(sketch, examples, validation, 1)
        parts = ("copies", "activations", "scratch", "examples")
        sizes = ", ".join(f"{in_units(getattr(need, name))} of {name}" for name in parts)
        return f": {sizes}, beside the {in_units(need.held)} that the model itself takes"

    _check(_Request(model, "Training", examples.x.shape[1:], size, bound), needed, fixed)


def check_evaluation(model: Trainable, examples: Examples, batch_size: int) -> None:
    """Refuse to measure a model where there is no memory for it.

    Raises:
        MemoryLimitError: with the largest batches that there is memory for.
    """
    size = min(batch_size, examples.x.shape[0])
    bound = bound_of_batches(model, examples, size)

    def needed(sketch: Sketch, rows: int) -> int:
        batches = Outlined(sketch.ops, examples, rows)
        recorded = sketch.recorded(EvaluationStep, batches)
        return batches.taken + sum(recording.arrays for recording in recorded) + _working(recorded, sketch)

    _check(_Request(model, "Evaluation", examples.x.shape[1:], size, bound), needed)


def check_prediction(model: Trainable, shape: Shape, batch_size: int) -> None:
    """Refuse to predict for inputs (N, ...) of this shape where there is no memory for it.

    Raises:
        MemoryLimitError: with the largest batches that there is memory for.
    """
    size = max(min(batch_size, shape[0]), 1)
    bound = bound_of_step(model, shape[1:], size)
    if bound > SMALL:  # else in less than a microsecond, since small predictions are many
        _check(_Request(model, "Prediction", shape[1:], size, bound), Sketch.predicted)


class _Request(NamedTuple):
    """What is to be done in batches of `size` examples of a shape, and the bytes that it takes at most."""

    model: Trainable
    what: str
    shape: Shape
    size: int
    bound: int


def _check(
    request: _Request, needed: Callable[[Sketch, int], int], fixed: Callable[[Sketch], str] | None = None
) -> None:
    """Refuse what needs more than is free; `fixed` says what it takes even in batches of one."""
    model, what, shape, size, bound = request
    free = free_for(bound, model.backend.memory)
    if free is None or bound <= free:
        return
    with suppress(_UnfollowedError), _sketched(model, shape) as sketch:
        take = partial(_bytes, needed, sketch)
        wanted = take(size)
        if wanted > free:
            advice = _advice(take, size, free, fixed and fixed(sketch))
            raise MemoryLimitError(f"{what} in batches of {size}", wanted, free, advice)


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

"""Whether a model's gradients are right: for layers and losses of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx.checks import check_count
from nnx.errors import GradientError, OptionError
from nnx.model import Sequential
from nnx.parameters import Parameter
from nnx.slopes import TOLERANCE, Slope, compare
from nnx.steps import Batches, TrainingStep
from nnx.trainable import check_model


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found.

    Attributes:
        slopes: of each parameter, by name, along each direction.
    """

    slopes: dict[str, tuple[Slope, ...]]

    @property
    def worst(self) -> float:
        """The largest difference, as a share of the largest slope possible."""
        return max((slope.error for found in self.slopes.values() for slope in found), default=0.0)

    def _repr_html_(self) -> str:
        """Return what notebooks show: the finding, and the largest difference of each parameter."""
        from nnx.pages import notebooks

        rows = [
            (name, str(len(found)), f"{max((slope.error for slope in found), default=0.0):.1e}")
            for name, found in self.slopes.items()
        ]
        headings = "parameter", "slopes", "off by at most"
        return notebooks.table(headings, rows, headings[1:], repr(self)[1:-1])

    def __repr__(self) -> str:
        count = sum(len(found) for found in self.slopes.values())
        of = f"{count} slopes by {len(self.slopes)} parameters"
        return f"<GradientReport of {of}, the worst off by {self.worst:.1e}>"


def check_gradients(
    model: Sequential, x: Any, y: Any, *, lengths: Any = None, directions: int = 3
) -> GradientReport:
    """Compare the gradient by every parameter with central differences of the loss, along random directions.

    The loss is that of training: with dropout, whose masks are held still, batch statistics, and L2. Where it has a
    kink right at the weights, as relu has where a bias of 0 meets inputs of 0, no gradient is right or wrong, so
    that a point a little aside is looked at. The model is left as it was.

    Args:
        model: compiled, of dtype "float64"; it is built for x if need be.
        x: a few examples, as `Sequential.fit` takes them.
        y: their targets.
        lengths: how many steps of each sequence are real.
        directions: how many to try for each parameter, >= 1.

    Returns:
        What was compared; all of it agrees to 1e-7 of the largest slope possible.

    Raises:
        GradientError: naming the parameter whose gradient does not agree, with both slopes.
        OptionError: model is none, or not of float64, in which alone differences are exact enough to tell.
        DataError, DtypeError, ShapeError: the examples are not what the model takes.

    Examples:
        >>> model = nnx.Sequential([nnx.Dense(3, "tanh"), nnx.Dense(1)], dtype="float64")
        >>> report = nnx.check_gradients(model.compile("mean_squared_error"), [[0.0, 1.0]], [[2.0]])
        >>> report.worst < 1e-7
        True
    """
    tries = check_count("directions", directions)
    check_model(model)
    if model.dtype != "float64":
        raise OptionError(
            f'check_gradients needs a model of dtype="float64", got {model.dtype!r}: differences of float32 losses '
            "are nothing but rounding."
        )
    with model.access.exclusively(), np.errstate(all="ignore"):
        with model.unbuilt_if_refused():
            examples = model.take(x, y, lengths=lengths)
        step = TrainingStep(model, Batches(model.ops, examples, examples.x.shape[0]))
        before = model.snapshot()
        try:
            return GradientReport({name: tuple(found) for name, found in _slopes(model, step, tries)})
        finally:
            model.restore(before)


def _slopes(model: Sequential, step: TrainingStep, tries: int) -> Iterator[tuple[str, list[Slope]]]:
    rng = np.random.Generator(np.random.PCG64(model.seed))
    for parameter in model.store.parameters:
        loss = _Loss(model, step, parameter)
        point = model.backend.to_numpy(parameter.value).copy()
        found = [compare(loss, loss.gradient, point, rng) for _ in range(tries)]
        loss.put(point)
        yield parameter.name, [_agreeing(parameter.name, slope) for slope in found]


class _Loss:
    """The loss as a function of one parameter."""

    def __init__(self, model: Sequential, step: TrainingStep, parameter: Parameter) -> None:
        self._model, self._step, self._parameter = model, step, parameter

    def put(self, values: Any) -> None:
        """Set the parameter."""
        self._parameter.value[...] = self._model.ops.asarray(values)

    def __call__(self, values: Any) -> float:
        self.put(values)
        loss, _ = self._step.differentiate(self._step.batches.count)
        return float(self._model.backend.to_numpy(loss))

    def gradient(self, values: Any) -> Any:
        """Return the gradient by the parameter, in its shape."""
        self(values)
        return self._model.backend.to_numpy(self._parameter.grad).copy()


def _agreeing(name: str, slope: Slope | None) -> Slope:
    if slope is None:
        raise GradientError(
            f"the loss has no direction by {name!r} along which it is smooth; give other examples, or check that "
            "the layers compute the same from the same values every time."
        )
    if not slope.agree:
        raise GradientError(
            f"the gradient by {name!r} gives the slope {slope.gradient:.8g}, central differences give "
            f"{slope.differences:.8g} along the same direction, which is off by {slope.error:.1e} of the largest "
            f"slope possible ({TOLERANCE:.0e} is allowed). Check the backward pass of that layer and later ones."
        )
    return slope

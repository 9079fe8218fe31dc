"""A compiled network that takes examples: from what users give to what a step is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnx.border import check_x
from nnx.compiled import Compiled
from nnx.errors import NnxError, OptionError
from nnx.inputs import NAMES, Examples, Intake, Names, split


class Trainable(Compiled):
    """A compiled network, and how it takes examples; `Sequential` adds what users do with it."""

    def set_aside(
        self, examples: Examples, validation_data: tuple[Any, ...] | None, share: float
    ) -> tuple[Examples, Examples | None]:
        """Return examples to train on and to validate on, if any; the arguments are those of `Sequential.fit`.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: the validation data are not what the model takes.
            OptionError: both ways of validation are asked for, or lengths do not go with those of the examples.
        """
        if validation_data is None:
            return split(examples, share, self.seed) if share else (examples, None)
        if share:
            raise OptionError("validation_data and validation_split exclude each other; give one of them.")
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            size = f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
            given = f"{type(validation_data).__name__}{size}"
            raise OptionError(f"validation_data must be (x, y) or (x, y, lengths), got {given}.")
        x, y, lengths = (*validation_data, None)[:3]
        names = Names(*(f"validation_data[{index}]" for index in range(3)))
        validation = self.take(x, y, lengths=lengths, names=names)
        if examples.lengths is not None and lengths is None:
            raise OptionError(
                "validation_data must be (x, y, lengths), since fit is given lengths: its third item, "
                "validation_data[2], says how many steps of each sequence are real; for whole ones, all of them."
            )
        if examples.lengths is None and lengths is not None:
            raise OptionError(
                "validation_data[2] gives lengths, but fit is given none, so that padding would be trained on; "
                "give fit the lengths of x too (for whole sequences, all their steps)."
            )
        return examples, validation

    def take(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
        names: Names = NAMES,
    ) -> Examples:
        """Return examples, checked; the arguments are those of `Sequential.fit`. The model is built if need be.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: they are not what the model takes.
            NotBuiltError: `compile` was not called.
        """
        loss, _ = self.loss, self.optimizer
        if not self.built:
            self.build(check_x(x, None, self.vocabulary, self.ops).shape[1:])
        inputs, counts = self.check_inputs(x, lengths, names.x, names.lengths)
        steps, outputs = inputs.shape[1:2], self.output_shape
        intake = Intake(
            loss,
            self.ops,
            (*steps, *outputs[1:]) if self.steps_last else outputs,
            self.steps_last,
            steps[0] if steps and self.last_states else None,
        )
        return intake.check(inputs, y, sample_weight, class_weight, counts, names)

    @contextmanager
    def unbuilt_if_refused(self) -> Iterator[None]:
        """Leave the model as unbuilt as it was if data are refused: the next ones may have another shape."""
        built = self.built
        try:
            yield
        except NnxError:
            self.built = built
            raise


def check_model(model: object) -> None:
    """Make sure that something is a model.

    Raises:
        OptionError: it is something else.
    """
    if not isinstance(model, Trainable):
        raise OptionError(f"model must be an nnx.Sequential, got {model!r}.")

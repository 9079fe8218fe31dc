"""A compiled network that takes examples: from what users give to what a step is made of."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from nnx.border import Host, check_extents, check_x
from nnx.compiled import Compiled
from nnx.errors import NnxError, OptionError
from nnx.inputs import NAMES, Examples, Intake, Names, split
from nnx.stored import AnyExamples, Source, StoredInputs, defer, is_stored


class Trainable(Compiled):
    """A compiled network, and how it takes examples; `Sequential` adds what users do with it."""

    def set_aside(
        self, examples: AnyExamples, validation_data: tuple[Any, ...] | None, share: float
    ) -> tuple[AnyExamples, AnyExamples | None]:
        """Return examples to train on and to validate on, if any; the arguments are those of `Sequential.fit`.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: the validation data are not what the model takes.
            OptionError: both ways of validation are asked for, or lengths do not go with those of the examples.
        """
        if validation_data is None:
            return self._split(examples, share) if share else (examples, None)
        if share:
            raise OptionError("validation_data and validation_split exclude each other; give one of them.")
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            size = f" of {len(validation_data)}" if isinstance(validation_data, tuple | list) else ""
            given = f"{type(validation_data).__name__}{size}"
            raise OptionError(f"validation_data must be (x, y) or (x, y, lengths), got {given}.")
        x, y, lengths = (*validation_data, None)[:3]
        names = Names(*(f"validation_data[{index}]" for index in range(3)))
        validation = self.accept(x, y, lengths=lengths, names=names)
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

    def _split(self, examples: AnyExamples, share: float) -> tuple[Examples, Examples]:
        if isinstance(examples, Examples):
            return split(examples, share, self.seed)
        raise OptionError(
            "validation_split draws rows from anywhere, which data in a file are not read for; set whole ranges of "
            "rows aside: x=nnx.datasets.Rows(x, 0, n) and validation_data=(nnx.datasets.Rows(x, n), "
            "nnx.datasets.Rows(y, n))."
        )

    def accept(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
        names: Names = NAMES,
    ) -> AnyExamples:
        """Return what `take` returns, or, where x or y is in a file, examples that are read as they are needed.

        Raises:
            DataError, DtypeError, ShapeError, BackendError: they are not what the model takes, as far as that can
                be told without reading all of them.
            StorageError: a dataset is closed, or cannot be read.
        """
        if not (is_stored(x) or is_stored(y)):
            return self.take(x, y, sample_weight, class_weight, lengths, names)
        self._need_compiled()
        self._need_compiled()
        inputs, targets = Source(x, names.x, self.ops), Source(y, names.y, self.ops)
        check_extents(inputs.shape, self.input_extents if self.built else None, self.vocabulary, names.x)
        if not self.built:
            self.build(inputs.shape[1:])
        counts = self.check_lengths_of(inputs.shape, lengths, names.lengths)
        check, intake = self._input_check(names.x), self._intake(inputs.shape)
        return defer(intake, check, inputs, targets, sample_weight, class_weight, counts, names)

    def _need_compiled(self) -> None:
        """Raise NotBuiltError unless there are a loss and an optimizer."""
        _, _ = self.loss, self.optimizer

    def _input_check(self, argument: str) -> Callable[[Host], Host]:
        """Return what checks inputs of the model as it is now, in a thread too."""
        extents, vocabulary, ops = self.input_extents, self.vocabulary, self.ops
        return lambda rows: check_x(rows, extents, vocabulary, ops, argument)

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
        self._need_compiled()
        if not self.built:
            self.build(check_x(x, None, self.vocabulary, self.ops).shape[1:])
        inputs, counts = self.check_inputs(x, lengths, names.x, names.lengths)
        return self._intake(inputs.shape).check(inputs, y, sample_weight, class_weight, counts, names)

    def _intake(self, shape: tuple[int, ...]) -> Intake:
        """Return what checks targets for inputs of this shape."""
        steps, outputs = shape[1:2], self.output_shape
        return Intake(
            self.loss,
            self.ops,
            (*steps, *outputs[1:]) if self.steps_last else outputs,
            self.steps_last,
            steps[0] if steps and self.last_states else None,
        )

    def input_pieces(self, x: Any, lengths: Any, size: int) -> tuple[tuple[int, ...], Pieces]:
        """Return the shape of the inputs and, checked, inputs and lengths of `size` rows at a time, at least once.

        Raises:
            DataError, DtypeError, ShapeError, BackendError, OptionError: they are not what the model takes.
        """
        if is_stored(x):
            source, itemsize = Source(x, "x", self.ops), np.dtype(self.dtype).itemsize
            check_extents(source.shape, self.input_extents, self.vocabulary, "x")
            held = self.check_lengths_of(source.shape, lengths, "lengths")
            inputs = StoredInputs(source, self._input_check("x"), held)
            return source.shape, inputs.pieces(size, itemsize)
        host, counts = self.check_inputs(x, lengths)
        return host.shape, _cut(host, counts, size)

    @contextmanager
    def unbuilt_if_refused(self) -> Iterator[None]:
        """Leave the model as unbuilt as it was if data are refused: the next ones may have another shape."""
        built = self.built
        try:
            yield
        except NnxError:
            self.built = built
            raise


Pieces: TypeAlias = Generator[tuple[Host, Host | None], None, None]
"""Inputs and, where there are any, lengths, some rows at a time."""


def _cut(inputs: Host, lengths: Host | None, size: int) -> Pieces:
    for start in range(0, max(inputs.shape[0], 1), size):
        yield inputs[start : start + size], None if lengths is None else lengths[start : start + size]


def check_model(model: object) -> None:
    """Make sure that something is a model.

    Raises:
        OptionError: it is something else.
    """
    if not isinstance(model, Trainable):
        raise OptionError(f"model must be an nnx.Sequential, got {model!r}.")

"""What `nnx train` does once its options are understood."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nnx.callbacks import Callback, Checkpoint, EarlyStopping
from nnx.cli.output import note
from nnx.datasets import Dataset
from nnx.distributed import launched_ranks
from nnx.errors import OptionError
from nnx.history import History
from nnx.inputs import Examples, split
from nnx.interface import Backend
from nnx.interrupts import before_training
from nnx.model import Sequential
from nnx.network import DTYPES
from nnx.optimizers import Optimizer, check_optimizer
from nnx.training import Run

DEFAULT_EPOCHS = 20
_SECONDS_BETWEEN_CHECKPOINTS = 2.0


def parse_layers(text: str) -> tuple[int, ...]:
    """Read "20,7,5" as the units of the hidden layers; an empty text is no hidden layer.

    Raises:
        OptionError: a part is not a whole number of at least 1.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise OptionError(f"--layers must be whole numbers separated by commas, such as 20,7,5, got {text!r}.")
    return tuple(map(int, parts))


def parse_batch_size(text: str) -> int | str:
    """Read a number of examples, or "full".

    Raises:
        OptionError: it is neither.
    """
    size = text.strip()
    if size == "full":
        return size
    if not (size.isascii() and size.isdigit() and int(size) > 0):
        raise OptionError(f"--batch-size must be a whole number of at least 1, or full, got {text!r}.")
    return int(size)


class _Beginning(Callback):
    """Tells where a run goes on, if it does."""

    def config(self) -> None:
        """See `Callback`; training does not depend on it."""

    def on_train_begin(self, run: Run) -> None:
        """See `Callback`."""
        where, finished = run.where(), run.history.epochs == run.epochs or run.stopped
        if not where.startswith("before"):
            note(f"went on {where.rstrip(',')}{': nothing left to train' if finished else ''}.")


@dataclass(frozen=True)
class Result:
    """A trained model and what was measured: accuracies in [0, 1], costs without the L2 penalty."""

    model: Sequential
    history: History
    train_accuracy: float
    test_accuracy: float
    cost_before: float
    cost_after: float
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Task:
    """A fully connected network and how to train it; the attributes are the options of `nnx train`.

    Exactly one of epochs and iterations is a number.

    Raises:
        OptionError: there is no such dtype, or patience has nothing to watch.
    """

    layers: tuple[int, ...]
    activation: str
    init: str
    batch_norm: bool
    dropout: float
    optimizer: str
    learning_rate: float | None
    l2: float
    batch_size: int | str
    epochs: int | None
    iterations: int | None
    validation_split: float
    patience: int | None
    seed: int
    dtype: str

    def __post_init__(self) -> None:
        """Check what no layer or optimizer checks."""
        if self.dtype not in DTYPES:
            raise OptionError(f"--dtype must be {' or '.join(DTYPES)}, got {self.dtype!r}.")
        if self.patience is not None and not self.validation_split:
            raise OptionError("--patience watches the validation loss; give --validation-split too, such as 0.1.")

    def network(self, classes: int, backend: Backend) -> Sequential:
        """Return the model, untrained, for so many classes.

        Raises:
            OptionError, UnknownNameError: an option is out of its range.
        """
        from nnx.experiments.networks import dense_layers  # with all experiments, which only training waits for

        outputs = 1 if classes == 2 else classes
        layers = dense_layers(self.layers, outputs, self.activation, self.init, self.batch_norm, self.dropout)
        model = Sequential(list(layers), seed=self.seed, dtype=self.dtype, backend=backend)
        loss = "sigmoid_cross_entropy" if classes == 2 else "softmax_cross_entropy"
        return model.compile(loss, self._optimizer(), l2=self.l2)

    def _optimizer(self) -> Optimizer:
        optimizer = check_optimizer(self.optimizer)
        return optimizer if self.learning_rate is None else replace(optimizer, learning_rate=self.learning_rate)

    def run(self, model: Sequential, dataset: Dataset, checkpoint: Path | None = None) -> Result:
        """Train the model of `network` on a data set and measure it on both parts.

        Args:
            model: made by `network`.
            dataset: its examples.
            checkpoint: a file that keeps the run; it goes on from there if the file is there.

        Raises:
            OptionError, FileFormatError: the checkpoint is one of another run, or damaged.
            StorageError: the checkpoint cannot be written.
            DataError: the validation split leaves nothing to train or to validate on.
            DivergenceError: the loss became NaN or infinite.
        """
        with before_training():
            training, validation = self._split(dataset)
            model.build(training.x.shape[1:])
            steps = self._steps(training.x.shape[0])
            epochs = self.epochs if self.iterations is None else -(-self.iterations // steps)
            before = model.evaluate(training.x, training.targets)
        start = time.perf_counter()
        history = model.fit(
            training.x,
            training.targets,
            epochs=epochs or 0,
            batch_size=self.batch_size,
            validation_data=validation,
            callbacks=list(self._callbacks(checkpoint)),
            resume=checkpoint if checkpoint is not None and checkpoint.exists() else None,
            distributed=launched_ranks() > 1,
        )
        seconds = time.perf_counter() - start
        after, test = model.evaluate(training.x, training.targets), model.evaluate(*dataset.test)
        costs = before["loss"], after["loss"]
        iterations = history.epochs * steps
        return Result(model, history, after["accuracy"], test["accuracy"], *costs, iterations, seconds)

    def _callbacks(self, checkpoint: Path | None) -> Iterator[Callback]:
        if self.patience is not None:
            yield EarlyStopping(patience=self.patience)
        if checkpoint is not None:
            yield Checkpoint(checkpoint, interval=_SECONDS_BETWEEN_CHECKPOINTS)
            yield _Beginning()

    def _split(self, dataset: Dataset) -> tuple[Examples, tuple[object, object] | None]:
        examples = Examples(*dataset.train, weight=None)
        if not self.validation_split:
            return examples, None
        training, held_out = split(examples, self.validation_split, self.seed)
        return training, (held_out.x, held_out.targets)

    def _steps(self, examples: int) -> int:
        """Return how many batches an epoch has."""
        size = examples if isinstance(self.batch_size, str) else self.batch_size
        return -(-examples // size)

"""Worked examples, each one file to read from top to bottom; `nnx example run NAME` runs them.

| Name | What it shows |
| --- | --- |
| mnist-cnn | a small convolutional network that reads handwritten digits |
| cats-cnn | the same kind of network on photographs, of which there are few |
| airline-lstm, airline-gru | recurrent networks that forecast a monthly series, against a seasonal-naive baseline |
| shakespeare | a character model that learns to write, and text that it wrote |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import nnx
from nnx.errors import UnknownNameError
from nnx.examples import airline, cats_cnn, mnist_cnn, shakespeare
from nnx.examples.outcome import Outcome

__all__ = ["EXAMPLES", "Example", "Outcome", "find"]


@dataclass(frozen=True)
class Example:
    """One worked example.

    Attributes:
        title: one line for people.
        dataset: the data set that it is trained on, see `nnx.datasets`.
        module: where it is written down.
        seconds: about how long its training takes on two cores with the numba backend.
        train: takes (epochs, seed, backend), backend being a name or None for the selected one.
    """

    title: str
    dataset: str
    module: ModuleType
    seconds: int
    train: Callable[[int, int, str | None], Outcome]

    @property
    def epochs(self) -> int:
        """How often it goes through the examples unless told otherwise."""
        return int(self.module.EPOCHS)

    @property
    def source(self) -> str:
        """The path of its source, from the folder that holds the package."""
        return f"{self.module.__name__.replace('.', '/')}.py"

    def run(self, epochs: int | None = None, seed: int = 1, backend: str | None = None) -> Outcome:
        """Build, train and measure.

        Args:
            epochs: how often to go through the examples, at least 1; None for as often as suits the example.
            seed: decides initial weights and shuffles.
            backend: the engine; None for the selected one.

        Raises:
            DatasetUnavailableError: the data are not here and cannot be downloaded.
            OptionError, UnknownNameError: an option is out of its range.
        """
        return self.train(self.epochs if epochs is None else epochs, seed, backend)


def _forecasts() -> Iterator[tuple[str, Example]]:
    """Yield the examples that differ in nothing but the recurrent layer."""
    for layer in (nnx.LSTM, nnx.GRU):
        name = layer.__name__
        title = f"{name} that forecasts two years of airline passengers"
        yield f"airline-{name.lower()}", Example(title, "airline", airline, 1, partial(airline.run, layer))


EXAMPLES: dict[str, Example] = {
    "mnist-cnn": Example("CNN that reads handwritten digits", "mnist", mnist_cnn, 3, mnist_cnn.run),
    "cats-cnn": Example("CNN that tells cats from what is none", "cats", cats_cnn, 3, cats_cnn.run),
    **dict(_forecasts()),
    "shakespeare": Example(
        "LSTM that writes like Shakespeare, by characters", "shakespeare", shakespeare, 22, shakespeare.run
    ),
}
"""Every example, by name."""


def find(name: str) -> Example:
    """Return an example by name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in EXAMPLES:
        raise UnknownNameError("example", name, EXAMPLES)
    return EXAMPLES[name]

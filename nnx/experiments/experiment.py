"""What an experiment is: rows of a table, each run from several seeds, and what was published of them.

An experiment is data. Its rows say how to train (`Settings`), its quantities what to show, its `pictures` and
`notes` make something of the results. What runs it and what writes the report know no experiment by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from nnx.experiments.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Settings:
    """How one row is run. A subclass is a frozen dataclass whose fields are its options.

    Its `repr` tells whether a kept result is of the same settings, so that every option must show in it; and it
    is sent to other processes, so that it must hold nothing but plain values and objects made of them.
    """

    def run(self, seed: int, backend: str) -> Result:
        """Run once on the backend of that name, in this thread.

        Raises:
            NnxError: the data are not here, or training diverged.
        """
        raise NotImplementedError(f"{type(self).__name__} must supply run")


@dataclass(frozen=True)
class Quantity:
    """One number that every run measures.

    Attributes:
        name: its key in `Result.figures` and `Row.published`, and the heading of its column.
        digits: decimals shown, as many as were published.
        scale: what it is multiplied by to be shown.
        unit: what is written behind it, such as " %"; may be empty.
        better: "high" or "low" where more or less is better, so that a published value can be bettered; "" where
            it can only be met.
        comparable: whether what was published of it can be judged here. Times of another machine cannot: they are
            shown beside those of this one, and nothing is said of them.
    """

    name: str
    digits: int = 2
    scale: float = 1.0
    unit: str = ""
    better: str = ""
    comparable: bool = True

    def rounded(self, value: float) -> float:
        """Return a value as it is shown: scaled, and rounded to the digits."""
        return round(self.scale * value, self.digits)

    def show(self, value: float) -> str:
        """Write a value as it is shown."""
        return f"{self.scale * value:z.{self.digits}f}{self.unit}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: unique within the experiment; a few words.
        settings: how it is run.
        published: by the names of quantities, in their own scale: accuracies in [0, 1]. May be empty.
        backend: the engine that this row is about; None for the one that the experiment is run on.
    """

    name: str
    settings: Settings
    published: Mapping[str, float] = field(default_factory=dict)
    backend: str | None = None


Results: TypeAlias = Mapping[str, Sequence[Result]]
"""What was measured: by the name of the row, one result per seed, in the order of the seeds."""


@dataclass(frozen=True)
class Picture:
    """One picture of a report.

    Attributes:
        name: of its file, without an ending: lower-case words with hyphens.
        title: a heading.
        caption: a sentence or two that say how to read it; also its description for those who cannot see it.
        figure: drawn by matplotlib.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def nothing(_: Results) -> tuple[()]:
    """Add nothing."""
    return ()


@dataclass(frozen=True)
class Experiment:
    """One published experiment.

    Attributes:
        name: lower-case words with hyphens.
        title: one line for people.
        question: a paragraph: what it asks, and how it goes about it.
        dataset: the name in `nnx.datasets` of what it is trained on; None for none.
        settings: what all rows have in common, for people, by name.
        rows: the lines of its table, in order.
        quantities: the columns, in order.
        source: where it was published.
        pictures: draws what the report shows.
        notes: says in sentences what the results mean; computed from them, never written beforehand.
        seeds: how many seeds by default.
        alone: whether runs must not share the machine, because they measure time.
        seconds: about how many a run takes on an engine, by its name: the mean of its rows, as measured on one core
            of an AMD EPYC that was busy besides. Engines that were not measured are left out.
        links: where to read of what was published, by what is found there; the page of the data needs no mention.
    """

    name: str
    title: str
    question: str
    dataset: str | None
    settings: Mapping[str, str]
    rows: tuple[Row, ...]
    quantities: tuple[Quantity, ...]
    source: str
    pictures: Callable[[Results], Iterable[Picture]]
    notes: Callable[[Results], Iterable[str]] = nothing
    seeds: int = 10
    alone: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

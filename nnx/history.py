"""What training measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.errors import UnknownNameError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(repr=False)
class History(Mapping[str, list[float]]):
    """The measurements of each epoch, by name: loss, accuracy, val_loss, val_accuracy, learning_rate, seconds.

    What callbacks put into the logs of an epoch stands there too; see `nnx.callbacks.Callback.on_epoch_end`.

    Attributes:
        measurements: one list per name, one entry per epoch.
        stopped: why training ended early, or an empty string.

    Examples:
        >>> history = nnx.History({"loss": [0.7, 0.5]})
        >>> history["loss"][-1]
        0.5
        >>> history
        <History of 2 epochs, the last with loss 0.5>

    Raises:
        UnknownNameError: nothing of that name was measured.
    """

    measurements: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""

    def append(self, logs: Mapping[str, float]) -> None:
        """Add the measurements of one epoch."""
        for name, value in logs.items():
            self.measurements.setdefault(name, []).append(value)

    def add(self, logs: Mapping[str, float]) -> None:
        """Add further measurements to the last epoch, such as those of a callback."""
        for name, value in logs.items():
            self.measurements.setdefault(name, [math.nan] * (self.epochs - 1)).append(value)

    def fill(self) -> None:
        """Put NaN where the last epoch has no measurement of a name that epochs before it have one of."""
        for values in self.measurements.values():
            values.extend([math.nan] * (self.epochs - len(values)))

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.measurements.get("loss", ()))

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.measurements:
            unvalidated = str(name).startswith("val_") and not any(key.startswith("val_") for key in self)
            advice = "Nothing was validated: give fit validation_data or validation_split." * unvalidated
            raise UnknownNameError("measurement", name, self.measurements, None, advice)
        return self.measurements[name]

    def __contains__(self, name: object) -> bool:
        return name in self.measurements

    def get(self, name: str, default: Any = None) -> Any:
        """Return the measurements of that name, or the default if there are none."""
        return self.measurements.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.measurements)

    def __len__(self) -> int:
        return len(self.measurements)

    def plot(self, path: str | Path | None = None, *, title: str = "") -> Figure:
        """Draw the loss, the accuracy and what callbacks measured over the epochs; see `nnx.plots.history`.

        Args:
            path: where to write the picture, a path that ends in .png, .svg or .pdf; None for nowhere.
            title: a heading.

        Raises:
            DataError: there is no finite measurement.
            OptionError: the path cannot be written to.
            MissingLibraryError: matplotlib is not installed.

        Examples:
            >>> figure = nnx.History({"loss": [0.7, 0.5], "accuracy": [0.6, 0.8]}).plot()
            >>> [axes.get_ylabel() for axes in figure.axes]
            ['loss', 'accuracy']
        """
        from nnx import plots

        return plots.history(self, path, title=title)

    def _repr_html_(self) -> str:
        """Return what notebooks show: a table of the last and the best values, and the learning curves."""
        from nnx.pages import curves, notebooks

        title = f"History of {self._length()}{f'; stopped: {self.stopped}' if self.stopped else ''}"
        rows = list(curves.rows(self))
        if not rows:
            return notebooks.text(title)
        drawn = notebooks.side_by_side(curves.pictures(self, notebooks.FITTING))
        return notebooks.table(curves.HEADINGS, rows, curves.NUMBERS, title) + drawn

    def _length(self) -> str:
        return f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.measurements.items() if values)
        ending = f"; stopped: {self.stopped}" if self.stopped else ""
        return f"<History of {self._length()}{f', the last with {last}' if last else ''}{ending}>"

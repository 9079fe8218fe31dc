"""What training measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class History(Mapping[str, list[float]]):
    """The measurements of each epoch, by name: loss, accuracy, val_loss, val_accuracy, learning_rate, seconds.

    Attributes:
        measurements: one list per name, one entry per epoch.
        stopped: why training ended early, or an empty string.

    Examples:
        >>> history = nnx.History({"loss": [0.7, 0.5]})
        >>> history["loss"][-1]
        0.5
    """

    measurements: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""

    def append(self, logs: Mapping[str, float]) -> None:
        """Add the measurements of one epoch."""
        for name, value in logs.items():
            self.measurements.setdefault(name, []).append(value)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.measurements.get("loss", ()))

    def __getitem__(self, name: str) -> list[float]:
        return self.measurements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.measurements)

    def __len__(self) -> int:
        return len(self.measurements)

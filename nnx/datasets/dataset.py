"""What every loader returns: a training part, a test part and the names of the classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Split: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Images (N, H, W, C) float32 in [0, 1] and labels (N,) int64; label k means `classes[k]`."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A labelled set of images, split for training and testing; unpacks into its two parts.

        (x, y), (x_test, y_test) = nnx.datasets.digits()

    Attributes:
        name: the name under which `nnx.datasets.load` knows it.
        train: `(x, y)` to train on.
        test: `(x, y)` to judge the result on.
        classes: the name of each label, in the order of the labels.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    def __iter__(self) -> Iterator[Split]:
        """Yield `train`, then `test`."""
        return iter((self.train, self.test))

    def __getitem__(self, place: int) -> Split:
        """Return `train` for 0, `test` for 1."""
        return (self.train, self.test)[place]

    def __len__(self) -> int:
        """Return 2, the number of parts."""
        return 2

    def __repr__(self) -> str:
        train, test = self.train[0].shape, self.test[0].shape
        return f"Dataset(name={self.name!r}, train={train}, test={test}, classes={len(self.classes)})"

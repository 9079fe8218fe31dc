"""Texts as sequences of characters: what a loader returns, and the numbers that stand for characters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.errors import DataError, DtypeError, FileFormatError, ShapeError


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows; the number of a character, its token, is its place among them.

    Attributes:
        characters: each once.

    Raises:
        DataError: a character stands there twice.

    Examples:
        >>> vocabulary = nnx.datasets.Vocabulary.of("hello")
        >>> vocabulary.characters
        'ehlo'
        >>> vocabulary.encode("hole").tolist()
        [1, 3, 2, 0]
        >>> vocabulary.decode([1, 0, 2])
        'hel'
    """

    characters: str

    def __post_init__(self) -> None:
        """Check that tokens are unique."""
        if len(self._tokens) != len(self.characters):
            raise DataError(f"characters must hold each character once, got {self.characters!r}.")

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """Return the characters of a text, sorted by code point."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        """Return the number of characters."""
        return len(self.characters)

    @cached_property
    def _tokens(self) -> dict[str, int]:
        return {character: token for token, character in enumerate(self.characters)}

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the token of each character, (N,) int64.

        Raises: DataError if a character is not in the vocabulary.
        """
        try:
            return np.fromiter((self._tokens[character] for character in text), np.int64, len(text))
        except KeyError as error:
            place = text.index(error.args[0])
            raise DataError(
                f"text must hold characters of the vocabulary only ({self.characters!r}), "
                f"got {error.args[0]!r} at place {place}; replace or remove it."
            ) from None

    def decode(self, tokens: Any) -> str:
        """Return the text that tokens (N,) stand for.

        Raises:
            ShapeError: tokens are not one sequence.
            DtypeError: they are not integers.
            DataError: one of them is no token of this vocabulary.
        """
        array = np.asarray(tokens)
        if array.ndim != 1:
            raise ShapeError(f"tokens must be one sequence (N,), got shape {array.shape}.")
        if array.size and array.dtype.kind not in "iu":
            raise DtypeError(f"tokens must be integers, got {array.dtype}.")
        wrong = (array < 0) | (array >= len(self))
        if wrong.any():
            raise DataError(f"tokens must lie in 0 to {len(self) - 1}, got {array[wrong][0]}.")
        return "".join(self.characters[token] for token in array.tolist())


@dataclass(frozen=True, eq=False, repr=False)
class Text:
    """A text, split by position for training and testing; unpacks into its two parts.

        train, test = text = nnx.datasets.shakespeare()

    Attributes:
        name: the name under which the catalogue knows it.
        train: the beginning, to train on.
        test: the rest, to judge the result on.
        vocabulary: the characters of both.
    """

    name: str
    train: str
    test: str
    vocabulary: Vocabulary

    def __iter__(self) -> Iterator[str]:
        """Yield `train`, then `test`."""
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        sizes = f"train={len(self.train)}, test={len(self.test)}, vocabulary={len(self.vocabulary)}"
        return f"Text(name={self.name!r}, {sizes})"


def read_text(path: Path | str) -> str:
    """Read a UTF-8 file as it is, line ends included.

    Raises:
        FileFormatError: it is not UTF-8.
        OSError: it cannot be read.
    """
    try:
        return Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path}: expected UTF-8 text, got the byte {error.object[error.start]:#04x} at place {error.start}. "
            "Convert the file, or get it again."
        ) from error

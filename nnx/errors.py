"""Every error nnx raises on purpose: one clear sentence naming the argument, what was expected, what was given."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BackendError",
    "BackendUnavailableError",
    "ChecksumError",
    "DataError",
    "DatasetUnavailableError",
    "DivergenceError",
    "DtypeError",
    "FileFormatError",
    "GradientError",
    "MemoryLimitError",
    "MissingLibraryError",
    "NnxError",
    "NotBuiltError",
    "OptionError",
    "OutOfMemoryError",
    "ShapeError",
    "StorageError",
    "UnknownNameError",
    "UnsupportedOperatorError",
    "VersionError",
]

_LONGEST = 300
_MANY, _NEAREST = 50, 8


def excerpt(text: str, most: int = _LONGEST) -> str:
    """Return a text from a file as part of a sentence: not too long, and without signs that move a cursor."""
    plain = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[:most])
    return plain if len(text) <= most else f"{plain}..."


def shown(value: object) -> str:
    """Return a value from a file as part of a sentence."""
    try:
        return excerpt(repr(value))
    except RecursionError:
        return f"a {type(value).__name__} of great depth"
    except ValueError:  # a whole number of more digits than Python turns into text
        return f"a {type(value).__name__} of thousands of digits"


def in_units(count: int) -> str:
    """Return a number of bytes in binary units, such as "1.5 GiB"."""
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    while amount >= 1023.95 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{count} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


class NnxError(Exception):
    """Base of all errors raised by nnx; catch it to catch them all."""


class ShapeError(NnxError, ValueError):
    """An array has a shape that the operation cannot take."""


class DtypeError(NnxError, TypeError):
    """An array has an element type that the operation cannot take."""


class DataError(NnxError, ValueError):
    """Training data are empty, hold NaN, or carry labels outside the expected range."""


class OptionError(NnxError, ValueError):
    """An option has a value outside its range, or two options exclude each other."""


class UnknownNameError(NnxError, ValueError):
    """A name is not one of the known ones; the nearest valid name is suggested."""

    def __init__(
        self, kind: str, name: object, known: Iterable[str], meant: str | None = None, advice: str = ""
    ) -> None:
        """Build the sentence for `kind` ("activation", "backend", ...), the `name` given and all `known` ones.

        What is `meant` by a name that others use may look nothing like it. The advice ends the sentence.
        """
        words = sorted(known)
        names = {word.lower(): word for word in words}
        nearest = [meant.lower()] if meant else difflib.get_close_matches(str(name)[:_LONGEST].lower(), names, n=1)
        hint = f" Did you mean {names[nearest[0]]!r}?" if nearest else ""
        super().__init__(
            f"Unknown {kind} {shown(name)}.{hint} Known: {_listed(words, str(name))}. {advice}".rstrip()
        )


def _listed(words: list[str], name: str) -> str:
    """Return all words, or of very many those most like a name."""
    if len(words) <= _MANY:
        return ", ".join(map(repr, words))
    nearest = difflib.get_close_matches(name[:_LONGEST], words, _NEAREST, cutoff=0.0)
    return f"{', '.join(map(repr, nearest))} and {len(words) - _NEAREST} others"


class BackendError(NnxError, RuntimeError):
    """A backend cannot do what was asked, or arrays of two backends were mixed."""


class BackendUnavailableError(BackendError):
    """A backend is known but cannot run here.

    Attributes:
        reason: why, in a sentence ("No CUDA device was found.").
        hint: what to install or do, in a sentence; may be empty.
    """

    def __init__(self, name: str, reason: str, hint: str = "") -> None:
        """Name the backend, the reason and what to do about it."""
        super().__init__(f"Backend {name!r} is not available: {reason} {hint}".rstrip())
        self.reason, self.hint = reason, hint


class NotBuiltError(NnxError, RuntimeError):
    """A model was used before it knew its input shape, loss or optimizer."""


class DivergenceError(NnxError, ArithmeticError):
    """The loss, or the model itself, became NaN or infinite during training."""


class MemoryLimitError(NnxError, MemoryError):
    """More memory is needed than there is: refused before any of it was taken; see also `OutOfMemoryError`.

    Attributes:
        needed: bytes that are needed.
        free: bytes that can be had; None if the request is beyond any computer.
    """

    def __init__(self, what: str, needed: int, free: int | None, advice: str) -> None:
        """Say what needs so much; advice is what to do."""
        super().__init__(what, needed, free, advice)  # so that it can be pickled
        self.what, self.needed, self.free, self.advice = what, needed, free, advice

    def __str__(self) -> str:
        there = "more than any computer has" if self.free is None else f"and {in_units(self.free)} are free"
        return f"{self.what} needs {in_units(self.needed)} of memory, {there}: {self.advice}"


class OutOfMemoryError(NnxError, MemoryError):
    """Memory of the host or the device ended on the way, in what no `MemoryLimitError` had refused before.

    `fit`, `evaluate` and `predict` raise it in place of the engine's own error, which comes through elsewhere, as
    where a model is built, moved or loaded.
    """


class MissingLibraryError(NnxError, ImportError):
    """A library that only some users need is not installed."""

    def __init__(self, library: str, purpose: str, extra: str) -> None:
        """Name the library, what it is needed for, and the extra of nnx-framework that installs it."""
        super().__init__(
            f"{library} is needed for {purpose}, and is not installed: python -m pip install "
            f"'nnx-framework[{extra}]', or '.[{extra}]' in a checkout."
        )


class GradientError(NnxError, ArithmeticError):
    """A gradient is not the slope of the loss."""


class FileFormatError(NnxError, ValueError):
    """A file is not what it claims to be: truncated, foreign, of another version, or missing a dataset."""


class ChecksumError(FileFormatError):
    """The contents of a file are not those that were written: take another copy, or the file before it."""


class VersionError(FileFormatError):
    """A file is of a version of its format that this nnx does not read: take the nnx that wrote it."""


class MissingClassError(FileFormatError):
    """A file names a class that is not of nnx: hand it to `nnx.load` in own_classes."""


class UnsupportedOperatorError(FileFormatError):
    """A file of another program holds a node that nnx has no layer for; it is named."""


class DatasetUnavailableError(NnxError, RuntimeError):
    """A data set is neither in NNX_DATA nor in the cache, and could not be downloaded."""


class StorageError(NnxError, OSError):
    """Files could not be written: the disk is full, or the folder cannot be written to."""

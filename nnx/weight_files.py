"""Weights alone, by name, in the safetensors format, which other frameworks read and write too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from nnx.errors import FileFormatError, MissingLibraryError, UnknownNameError, excerpt
from nnx.files import check_ending, check_path, check_readable, check_target, storing

Weights = Mapping[str, NDArray[Any]]

_HEADER_LIMIT = 1 << 20
_WIDEST = 8  # bytes of a value, those of float64: more would not be read


def write_weights(weights: Weights, path: str | Path) -> None:
    """Write weights to a file, whole or not at all.

    Raises:
        OptionError: path is a folder, or in none that exists, or its ending is that of another format.
        StorageError: the file cannot be written, because the disk is full, for example.
        MissingLibraryError: safetensors is not installed.
    """
    library, target = _library(), check_target(path)
    wanted = "path must end in .safetensors, the format of weights alone (all of a model is written by model.save),"
    check_ending(target, (".safetensors",), wanted)
    contents = library.save(dict(weights), {"format": "np"})
    with storing(target) as part:
        part.write_bytes(contents)


def read_weights(path: str | Path, expected: Weights) -> dict[str, NDArray[Any]]:
    """Read the weights of a file, which must be those expected: no name more or less.

    The format has no checksums: where damage leaves values finite, nothing tells.

    Raises:
        FileFormatError: there is no such file, or it is damaged or foreign.
        UnknownNameError: the file names something that is not expected.
        MissingLibraryError: safetensors is not installed.
    """
    library, source = _library(), check_path(path)
    check_readable(source, "Give one written by model.save_weights().")
    most = _HEADER_LIMIT + _WIDEST * sum(values.size for values in expected.values())
    if source.stat().st_size > most:
        raise FileFormatError(
            f"{source}: expected at most {most:,} bytes for the weights of this model, got "
            f"{source.stat().st_size:,}. Give a file of its own weights."
        )
    try:
        found: dict[str, NDArray[Any]] = library.load(source.read_bytes())
    except Exception as error:  # the library's own error, and those of numpy on types it does not know
        raise FileFormatError(
            f"{source}: it is no safetensors file, or damaged ({excerpt(str(error))}). Give one written by "
            "model.save_weights(); what model.save() wrote is read by nnx.load."
        ) from error
    for name, values in found.items():
        if name not in expected:
            raise UnknownNameError(f"weight in {source}", name, expected)
        if values.dtype.kind != "f":
            raise FileFormatError(f"{source}: expected weights of floating point, got {name!r} of {values.dtype}.")
    missing = [name for name in expected if name not in found]
    if missing:
        raise FileFormatError(f"{source}: expected weights named {', '.join(map(repr, missing))} too.")
    return found


def _library() -> ModuleType:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise MissingLibraryError("safetensors", "files of weights", "safetensors") from error
    return safetensors.numpy

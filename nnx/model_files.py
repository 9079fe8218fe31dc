"""A model's file seen from outside: its format and version, and its configuration as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnx.errors import MissingClassError, VersionError, shown
from nnx.files import begins_with, check_readable
from nnx.hdf5 import StrictFile, open_hdf5
from nnx.network import DTYPES

FORMAT, VERSION = "nnx model", 2
_ONNX = b"\x08"  # what ONNX files write first: the mark of the version of their format
CONFIG_LIMIT = 1 << 20
"""Largest configuration that is read, in bytes."""


@contextmanager
def opened(source: Path, missing: str, damaged: str) -> Iterator[StrictFile]:
    """Open a model's file for the block; errors in it about classes name the file.

    Args:
        source: the file.
        missing: what to do where there is none, a sentence for the message.
        damaged: what to do where it cannot be read, another.

    Raises:
        FileFormatError: it is missing, damaged or foreign.
        VersionError: it is of another version.
    """
    check_readable(source, missing)
    if begins_with(source, _ONNX):
        damaged = "If it is an ONNX file, nnx.onnx.load reads it."
    with open_hdf5(source, damaged) as file:
        found = file.attribute("format"), file.attribute("version")
        if found[0] != FORMAT:
            raise file.error(f"expected a file of format {FORMAT!r}, got {shown(found[0])}")
        if found[1] != VERSION:
            raise file.error(f"expected version {VERSION}, got {shown(found[1])}", VersionError)
        try:
            yield file
        except MissingClassError as error:
            raise MissingClassError(f"{source}: {error}") from error


def decoded(file: StrictFile) -> dict[str, Any]:
    """Return what the file holds as `config`: JSON values, of which only the dtype has been looked at.

    Raises:
        FileFormatError: it is no configuration of a model.
    """
    text = file.read_text("config", CONFIG_LIMIT)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, or a number of thousands of digits
        raise file.error(f"config is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("dtype") not in DTYPES:
        raise file.error("config does not describe a model")
    return config

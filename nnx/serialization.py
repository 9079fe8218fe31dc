"""Saving and loading models: one HDF5 file, written whole or not at all, read without running any code.

Schema, version 1. Attributes: `format` = "nnx model", `version` = 1. Datasets, all at the root:

=================  =======================  ==============================================================
dataset            type                     contents
=================  =======================  ==============================================================
config             uint8, UTF-8 JSON        layers, loss, optimizer, seed, shapes, epoch, views, metadata
values             model's dtype (P,)       all parameters, see `views` in config for what lies where
state              model's dtype (S,)       running statistics and the like
step               int64 ()                 training steps done
moment.NAME        model's dtype (P,)       one per moment of the optimizer
=================  =======================  ==============================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnx.configuration import from_config, to_config
from nnx.errors import FileFormatError, OptionError
from nnx.files import replacing
from nnx.hdf5 import StrictFile, open_hdf5
from nnx.interface import Backend
from nnx.model import Sequential
from nnx.network import DTYPES
from nnx.registry import resolve

FORMAT, VERSION = "nnx model", 1
CONFIG_LIMIT = 1 << 20
"""Largest configuration that is read, in bytes."""

_REMEDY = "Give a file written by model.save()."


def save(model: Sequential, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model with its optimizer state.

    Args:
        model: a built model.
        path: the file; an existing one is replaced only once the new one is complete.
        metadata: JSON values to keep with the model, such as class names; None for `model.metadata`.

    Raises:
        NotBuiltError: the model has no weights yet.
        OptionError: the configuration cannot be written down (an initialiser that is a function, a layer, loss,
            optimizer or schedule of a class of one's own), metadata would come back changed (tuples, keys that
            are not text), or the folder does not exist or cannot be written to.
    """
    import h5py

    target = _check_target(path)
    kept = _check_metadata(model.metadata if metadata is None else metadata)
    config = _encode({**to_config(model), "metadata": kept})
    try:
        with replacing(target) as part, h5py.File(part, "w") as file:
            file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
            file.create_dataset("config", data=np.frombuffer(config, np.uint8), track_times=False)
            for name, array in _named_arrays(model).items():
                file.create_dataset(name, data=model.backend.to_numpy(array), track_times=False)
    except OSError as error:
        reason = error.strerror or error  # the text of an OSError would name the temporary file
        raise OptionError(f"path {str(target)!r} cannot be written: {reason}.") from error


def _check_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise OptionError(f"path must be a text or a pathlib.Path, got {path!r}.")
    return Path(path)


def _check_target(path: object) -> Path:
    target = _check_path(path)
    if not target.parent.is_dir():
        raise OptionError(
            f"path must lie in a folder that exists, got {str(target)!r}; make {str(target.parent)!r} first."
        )
    return target


def _check_metadata(metadata: object) -> dict[str, Any]:
    if not isinstance(metadata, Mapping):
        raise OptionError(f"metadata must be a dictionary of JSON values, got {metadata!r}.")
    kept = dict(metadata)
    for key, value in kept.items():
        if json.loads(_to_json({key: value})) != {key: value}:
            raise OptionError(
                f"metadata must come back from JSON as it was, but what stands under {key!r} would be changed; use "
                "lists instead of tuples, and texts as keys."
            )
    return kept


def _to_json(values: Mapping[str, Any]) -> str:
    try:
        return json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"the model's configuration or metadata is not JSON: {error}.") from error


def _encode(config: Mapping[str, Any]) -> bytes:
    text = _to_json(config).encode()
    if len(text) > CONFIG_LIMIT:
        raise OptionError(f"configuration and metadata may take {CONFIG_LIMIT} bytes, got {len(text)}.")
    return text


def _named_arrays(model: Sequential) -> dict[str, Any]:
    moments = dict(zip(model.moment_names, model.moments, strict=True))
    named = {"values": model.store.values, "state": model.store.state, "step": model.step}
    return named | {f"moment.{name}": moment for name, moment in moments.items()}


def load(path: str | Path, backend: str | Backend | None = None) -> Sequential:
    """Read a model back, ready to predict or to train on; `model.metadata` holds what was kept with it.

    Args:
        path: a file written by `Sequential.save`.
        backend: a name or a `Backend`; by default the selected one. The file does not decide.

    Raises:
        OptionError: path is neither a text nor a path.
        FileFormatError: the file is missing, truncated, foreign, of another version, or does not fit together.
    """
    source, engine = _check_path(path), resolve(backend)
    if not source.is_file():
        raise FileFormatError(f"{source}: there is no such file. {_REMEDY}")
    with open_hdf5(source, _REMEDY) as file:
        found = file.attribute("format"), file.attribute("version")
        if found[0] != FORMAT:
            raise file.error(f"expected a file of format {FORMAT!r}, got {found[0]!r}")
        if found[1] != VERSION:
            raise file.error(f"expected version {VERSION}, got {found[1]!r}")
        return _read_model(file, _decode(file), engine)


def _decode(file: StrictFile) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text("config", CONFIG_LIMIT))
    except (json.JSONDecodeError, RecursionError) as error:
        raise file.error(f"config is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("dtype") not in DTYPES:
        raise file.error("config does not describe a model")
    return config


def _read_model(file: StrictFile, config: dict[str, Any], backend: Backend) -> Sequential:
    try:
        model = from_config(config, backend)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise file.error(f"config does not describe a model: {error}") from error
    arrays = {
        name: file.read(name, model.backend.dtype_name(array), tuple(array.shape))
        for name, array in _named_arrays(model).items()
    }
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise file.error(f"{name} holds NaN or infinity")
    for name, array in _named_arrays(model).items():
        array[...] = model.backend.asarray(arrays[name], model.backend.dtype_name(array))
    return model

"""Saving and loading models: one HDF5 file, written whole or not at all, read without running any code.

Schema, version 2. Attributes: `format` = "nnx model", `version` = 2. Datasets, all at the root, uncompressed, each
with the attribute `blake2b`, the checksum (16 bytes, hexadecimal) of its contents:

=================  =======================  ==============================================================
dataset            type                     contents
=================  =======================  ==============================================================
config             uint8, UTF-8 JSON        layers, loss, optimizer, seed, shapes, epoch, views, metadata;
                                            versions and machine, for people to read
values             model's dtype (P,)       all parameters, see `views` in config for what lies where
state              model's dtype (S,)       running statistics and the like
step               int64 ()                 training steps done
moment.NAME        model's dtype (P,)       one per moment of the optimizer
=================  =======================  ==============================================================

The file is of HDF5's oldest format, which is what h5py writes by default; no other is read, see `nnx.hdf5`.
A file of a run that can be gone on with holds more, see `nnx.run_files`.
"""

from __future__ import annotations

import io
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnx import machine, run_files
from nnx.checks import check_json, to_json
from nnx.configuration import Classes, check_own_classes, from_config, to_config
from nnx.errors import DivergenceError, FileFormatError, MissingClassError, OptionError
from nnx.files import check_model_target, check_path, storing
from nnx.hdf5 import CHECKSUM, StrictFile, checksum
from nnx.history import History
from nnx.interface import Backend
from nnx.model import Sequential
from nnx.model_files import CONFIG_LIMIT, FORMAT, VERSION, decoded, opened
from nnx.movable import Weights
from nnx.parameters import Store
from nnx.registry import resolve
from nnx.resumption import KeptRun, RunState
from nnx.run_files import Host
from nnx.same_model import check_same_model
from nnx.version import __version__

_MODELS = "Give a file written by model.save() or nnx.callbacks.Checkpoint."
_RUNS = "Give a file written by nnx.callbacks.Checkpoint."
_ANEW = "Give a file written by nnx.callbacks.Checkpoint, or another path to begin anew."
_SENSELESS = (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)
"""What a configuration that nobody wrote down can lead to."""


def save(
    model: Sequential, path: str | Path, metadata: Mapping[str, Any] | None = None, run: RunState | None = None
) -> None:
    """Write a model with its optimizer state, and the run that it stands in if one is given.

    Args:
        model: a built model.
        path: the file; an existing one is replaced only once the new one is complete.
        metadata: JSON values to keep with the model, such as class names; None for `model.metadata`.
        run: what `read_run` gives back.

    Raises:
        NotBuiltError: the model has no weights yet.
        OptionError: the configuration cannot be written down (an initialiser that is a function, something of a
            class of one's own that cannot be made of its options, or has one that no file holds), metadata would
            come back changed (tuples, keys that are not text), or path is a folder, a pipe or the like, in no
            folder that exists, or of the ending of another format.
        DivergenceError: the model holds NaN or infinity, which `load` would refuse; nothing is written.
        BackendError: another thread trains or changes the model.
        StorageError: the file cannot be written, because the disk is full, for example.
    """
    target = check_model_target(path)
    with model.access.reading():
        config = encode(model, metadata, run)
        named = {name: model.backend.to_numpy(array) for name, array in _named_arrays(model).items()}
    _check_finite(named)
    if run is not None:
        named |= run_files.arrays(run, list(named))
    image = _image({"config": np.frombuffer(config, np.uint8), **named})
    with storing(target) as part:
        part.write_bytes(image)


def encode(model: Sequential, metadata: Mapping[str, Any] | None, run: RunState | None) -> bytes:
    """Return what `save` writes as `config`; the arguments are those of `save`.

    Raises:
        OptionError: as `save`.
    """
    kept = check_json("metadata", model.metadata if metadata is None else metadata)
    facts = {} if run is None else {"run": run_files.facts(run)}
    told = {"metadata": kept, "versions": _versions(model), "machine": machine.described(model.backend.device())}
    config = {**to_config(model), **told, **facts}
    text = to_json("the model's configuration", config).encode()
    if len(text) > CONFIG_LIMIT:
        raise OptionError(f"configuration and metadata may take {CONFIG_LIMIT} bytes, got {len(text)}.")
    return text


def _check_finite(named: Mapping[str, Host]) -> None:
    for name, values in named.items():
        if not np.isfinite(values).all():
            raise DivergenceError(
                f"The model cannot be saved: {name} holds NaN or infinity. No file was changed; go back to weights "
                "that are finite, and lower the learning rate."
            )


def _image(named: Mapping[str, Host]) -> memoryview:
    """Return the contents of the file; made in memory, since the HDF5 library crashes when a disk is full."""
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w", libver="earliest") as file:
        file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
        for name, array in named.items():
            dataset = file.create_dataset(name, data=array, track_times=False)
            dataset.attrs[CHECKSUM] = checksum(array)
    return image.getbuffer()


def _versions(model: Sequential) -> dict[str, str]:
    """Return what wrote the file, for people to read."""
    versions = {"nnx": __version__, "python": platform.python_version(), "numpy": np.__version__}
    return {**versions, "backend": model.backend.name}


def _named_arrays(model: Sequential) -> dict[str, Any]:
    moments = dict(zip(model.moment_names, model.moments, strict=True))
    named = {"values": model.store.values, "state": model.store.state, "step": model.step}
    return named | {f"moment.{name}": moment for name, moment in moments.items()}


def load(
    path: str | Path, backend: str | Backend | None = None, *, own_classes: Iterable[type[Any]] = ()
) -> Sequential:
    """Read a model back, ready to predict or to train on; `model.metadata` holds what was kept with it.

    No code comes out of the file. Of a layer, loss, optimizer or schedule that is not of nnx it holds the name of
    the class, and the options that the class is called with. Only classes that you hand over are called; if files
    may come from strangers, they should check their options, as those of nnx do.

    Args:
        path: a file written by `Sequential.save`, or by `nnx.callbacks.Checkpoint`.
        backend: a name or a `Backend`; by default the selected one. The file does not decide.
        own_classes: the classes in the model that are not of nnx, such as [MyLayer, MyLoss], found by their names;
            they may be more than the file needs.

    Raises:
        OptionError: path is neither a text nor a path, or own_classes is no list of such classes.
        MissingClassError: the file needs classes that are not among own_classes; they are named.
        FileFormatError: the file is missing, truncated, foreign, of another version, or does not fit together.
    """
    source, engine, classes = check_path(path), resolve(backend), check_own_classes(own_classes)
    with opened(source, _MODELS, _MODELS) as file:
        return _read_model(file, decoded(file), engine, classes)


def read_run(path: str | Path, model: Sequential) -> KeptRun:
    """Read the run that a file holds of this model; the model is left as it is.

    Args:
        path: a file written by `nnx.callbacks.Checkpoint`.
        model: made by the same code as the one that was kept.

    Raises:
        OptionError: path is neither a text nor a path, or the file is of another model.
        FileFormatError: as `load`, or the file holds no run.
    """
    source = check_path(path)
    with opened(source, _RUNS, _ANEW) as file:
        config = decoded(file)
        if "run" not in config:
            raise file.error("it holds a model, but no run to go on with")
        check_same_model(source, config, to_config(model))
        layout = _layout(model)
        held = _read_arrays(file, layout, model.store)
        try:
            run = run_files.read(config["run"], layout, file.read_checked)
            weights = Weights(tuple(held.values()), int(config["epoch"]))
            return KeptRun(str(source), weights, dict(config["metadata"]), run)
        except _SENSELESS as error:
            if isinstance(error, FileFormatError):
                raise
            raise file.error(f"config does not describe a run: {error}") from error


@dataclass(frozen=True)
class Record:
    """What a file tells of a model, without its trained values.

    Attributes:
        model: built, on the backend that was asked for; its weights are zeros.
        config: what stands beside them, as JSON values.
        history: what training measured, if the file holds a run.
    """

    model: Sequential
    config: Mapping[str, Any]
    history: History | None


def read_record(path: str | Path, backend: str | Backend | None = None) -> Record:
    """Read what people want to know of a model that was saved, or of a run that was kept, but not the weights.

    Args, Raises:
        As `load`; damage to weights goes unnoticed.
    """
    source, engine = check_path(path), resolve(backend)
    with opened(source, _MODELS, _MODELS) as file:
        config = decoded(file)
        model = _blank_model(file, config, engine)
        try:
            run = config.get("run")
            return Record(model, config, None if run is None else run_files.read_history(run, file.read_checked))
        except _SENSELESS as error:
            if isinstance(error, FileFormatError):
                raise
            raise file.error(f"config does not describe a run: {error}") from error


def _blank_model(
    file: StrictFile, config: dict[str, Any], backend: Backend, own_classes: Classes | None = None
) -> Sequential:
    try:
        return from_config(config, backend, file.size // np.dtype(config["dtype"]).itemsize, own_classes)
    except MissingClassError:
        raise
    except _SENSELESS as error:
        raise file.error(f"config does not describe a model: {error}") from error


def _read_model(file: StrictFile, config: dict[str, Any], backend: Backend, own_classes: Classes) -> Sequential:
    model = _blank_model(file, config, backend, own_classes)
    model.from_host(Weights(tuple(_read_arrays(file, _layout(model), model.store).values()), model.epoch))
    return model


def _layout(model: Sequential) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype and shape of each array of the model's state, in the order of `state_arrays`."""
    return {
        name: (model.backend.dtype_name(array), tuple(array.shape)) for name, array in _named_arrays(model).items()
    }


def _read_arrays(
    file: StrictFile, layout: Mapping[str, tuple[str, tuple[int, ...]]], store: Store
) -> dict[str, Host]:
    held = {name: file.read_checked(name, *wanted) for name, wanted in layout.items()}
    for name, values in held.items():
        if not np.isfinite(values).all():
            raise file.error(f"{name} holds NaN or infinity")
    wrong = store.impossible(held["state"])
    if wrong is not None:
        raise file.error(f"{wrong} holds a value that it cannot have")
    return held

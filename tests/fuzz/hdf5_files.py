"""HDF5 files that the HDF5 library takes for sound, and that are none that nnx writes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

from nnx.hdf5 import CHECKSUM, checksum
from tests.fuzz.damage import ANY, Corpus, Random, pick
from tests.fuzz.json_values import mutate_json, nested

Change = Callable[[Random, h5py.File, str], None]
"""Changes the dataset of a name, or something near it."""


def restructure(random: Random, corpus: Corpus) -> bytes:
    """Change what one to three names of a file stand for, or the file as a whole."""
    image = io.BytesIO(pick(random, corpus))
    with h5py.File(image, "r+") as file:
        for _ in range(int(random.integers(1, 4))):
            names = list(file)
            if names:
                change = _CHANGES[int(random.integers(len(_CHANGES)))]
                with suppress(Exception):  # the HDF5 library refuses some changes of what an earlier one made
                    change(random, file, names[int(random.integers(len(names)))])
    return image.getvalue()


def restructure_and_damage(random: Random, corpus: Corpus) -> bytes:
    """Damage a file of another structure."""
    return ANY[int(random.integers(len(ANY)))](random, [restructure(random, corpus)])


def forge_configuration(random: Random, corpus: Corpus) -> bytes:
    """Change the configuration of a model, and seal it again with the right checksum."""
    image = io.BytesIO(pick(random, corpus))
    with h5py.File(image, "r+") as file:
        config = json.loads(file["config"][...].tobytes())
        text = json.dumps(mutate_json(random, config))
        choice = random.random()
        if choice < 0.02:
            text = text.replace("{}", nested(int(random.integers(100, 200_000))), 1)
        elif choice < 0.04:
            text = text.replace("1", "1" * int(random.integers(100, 50_000)), 1)
        elif choice < 0.06:
            text = _crowd(random, config)
        seal(file, "config", np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8))
    return image.getvalue()


def seal(file: h5py.File, name: str, values: Any) -> None:
    """Write a dataset as a forger would, its checksum with it."""
    if name in file:
        del file[name]
    file[name] = values
    file[name].attrs[CHECKSUM] = checksum(np.asarray(values))


def _crowd(random: Random, config: dict[str, Any]) -> str:
    """Repeat layers up to the limit of the configuration, or put them into each other."""
    text = json.dumps({**config, "layers": "here"})
    inner = json.dumps(config["layers"])
    if random.random() < 0.5:
        small = '{"type": "Flatten", "options": {}}'
        return text.replace('"here"', f"[{', '.join([small] * int(random.integers(1000, 25_000)))}]")
    depth = int(random.integers(2, 20_000))
    return text.replace('"here"', '[{"type": "Residual", "options": {"layers": ' * depth + inner + "}}]" * depth)


def _values(file: h5py.File, name: str) -> Any:
    held = file.get(name)
    plain = isinstance(held, h5py.Dataset) and held.dtype.kind in "biuf" and (held.size or 0) <= 1 << 16
    return held[...] if plain else np.zeros(3, np.float32)


def _replace(make: Callable[[Random, Any], Any]) -> Change:
    def change(random: Random, file: h5py.File, name: str) -> None:
        values = _values(file, name)
        made = make(random, values)
        del file[name]
        file[name] = made

    return change


def _sealed(make: Callable[[Random, Any], Any]) -> Change:
    def change(random: Random, file: h5py.File, name: str) -> None:
        values = _values(file, name)
        seal(file, name, make(random, values))

    return change


def _create(**options: Any) -> Change:
    def change(random: Random, file: h5py.File, name: str) -> None:
        held = file.get(name)
        dtype, shape = (held.dtype, held.shape) if isinstance(held, h5py.Dataset) else (np.dtype("f4"), (3,))
        del file[name]
        chosen = {key: value(random, shape, dtype) if callable(value) else value for key, value in options.items()}
        file.create_dataset(name, **{"shape": shape or (1,), "dtype": dtype, **chosen})

    return change


def _virtual(_: Random, file: h5py.File, name: str) -> None:
    del file[name]
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", name, (2,))
    file.create_virtual_dataset(name, layout)


def _group(random: Random, file: h5py.File, name: str) -> None:
    del file[name]
    group = file.create_group(name, track_order=bool(random.integers(2)))
    group["again"] = file["/"] if random.random() < 0.5 else h5py.SoftLink("/" + name)


def _reference(_: Random, file: h5py.File, name: str) -> None:
    target = file["/"].ref
    del file[name]
    file.create_dataset(name, data=np.array([target] * 3, h5py.ref_dtype), dtype=h5py.ref_dtype)


def _attribute(random: Random, file: h5py.File, name: str) -> None:
    held = (file, file.get(name, file))[int(random.integers(2))]
    key = ("format", "version", CHECKSUM, "é", "x")[int(random.integers(5))]
    values = (
        2,
        2.0,
        "nnx model",
        b"nnx model",
        "2",
        [2],
        [2, 2],
        "x" * 60_000,
        np.zeros((50, 50)),
        h5py.Empty("f4"),
    )
    more = (file["/"].ref, np.array([("a", 1)], [("x", "S1"), ("y", "i4")]), True, 10**18, -1, ["a", "bc"], 1 + 2j)
    chosen = [*values, *more][int(random.integers(17))]
    held.attrs[key] = chosen


def _many(random: Random, file: h5py.File, _: str) -> None:
    for number in range(int(2 ** random.uniform(0, 9))):
        file[f"extra{number}{'x' * int(random.integers(40))}"] = number


def _move(_: Random, file: h5py.File, name: str) -> None:
    file.move(name, name + "2")


def _drop(_: Random, file: h5py.File, name: str) -> None:
    del file[name]


_COMPOUND = np.dtype([("a", "f4"), ("b", "i8", (2,))])
_CHANGES: tuple[Change, ...] = (
    *(_virtual, _group, _reference, _attribute, _attribute, _many, _move, _drop),
    _replace(lambda random, _: h5py.SoftLink(("/values", "/config", "/absent", "/")[int(random.integers(4))])),
    _replace(lambda _random, _values: h5py.ExternalLink("/etc/hostname", "/values")),
    _sealed(lambda _, values: np.full(values.shape, np.nan if values.dtype.kind == "f" else 255, values.dtype)),
    _sealed(
        lambda _, values: np.full(values.shape, np.inf if values.dtype.kind == "f" else -1).astype(values.dtype)
    ),
    _sealed(lambda random, values: np.resize(values, int(random.integers(0, 99)))),
    _sealed(lambda random, values: values.astype(("f2", ">f4", "f8", ">i8", "u4", "?", "c8")[random.integers(7)])),
    _sealed(lambda random, values: np.frombuffer(random.bytes(values.nbytes), values.dtype).reshape(values.shape)),
    _replace(lambda _random, values: values[..., None]),
    _replace(lambda _random, _values: np.zeros(3, _COMPOUND)),
    _replace(lambda _random, _values: "text of variable length"),
    _replace(lambda _random, _values: np.array([b"ab", b"c"])),
    _replace(lambda _random, _values: h5py.Empty("f4")),
    _create(dtype=h5py.vlen_dtype(np.float32)),
    _create(dtype=h5py.enum_dtype({"A": 0, "B": 1})),
    _create(dtype=h5py.opaque_dtype(np.dtype("V16"))),
    _create(external=lambda *_: [("/etc/hostname", 0, h5py.h5f.UNLIMITED)]),
    _create(shape=lambda random, *_: (int(2 ** random.uniform(0, 62)),)),
    _create(shape=lambda random, *_: (int(2 ** random.uniform(20, 50)),), chunks=(1024,)),
    _create(maxshape=(None,), shape=(7,), chunks=(1 << 24,)),
    _create(data=lambda _, shape, dtype: np.ones(shape or (1,), dtype), shape=None, compression="gzip"),
    _create(
        data=lambda _, shape, dtype: np.ones(shape or (1,), dtype), shape=None, compression="lzf", shuffle=True
    ),
    _create(data=lambda _, shape, dtype: np.ones(shape or (1,), dtype), shape=None, fletcher32=True),
    _create(shape=(1 << 22,), dtype="u1", data=lambda *_: np.zeros(1 << 22, "u1"), compression="gzip"),
    _create(fillvalue=7),
)

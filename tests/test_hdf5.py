"""What nnx itself reads of HDF5 is what the HDF5 library reads, and all else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnx.errors import FileFormatError
from nnx.hdf5 import open_hdf5, read_hdf5

RNG = np.random.default_rng(1)
VALUES = RNG.integers(0, 200, (23, 5, 3))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "<i4", ">i4", "u8", "i8", "f2", "<f4", ">f4", "f8"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (23, 5, 3), "compression": "gzip"},
        {"chunks": (7, 2, 3), "compression": "gzip", "shuffle": True},
        {"chunks": (4, 5, 1)},
        {"chunks": (1, 1, 1), "shuffle": True},
        {"chunks": (7, 5, 3), "compression": 9, "maxshape": (None, 5, 3)},
        {"track_times": True, "fillvalue": 3},
    ],
    ids=["in one piece", "one chunk", "shuffled", "chunks", "hundreds of chunks", "growing", "with extras"],
)
def test_numbers_are_those_that_the_hdf5_library_reads(
    tmp_path: Path, dtype: str, options: dict[str, object]
) -> None:
    path, wanted = tmp_path / "file.h5", VALUES.astype(dtype)
    with h5py.File(path, "w") as file:
        file.create_dataset("values", data=wanted, **options)
    found = read_hdf5(path, {"values": (dtype, wanted.shape)})["values"]
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, wanted)
    found[...] = 0  # no view of something read-only


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 1, 1, 1, 3)])
def test_shapes_at_the_edge_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    wanted = np.full(shape, 7, np.int64)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["values"] = wanted
    found = read_hdf5(tmp_path / "file.h5", {"values": (np.int64, shape)})["values"]
    np.testing.assert_array_equal(found, wanted)
    assert found.shape == shape


@pytest.mark.parametrize("count", [1, 8, 9, 300])
def test_each_of_many_datasets_is_found_by_its_name(tmp_path: Path, count: int) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        for number in RNG.permutation(count).tolist():
            file[f"callback.{number}.values"] = number
        for number in range(0, count, 3):  # names that are gone leave gaps
            del file[f"callback.{number}.values"]
    with open_hdf5(tmp_path / "file.h5") as file:
        for number in range(count):
            if number % 3:
                assert file.read(f"callback.{number}.values", np.int64, ()) == number
        with pytest.raises(FileFormatError, match=r"expected a dataset 'callback\.0\.values', found"):
            file.read("callback.0.values", np.int64, ())


def test_names_of_other_letters_make_the_hdf5_library_keep_them_in_a_newer_way(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["größe"] = 3
    assert read_hdf5(path, {"größe": (np.int64, ())})["größe"] == 3
    with h5py.File(path, "r+") as file:
        for number in range(20):
            file[f"größe {number}"] = number
    with pytest.raises(FileFormatError, match="the names in its root are kept in a newer way than is read"):
        read_hdf5(path, {"größe": (np.int64, ())})


@pytest.mark.parametrize("value", ["nnx model", "", "größe", np.bytes_(b"fixed"), 2, np.uint8(255), -(2**40)])
def test_attributes_are_those_that_the_hdf5_library_reads(tmp_path: Path, value: object) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.attrs["before"], file.attrs["format"], file.attrs["größe"] = 1, value, value
    with open_hdf5(tmp_path / "file.h5") as file:
        wanted = value.decode() if isinstance(value, bytes) else value
        assert file.attribute("format") == file.attribute("größe") == wanted
        assert file.attribute("absent") is None


@pytest.mark.parametrize("value", [1.5, [1, 2], ["a"], True, h5py.Empty("i8"), np.zeros(3), "x" * 5000])
def test_other_attributes_are_refused(tmp_path: Path, value: object) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.attrs["format"] = value
    with open_hdf5(tmp_path / "file.h5") as file, pytest.raises(FileFormatError, match="attribute 'format' is"):
        file.attribute("format")


def make(**options: object) -> Callable[[h5py.File], None]:
    return lambda file: file.create_dataset("values", data=np.zeros(64, np.float32), **options)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (make(compression="lzf"), "filter 32000 is not read, only gzip and shuffle"),
        (make(fletcher32=True), "filter 3 is not read"),
        (make(scaleoffset=2), "filter 6 is not read"),
        (make(dtype=">f4"), "got >f4 of shape"),
        (lambda file: file.create_dataset("values", (64,), h5py.enum_dtype({"A": 0})), "got enumeration of shape"),
        (lambda file: file.create_dataset("values", (64,), [("a", "f4")]), "got compound of shape"),
        (lambda file: file.create_dataset("values", (64,), "f4"), "is damaged: nothing was ever written to it"),
        (lambda file: file.create_dataset("values", (64,), "f4", chunks=(8,)), "nothing was ever written to it"),
        (lambda file: file.create_dataset("values", data="text"), "got variable length of shape"),
        (lambda file: file.create_dataset("values", (64,), h5py.ref_dtype), "got reference of shape"),
        (lambda file: file.create_group("values"), "got a group"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, write: Callable[[h5py.File], None], reason: str) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        write(file)
    with pytest.raises(FileFormatError, match=reason):
        read_hdf5(tmp_path / "file.h5", {"values": (np.float32, (64,))})


def test_a_chunk_that_expands_beyond_its_size_is_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("values", data=np.zeros(1 << 24, np.uint8), chunks=(1 << 24,), compression="gzip")
    with h5py.File(path, "r+") as file:
        bomb = file["values"].id.read_direct_chunk((0,))[1]
        del file["values"]
        small = file.create_dataset("values", (64,), "u1", chunks=(64,), compression="gzip")
        small.id.write_direct_chunk((0,), bomb)
    with pytest.raises(FileFormatError, match="a chunk of it does not decompress to 64 bytes"):
        read_hdf5(path, {"values": (np.uint8, (64,))})


def test_a_format_newer_than_the_oldest_is_refused_by_its_version(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w", libver="latest") as file:
        file["values"] = 1
    with pytest.raises(FileFormatError, match="superblock version 3 is not read, only 0"):
        read_hdf5(tmp_path / "file.h5", {"values": (np.int64, ())})

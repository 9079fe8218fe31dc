"""Reading IDX and HDF5 files that are not what they claim to be."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnx.datasets.idx import read_idx
from nnx.errors import FileFormatError
from nnx.hdf5 import read_hdf5

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
HEADER = struct.pack(">I3I", 2051, 2, 3, 4)


def compressed(content: bytes) -> bytes:
    """Compress without the time, which would give the same test another name in every run."""
    return gzip.compress(content, mtime=0)


WHOLE = compressed(HEADER + PIXELS.tobytes())


def test_idx_gives_the_numbers_in_their_shape(tmp_path: Path) -> None:
    path = tmp_path / "pixels.gz"
    path.write_bytes(WHOLE)
    np.testing.assert_array_equal(read_idx(path, (2, 3, 4)), PIXELS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + PIXELS.tobytes(), "whole gzip file, but: Not a gzipped file"),
        (b"<html>404</html>", "whole gzip file, but: Not a gzipped file"),
        (b"", "which begin 00 00 08 03, got nothing"),
        (WHOLE[:-10], "whole gzip file, but"),
        (WHOLE[:12] + b"\xff\xff" + WHOLE[14:], "whole gzip file, but"),
        (WHOLE[:-5] + b"\0" + WHOLE[-4:], "whole gzip file, but"),
        (WHOLE + b"trailing", "whole gzip file, but"),
        (compressed(b"foreign content"), "got 66 6f 72 65"),
        (compressed(struct.pack(">I2I", 2050, 2, 12) + PIXELS.tobytes()), "got 00 00 08 02"),
        (compressed(struct.pack(">I3I", 0x0D03, 2, 3, 4) + bytes(96)), "got 00 00 0d 03"),
        (
            compressed(struct.pack(">I3I", 2051, 2, 4, 3) + PIXELS.tobytes()),
            r"\(2, 3, 4\), got \(2, 4, 3\)",
        ),
        (compressed(struct.pack(">I3I", 2051, 2**31, 2**31, 4)), r"got \(2147483648, 2147483648, 4\)"),
        (compressed(HEADER[:-3]), r"\(2, 3, 4\), got \(2, 3\)"),
        (compressed(HEADER + PIXELS.tobytes()[:-1]), "24 bytes of elements, got only 23"),
        (compressed(HEADER + PIXELS.tobytes() + b"!"), "24 bytes of elements, got more"),
    ],
)
def test_idx_that_is_not_what_it_claims_names_the_file_and_the_fault(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "pixels.gz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=reason) as caught:
        read_idx(path, (2, 3, 4))
    assert str(path) in str(caught.value)
    assert "Get the file again" in str(caught.value)


def test_idx_that_expands_to_much_more_than_declared_is_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(compressed(HEADER + bytes(100_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="got more"):
            read_idx(path, (2, 3, 4))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


LAYOUT = {"images": (np.uint8, (2, 3, 4)), "labels": (np.int64, (2,))}


def write(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = PIXELS, np.array([0, 1])
        change(file)
    return path


def test_hdf5_gives_the_arrays_asked_for(tmp_path: Path) -> None:
    arrays = read_hdf5(write(tmp_path / "set.h5", lambda file: file.create_group("other")), LAYOUT)
    assert list(arrays) == ["images", "labels"]
    np.testing.assert_array_equal(arrays["images"], PIXELS)
    np.testing.assert_array_equal(arrays["labels"], [0, 1])


def drop(file: h5py.File) -> None:
    del file["labels"]


def replace(value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["labels"]
        file["labels"] = value

    return change


def empty(file: h5py.File) -> None:
    for name in list(file):
        del file[name]


def group(file: h5py.File) -> None:
    del file["labels"]
    file.create_group("labels")


def external_storage(file: h5py.File) -> None:
    del file["labels"]
    file.create_dataset("labels", (2,), np.int64, external=[("other.bin", 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    del file["labels"]
    layout = h5py.VirtualLayout((2,), np.int64)
    layout[:] = h5py.VirtualSource("other.h5", "labels", (2,))
    file.create_virtual_dataset("labels", layout)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop, "expected a dataset 'labels', found 'images'"),
        (empty, "expected a dataset 'images', found nothing"),
        (group, "expected 'labels' to be a dataset, got a group"),
        (replace(np.array([0.0, 1.0])), r"'labels' to be int64 of shape \(2,\), got float64 of shape \(2,\)"),
        (replace(np.array([0, 1, 2])), r"'labels' to be int64 of shape \(2,\), got int64 of shape \(3,\)"),
        (replace(h5py.Empty("i8")), r"got int64 of shape None"),
        (replace(h5py.SoftLink("/images")), "got a link"),
        (replace(h5py.ExternalLink("other.h5", "/labels")), "got a link"),
        (external_storage, "got data kept in other files"),
        (virtual, "got data kept in other files"),
    ],
)
def test_hdf5_that_is_not_what_it_claims_names_the_file_and_the_fault(
    tmp_path: Path, change: Callable[[h5py.File], None], reason: str
) -> None:
    write(tmp_path / "other.h5", lambda _: None)
    (tmp_path / "other.bin").write_bytes(bytes(16))
    path = write(tmp_path / "set.h5", change)
    with pytest.raises(FileFormatError, match=reason) as caught:
        read_hdf5(path, LAYOUT)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("cut", [0, 10, 600])
def test_truncated_or_foreign_hdf5_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "set.h5", lambda _: None)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FileFormatError, match="it is no HDF5 file, or damaged"):
        read_hdf5(path, LAYOUT)


def test_hdf5_whose_compressed_data_are_damaged_is_refused(tmp_path: Path) -> None:
    def compress(file: h5py.File) -> None:
        del file["images"]
        file.create_dataset("images", data=PIXELS, compression="gzip", fletcher32=True)

    path = write(tmp_path / "set.h5", compress)
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + 4] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="dataset 'images' is damaged"):
        read_hdf5(path, LAYOUT)


def test_hdf5_that_claims_a_huge_shape_is_not_read(tmp_path: Path) -> None:
    def inflate(file: h5py.File) -> None:
        del file["images"]
        file.create_dataset("images", (2, 1 << 20, 1 << 20), np.uint8, chunks=True, compression="gzip")

    with pytest.raises(FileFormatError, match=r"got uint8 of shape \(2, 1048576, 1048576\)"):
        read_hdf5(write(tmp_path / "set.h5", inflate), LAYOUT)

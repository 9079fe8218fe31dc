"""What is read past the HDF5 library is what the library reads, and is left to it where it need be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.problems import full_network

import nnx
from nnx.errors import StorageError
from nnx.stored.extent import Extent
from nnx.stored.source import Source
from stored.conftest import ROWS, X, Y

RUNS = [(70, 83), (0, 3), (9, 10)]


def source(data: Any) -> Source:
    return Source(data, "x", full_network("numpy").ops)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", ">f4", ">i2", "float64"])
@pytest.mark.parametrize("userblock", [0, 1024])
def test_plain_datasets_are_read_by_their_place_in_the_file(tmp_path: Path, dtype: str, userblock: int) -> None:
    values = np.abs(np.round(X * 3)).astype(dtype)
    with h5py.File(tmp_path / "plain.h5", "w", userblock_size=userblock) as file:
        file["before"], file["x"] = Y, values
    with h5py.File(tmp_path / "plain.h5") as file:
        assert Extent.of(file["x"]) is not None
        rows, expected = source(file["x"]), np.concatenate([values[start:stop] for start, stop in RUNS])
        np.testing.assert_array_equal(rows.read(RUNS, rows.room(ROWS)), expected)
        part = source(nnx.datasets.Rows(file["x"], 9, 12))
        np.testing.assert_array_equal(part.read([(1, 3)], part.room(2)), values[10:12])
        converted = np.empty((len(expected), 4), "float32")
        assert rows.fill(RUNS, converted)
        np.testing.assert_array_equal(converted, expected.astype("float32"))


def test_what_only_the_library_can_read_is_left_to_it(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout(X.shape, "float64")
    with (
        h5py.File(tmp_path / "other.h5", "w") as file,
        h5py.File("held", "w", driver="core", backing_store=False) as held,
    ):
        file["x"], held["x"] = X, X
        layout[...] = h5py.VirtualSource(file["x"])
        external = [(str(tmp_path / "x.raw"), 0, h5py.h5f.UNLIMITED)]
        datasets = [
            file.create_dataset("chunks", data=X, chunks=(10, 4)),
            file.create_dataset("outside", X.shape, X.dtype, external=external),
            file.create_dataset("not written", X.shape, X.dtype),
            file.create_dataset("yes or no", data=X > 0),
            file.create_virtual_dataset("joined", layout),
            held["x"],
        ]
        datasets[1][...] = X
        for dataset in datasets:
            assert Extent.of(dataset) is None, dataset
            rows = source(dataset)
            np.testing.assert_array_equal(rows.read([(3, 40)], rows.room(37)), dataset[3:40])


def test_what_is_left_in_a_page_buffer_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pages.h5"
    with h5py.File(path, "w", fs_strategy="page") as file:
        file["x"] = X
    with h5py.File(path, "r+", page_buf_size=2**20) as file:
        rows = source(file["x"])
        file["x"][3:40] = 7.0  # which flushing the dataset does not write to the file
        assert Extent.of(file["x"]) is None
        assert (rows.read([(3, 40)], rows.room(37)) == 7).all()


@pytest.mark.parametrize(
    ("left", "run"), [(0, (0, 9)), (1, (0, 9)), (41, (40, 44)), (41, (50, 60)), (82, (82, 83))]
)
def test_rows_that_are_no_longer_there_are_told(file: Any, left: int, run: tuple[int, int]) -> None:
    dataset = file.create_dataset("shrinks", data=X, chunks=(10, 4), maxshape=(None, 4))
    whole, part = source(dataset), source(nnx.datasets.Rows(dataset, 10))
    dataset.resize(left, axis=0)
    start, stop = run
    says = rf"cannot be read in rows {start} to {stop - 1}: the dataset has been resized to \({left}, 4\) meanwhile"
    with pytest.raises(StorageError, match=says):
        whole.read([run], whole.room(stop - start))
    with pytest.raises(StorageError, match=says):
        whole.fill([run], np.empty((stop - start, 4), "float32"))
    with pytest.raises(StorageError, match="has been resized"):
        part.read([(62, 73)], part.room(11))


def test_a_dataset_that_shrinks_as_it_is_read_is_told(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = file.create_dataset("shrinks", data=X, chunks=(10, 4), maxshape=(None, 4))
    rows, read = source(dataset), h5py.Dataset.read_direct

    def late(self: Any, *given: Any) -> None:
        self.resize(1, axis=0)
        read(self, *given)

    monkeypatch.setattr(h5py.Dataset, "read_direct", late)
    with pytest.raises(StorageError, match=r"has been resized to \(1, 4\) meanwhile"):
        rows.read([(0, 9)], rows.room(9))


def test_what_is_written_while_the_file_is_open_is_read(file: Any) -> None:
    rows = source(file["x"])
    for value in (2.0, 3.0):
        file["x"][40] = value
        assert (rows.read([(40, 41)], rows.room(1)) == value).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_in_the_model_s_dtype_are_found(file: Any, bad: float) -> None:
    file["x"][9] = bad
    assert not source(file["x"]).fill(RUNS, np.empty(X.shape, "float32"))
    assert source(file["x"]).fill(RUNS[:2], np.empty(X.shape, "float32"))


def test_a_file_that_has_been_cut_off_is_told_by_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    with h5py.File(path, "w") as file:
        file["x"] = X
    with h5py.File(path) as file:
        rows = source(file["x"])
        os.truncate(path, file["x"].id.get_offset() + 50 * X[0].nbytes)
        np.testing.assert_array_equal(rows.read([(0, 50)], rows.room(50)), X[:50])
        says = r"x, dataset '/x' of '.*cut.h5', cannot be read in rows 40 to 59: the file ends at byte \d+, before"
        with pytest.raises(StorageError, match=says):
            rows.read([(0, 10), (40, 60)], rows.room(30))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted by Linux alone")
def test_reading_leaves_no_file_open(file: Any) -> None:
    rows, opened = source(file["x"]), Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for _ in range(3):
        rows.read(RUNS, rows.room(ROWS))
    assert len(list(opened.iterdir())) == before

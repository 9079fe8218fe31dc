"""Datasets that cannot be trained on: told before training where it can be, and by their row where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.problems import full_network, weights_of

import nnx
from nnx.callbacks import Callback, Checkpoint
from nnx.datasets import Rows, part
from nnx.errors import DataError, DtypeError, NnxError, OptionError, ShapeError, StorageError
from stored.conftest import X, Y

pytestmark = pytest.mark.usefixtures("small_buffers")


def stored(file: Any, name: str, values: Any) -> Any:
    if name in file:
        del file[name]
    file[name] = values
    return file[name]


@pytest.mark.parametrize(
    ("x", "y", "error", "says"),
    [
        (X[:, :3], Y, ShapeError, "x must have shape (N, 4), got (83, 3)."),
        (X[:-1], Y, ShapeError, "y must have one row per example of x (82), got shape (83,)."),
        (X, np.eye(4)[Y], ShapeError, "y must be labels (N,) or distributions (N, 3), got shape (83, 4)."),
        (X.T, Y, ShapeError, "x must have shape (N, 4), got (4, 83)."),
        (3.0, Y, ShapeError, "x must have a batch axis first, got a single number."),
        (h5py.Empty("f4"), Y, ShapeError, "x must have a batch axis first, got <HDF5 dataset"),
        (X[:0], Y[:0], DataError, "x holds no examples"),
        (X.astype("S8"), Y, DtypeError, "x must hold real numbers, got dtype |S8"),
        (X.astype(complex), Y, DtypeError, "x must hold real numbers, got dtype complex128"),
    ],
)
def test_wrong_shapes_and_dtypes_are_refused_before_anything_is_trained(
    file: Any, x: Any, y: Any, error: type[NnxError], says: str
) -> None:
    model = full_network("numpy")
    before = weights_of(model)
    for method in (model.fit, model.evaluate):
        with pytest.raises(error) as caught:
            method(stored(file, "given x", x), stored(file, "given y", y))
        assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("name", "row", "value", "says"),
    [
        ("x", 70, np.nan, "x holds NaN or infinity as float64, first in row 70;"),
        ("x", 0, np.inf, "x holds NaN or infinity as float64, first in row 0;"),
        ("y", 82, 9, "to 9, the first wrong one in row 82. Give the last layer"),
        ("y", 57, -1, ", the first wrong one in row 57. Number the classes"),
    ],
)
def test_values_are_refused_by_their_row_and_the_epoch_is_undone(
    file: Any, shuffle: bool, name: str, row: int, value: float, says: str
) -> None:
    model = full_network("numpy")
    before = weights_of(model)
    file[name][row] = value
    with pytest.raises(DataError) as caught:
        model.fit(file["x"], file["y"], batch_size=8, shuffle=shuffle)
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)
    with pytest.raises(DataError):
        model.evaluate(file["x"], file["y"], batch_size=8)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("softmax_cross_entropy", "labels y must be whole numbers, got 1.5 in row 71."),
        (
            "sigmoid_cross_entropy",
            "y must lie between 0 and 1 for this loss, got 0 to 1.5, the first wrong one in row 71.",
        ),
    ],
)
def test_targets_that_are_no_classes_are_refused_by_their_row(file: Any, loss: str, says: str) -> None:
    y = np.float64(Y > 0)
    y[71] = 1.5
    model = nnx.Sequential([nnx.Dense(3 if loss.startswith("softmax") else 1)], backend="numpy").compile(loss)
    with pytest.raises(DataError) as caught:
        model.fit(file["x"], stored(file, "y", y), batch_size=8, shuffle=False)
    assert says in str(caught.value)


def test_prediction_names_the_row_too(file: Any) -> None:
    file["x"][79, 2] = np.nan
    with pytest.raises(DataError, match="first in row 79;"):
        full_network("numpy").predict(file["x"], batch_size=8)


class Closing(Callback):
    """Closes the file in the middle of the second epoch."""

    every = 14

    def __init__(self, file: Any) -> None:
        self.file = file

    def on_steps(self, *_: Any) -> None:
        self.file.close()

    def config(self) -> None:
        """It has no bearing on training."""


def test_a_file_that_is_closed_ends_the_run_with_one_error_and_the_checkpoint_stands(
    file: Any, tmp_path: Path
) -> None:
    path, name, model = tmp_path / "run.h5", file.filename, full_network("numba")
    options = {"epochs": 3, "batch_size": 8}
    with pytest.raises(StorageError, match=r"[xy] is a dataset whose file has been closed; keep the file open"):
        model.fit(file["x"], file["y"], callbacks=[Checkpoint(path), Closing(file)], **options)
    kept = nnx.load(path)
    np.testing.assert_array_equal(weights_of(model), weights_of(kept))  # as the second epoch began
    whole = full_network("numba")
    with h5py.File(name) as again:
        whole.fit(again["x"], again["y"], **options)
        model.fit(again["x"], again["y"], callbacks=[Checkpoint(path)], resume=path, **options)
    np.testing.assert_array_equal(weights_of(model), weights_of(whole))


def test_a_closed_dataset_is_refused_by_every_method(file: Any) -> None:
    x, y, rows = file["x"], file["y"], Rows(file["x"], 3)
    file.close()
    model = full_network("numpy")
    for call in (lambda: model.fit(x, y), lambda: model.evaluate(x, y), lambda: model.predict(rows)):
        with pytest.raises(StorageError, match="whose file has been closed"):
            call()


def test_a_file_that_cannot_be_read_any_more_is_told_by_its_rows(file: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    with h5py.File(path, "w") as cut:
        cut.create_dataset("x", X.shape, "float64", chunks=(20, 4), compression="gzip")[...] = X
    with h5py.File(path) as cut:
        dataset = cut["x"]
        broken = dataset.id.get_chunk_info(2)
        with path.open("r+b") as raw:
            raw.seek(broken.byte_offset)
            raw.write(b"\0" * broken.size)
        with pytest.raises(
            StorageError, match=r"x, dataset '/x' of '.*cut.h5', cannot be read in rows \d+ to \d+: "
        ):
            full_network("numpy").fit(dataset, Y, batch_size=8)
    assert file  # the other file is as it was


class Resizing(Callback):
    """Resizes a dataset in the middle of the second epoch, while the next buffer is being read."""

    every = 14

    def __init__(self, dataset: Any, shape: tuple[int, int]) -> None:
        self.dataset, self.shape = dataset, shape

    def on_steps(self, *_: Any) -> None:
        self.dataset.resize(self.shape)

    def config(self) -> None:
        """It has no bearing on training."""


@pytest.mark.parametrize("shape", [(0, 4), (41, 4), (82, 4), (83, 1), (83, 5)])
def test_a_dataset_that_is_resized_in_use_is_told_and_nothing_made_up_is_trained_on(
    file: Any, shape: tuple[int, int]
) -> None:
    x = file.create_dataset("may be resized", data=X, chunks=(10, 4), maxshape=(None, None))
    model = full_network("numpy")
    with pytest.raises(StorageError) as caught:
        model.fit(x, file["y"], epochs=3, batch_size=8, callbacks=[Resizing(x, shape)])
    told = str(caught.value)
    assert told.startswith("x, dataset '/may be resized' of ")
    assert file.filename in told
    assert f"the dataset has been resized to {shape} meanwhile; leave its shape as it is" in told


def test_a_share_drawn_at_random_is_not_read_from_a_file(file: Any) -> None:
    with pytest.raises(
        OptionError, match=r"validation_split draws rows from anywhere.*x=nnx.datasets.Rows\(x, 0, n\)"
    ):
        full_network("numpy").fit(file["x"], file["y"], validation_split=0.2)


def test_ranges_of_rows_are_trained_on_and_validated_on(file: Any) -> None:
    x, y = file["x"], file["y"]
    streamed, held = full_network("numpy"), full_network("numpy")
    options = {"batch_size": 8, "shuffle": False}
    got = streamed.fit(Rows(x, 0, 60), Rows(y, 0, 60), validation_data=(Rows(x, 60), Rows(y, 60)), **options)
    expected = held.fit(X[:60], Y[:60], validation_data=(X[60:], Y[60:]), **options)
    assert got["val_loss"] == expected["val_loss"]
    np.testing.assert_array_equal(weights_of(streamed), weights_of(held))
    np.testing.assert_array_equal(np.asarray(Rows(x, 3, 9)), X[3:9])


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_parts_are_disjoint_and_together_everything(file: Any, size: int) -> None:
    parts = [part(file["x"], rank, size) for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate([np.asarray(rows) for rows in parts]), X)
    lengths = [len(rows) for rows in parts]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda _: Rows(X), "dataset must be an open h5py.Dataset that has rows, got array"),
        (lambda x: Rows(x, 5, 4), "0 <= start <= stop <= 83, got start=5 and stop=4"),
        (lambda x: Rows(x, 0, 204), "0 <= start <= stop <= 83, got start=0 and stop=204"),
        (lambda x: Rows(x, -1), "start must be a whole number of at least 0, got -1"),
        (lambda x: part(x, 2, 2), "rank must be 0 to size - 1, got rank=2 and size=2"),
        (lambda x: part(x, 0, 0), "size must be a whole number of at least 1, got 0"),
    ],
)
def test_rows_that_there_are_not_are_refused(file: Any, call: Any, says: str) -> None:
    with pytest.raises(OptionError) as caught:
        call(file["x"])
    assert says in str(caught.value)

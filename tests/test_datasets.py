"""The data sets as a user meets them: content, splits, and where they come from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnx import datasets
from nnx.datasets import folders
from nnx.errors import DatasetUnavailableError, FileFormatError, OptionError, UnknownNameError

SHAPES = {
    "cats": ((209, 64, 64, 3), (50, 64, 64, 3)),
    "cats_vs_dogs": ((800, 64, 64, 3), (200, 64, 64, 3)),
    "digits": ((1437, 8, 8, 1), (360, 8, 8, 1)),
    "fashion_mnist": ((60000, 28, 28, 1), (10000, 28, 28, 1)),
    "mnist": ((60000, 28, 28, 1), (10000, 28, 28, 1)),
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.datasets.download.open_url", lambda url: pytest.fail(f"opened {url}"))


@pytest.fixture
def here() -> None:
    if not os.environ.get("NNX_DATA"):
        pytest.skip("NNX_DATA is not set: the data sets that do not ship cannot be read")


def load_if_here(name: str) -> datasets.Dataset:
    if datasets.status(name) == "not here":
        pytest.skip(f"{name} is neither in NNX_DATA nor in the cache")
    return datasets.load(name)


@pytest.mark.parametrize("name", datasets.names("images"))
def test_every_set_of_images_has_scaled_images_and_labels_that_name_its_classes(name: str) -> None:
    data = load_if_here(name)
    assert datasets.info(name).inputs == (len(data.train[0]) + len(data.test[0]), *data.train[0].shape[1:])
    for (x, y), shape in zip(data, SHAPES[name], strict=True):
        assert x.shape == shape
        assert y.shape == shape[:1]
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert (x.min(), x.max()) == (0.0, 1.0)
        assert set(y) == set(range(len(data.classes)))


def test_unpacking_gives_the_training_part_then_the_test_part() -> None:
    data = datasets.digits()
    (x, y), (x_test, y_test) = data
    assert x is data.train[0]
    assert y is data.train[1]
    assert x_test is data.test[0]
    assert y_test is data.test[1]
    assert repr(data) == "Dataset(name='digits', train=(1437, 8, 8, 1), test=(360, 8, 8, 1), classes=10)"


def test_digits_are_the_published_ones() -> None:
    peer = pytest.importorskip("sklearn.datasets", reason="scikit-learn holds the copy to compare with")
    published = peer.load_digits()
    (path,) = datasets.fetch("digits")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["images"][...], published.images)
        np.testing.assert_array_equal(file["labels"][...], published.target)


def test_digits_split_puts_every_row_in_exactly_one_part() -> None:
    (path,) = datasets.fetch("digits")
    with h5py.File(path) as file:
        rows = np.column_stack([file["images"][...].reshape(1797, 64), file["labels"][...]])
    parts = [np.column_stack([x.reshape(len(x), 64) * 16, y]) for x, y in datasets.digits()]
    assert sorted(map(tuple, np.concatenate(parts))) == sorted(map(tuple, rows))


def test_digits_split_has_equal_shares_of_each_class_in_mixed_order() -> None:
    (_, y), (_, y_test) = datasets.digits()
    share = np.bincount(y_test) / (np.bincount(y) + np.bincount(y_test))
    np.testing.assert_allclose(share, 0.2, atol=0.006)
    assert np.bincount(y[:100], minlength=10).min() > 0


def test_digits_split_never_changes() -> None:
    # Results that people publish depend on it.
    labels = b"".join(y.astype(np.uint8).tobytes() for _, y in datasets.digits())
    assert hashlib.sha256(labels).hexdigest() == "2a77c481a8f8212ec9fed463e863c4b08cea79453969cf6b7ebe7432a01409b1"


def test_two_loads_do_not_share_memory() -> None:
    first, second = datasets.digits(), datasets.digits()
    first.train[0][...] = 7
    assert second.train[0].max() == 1.0


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("name", "train", "test"),
    [
        ("cats", [137, 72], [17, 33]),
        ("cats_vs_dogs", [400, 400], [100, 100]),
        (
            "mnist",
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
    ],
)
def test_files_of_nnx_data_hold_the_published_number_of_each_class(
    name: str, train: list[int], test: list[int]
) -> None:
    data = load_if_here(name)
    assert np.bincount(data.train[1]).tolist() == train
    assert np.bincount(data.test[1]).tolist() == test


@pytest.mark.usefixtures("here")
def test_first_mnist_picture_is_the_well_known_five() -> None:
    x, y = load_if_here("mnist").train
    assert y[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.rint(x[0] * 255).sum() == 27525


def test_unknown_name_suggests_the_nearest() -> None:
    for function in (datasets.load, datasets.fetch, datasets.status, datasets.info):
        with pytest.raises(UnknownNameError, match="Did you mean 'mnist'"):
            function("mnits")


def test_catalogue_names_publisher_licence_and_exact_files_of_every_set() -> None:
    for entry in map(datasets.info, datasets.names()):
        assert entry.title
        assert entry.publisher
        assert entry.licence
        for file in entry.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert all(url.startswith("https://") for url in file.urls)
            assert folders.inside(Path("root"), file.path) == Path("root") / file.path


def test_sets_that_are_no_images_are_refused_by_name_of_what_reads_them() -> None:
    with pytest.raises(OptionError, match=r"\(cats, .*got 'airline', which is a series; nnx\.datasets\.airline"):
        datasets.load("airline")
    assert {"airline", "shakespeare"} == set(datasets.names()) - set(datasets.names("images"))


def test_digits_need_neither_nnx_data_nor_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNX_DATA", "/no/such/folder")
    monkeypatch.setattr("nnx.datasets.files.cache_folder", lambda: pytest.fail("looked in the cache"))
    assert datasets.status("digits") == "built in"
    assert len(datasets.digits().train[0]) == 1437


def test_nnx_data_that_is_no_folder_is_an_error_not_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNX_DATA", "/no/such/folder")
    with pytest.raises(OptionError, match=r"NNX_DATA must name a folder .* got '/no/such/folder'"):
        datasets.mnist()


@pytest.mark.parametrize("content", [b"", b"short", bytes(59173)])
def test_damaged_installation_is_told_to_reinstall(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits.h5").write_bytes(content)
    monkeypatch.setattr("nnx.datasets.files.BUILT_IN", (tmp_path,))
    assert datasets.status("digits") == "damaged"
    with pytest.raises(FileFormatError, match=r"digits\.h5 is not the published .* Reinstall nnx"):
        datasets.digits()


def test_incomplete_installation_is_told_to_reinstall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.datasets.files.BUILT_IN", (tmp_path,))
    assert datasets.status("digits") == "not here"
    with pytest.raises(DatasetUnavailableError, match=r"digits\.h5 ships with nnx.*reinstall"):
        datasets.digits()


def test_importing_the_package_loads_no_network_file_or_terminal_library() -> None:
    code = (
        "import sys, nnx.datasets\n"
        "heavy = {'h5py', 'rich', 'platformdirs', 'http.client', 'urllib.request'} & set(sys.modules)\n"
        "print(', '.join(sorted(heavy)) or 'none')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "none"

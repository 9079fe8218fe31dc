"""One function per data set of labelled images: from checked files to float32 images and int64 labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.datasets.catalogue import images, info
from nnx.datasets.dataset import Dataset, Split
from nnx.datasets.files import fetch
from nnx.datasets.idx import read_idx
from nnx.hdf5 import read_hdf5


def digits() -> Dataset:
    """Return the 1,797 handwritten digits of UCI, which ship with nnx: 1,437 to train on, 360 to test on.

    x (1437 or 360, 8, 8, 1) float32 in [0, 1], in steps of 1/16; y (1437 or 360,) int64, the digit.

    The set has no published split. This one never changes: a fixed permutation of the rows, of which
    every fifth digit of each class goes to the test part, so that both parts have the classes in equal
    shares.

    Raises: DatasetUnavailableError, FileFormatError if the installation is damaged.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (CC BY 4.0).
    """
    (path,) = fetch("digits")
    arrays = read_hdf5(path, {"images": (np.uint8, (1797, 8, 8)), "labels": (np.uint8, (1797,))})
    x, y = _split(arrays["images"], arrays["labels"], brightest=16)
    train, test = _stratified(y)
    return _dataset("digits", (x[train], y[train]), (x[test], y[test]))


def cats() -> Dataset:
    """Return 259 photographs labelled cat (1) or not (0): 209 to train on, 50 to test on.

    x (209 or 50, 64, 64, 3) float32 RGB in [0, 1]; y (209 or 50,) int64.

    Raises: DatasetUnavailableError, FileFormatError, OptionError as `fetch` does.

    Source: deeplearning.ai, course "Neural Networks and Deep Learning", 2017 (educational use).
    """
    train, test = fetch("cats")
    return _dataset("cats", _cats(train, "train", 209), _cats(test, "test", 50))


def cats_vs_dogs() -> Dataset:
    """Return 1,000 photographs of cats (0) and dogs (1): 800 to train on, 200 to test on.

    x (800 or 200, 64, 64, 3) float32 RGB in [0, 1]; y (800 or 200,) int64. Cats and dogs take turns, so
    every even-sized run of rows holds as many of each.

    Raises: DatasetUnavailableError, FileFormatError, OptionError as `fetch` does.

    Source: Microsoft Research and Petfinder.com (Asirra); Kaggle "Dogs vs. Cats", 2013.
    """
    (path,) = fetch("cats_vs_dogs")
    arrays = read_hdf5(path, {"images": (np.uint8, (1000, 64, 64, 3)), "labels": (np.uint8, (1000,))})
    x, y = _split(arrays["images"], arrays["labels"])
    return _dataset("cats_vs_dogs", (x[:800], y[:800]), (x[800:], y[800:]))


def mnist() -> Dataset:
    """Return the 70,000 handwritten digits of MNIST: 60,000 to train on, 10,000 to test on.

    x (60000 or 10000, 28, 28, 1) float32 in [0, 1]; y (60000 or 10000,) int64, the digit.

    Raises: DatasetUnavailableError, FileFormatError, OptionError as `fetch` does.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document
        recognition, Proceedings of the IEEE 86, 1998.
    """
    return _idx_set("mnist")


def fashion_mnist() -> Dataset:
    """Return the 70,000 pictures of clothing of Fashion-MNIST: 60,000 to train on, 10,000 to test on.

    x (60000 or 10000, 28, 28, 1) float32 in [0, 1]; y (60000 or 10000,) int64, one of ten articles.

    Raises: DatasetUnavailableError, FileFormatError, OptionError as `fetch` does.

    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017 (MIT).
    """
    return _idx_set("fashion_mnist")


def load(name: str) -> Dataset:
    """Return the labelled images of data set `name`, one of `names("images")`.

    Raises:
        UnknownNameError: there is no data set of that name.
        OptionError: it is of another kind; its own function reads it.
        DatasetUnavailableError, FileFormatError: as its own function does.
    """
    return _LOADERS[images(name).name]()


def _cats(path: Path, part: str, rows: int) -> Split:
    """Read one of the two files of `cats`, whose dataset names begin with `part`."""
    x, y = f"{part}_set_x", f"{part}_set_y"
    arrays = read_hdf5(path, {x: (np.uint8, (rows, 64, 64, 3)), y: (np.int64, (rows,))})
    return _split(arrays[x], arrays[y])


def _idx_set(name: str) -> Dataset:
    """Load a set of four IDX files: images and labels to train on, images and labels to test on."""
    x_train, y_train, x_test, y_test = fetch(name)
    train = _split(read_idx(x_train, (60000, 28, 28)), read_idx(y_train, (60000,)))
    test = _split(read_idx(x_test, (10000, 28, 28)), read_idx(y_test, (10000,)))
    return _dataset(name, train, test)


def _split(images: NDArray[Any], labels: NDArray[Any], brightest: int = 255) -> Split:
    """Scale images (N, H, W) or (N, H, W, C) of integers up to `brightest` to [0, 1]; widen the labels."""
    x = images.astype(np.float32)
    x /= np.float32(brightest)
    return x[..., np.newaxis] if x.ndim == 3 else x, labels.astype(np.int64)  # always (N, H, W, C)


def _stratified(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split row numbers 0..N-1 into four fifths and one fifth with equal shares of each class, shuffled."""
    # Raw bits: the only output of NumPy's generators that is promised never to change.
    order = np.argsort(np.random.Philox(key=0).random_raw(len(labels)), kind="stable")
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), bool)
    chosen[by_class[::5]] = True
    return order[~chosen[order]], order[chosen[order]]


def _dataset(name: str, train: Split, test: Split) -> Dataset:
    return Dataset(name, train, test, info(name).classes)


_LOADERS: dict[str, Callable[[], Dataset]] = {
    "cats": cats,
    "cats_vs_dogs": cats_vs_dogs,
    "digits": digits,
    "fashion_mnist": fashion_mnist,
    "mnist": mnist,
}

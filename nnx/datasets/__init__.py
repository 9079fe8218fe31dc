"""Data sets to train on: `digits` ships with nnx; the others come from NNX_DATA, the cache or a download.

    (x, y), (x_test, y_test) = nnx.datasets.digits()

Every set has float32 images (N, H, W, C) in [0, 1] and int64 labels (N,). Files are checked by size and
SHA-256 before they are read, wherever they come from.
"""

from nnx.datasets.catalogue import DataFile, Entry, info, names
from nnx.datasets.dataset import Dataset, Split
from nnx.datasets.files import Status, fetch, status
from nnx.datasets.loaders import cats, cats_vs_dogs, digits, fashion_mnist, load, mnist

__all__ = [
    "DataFile",
    "Dataset",
    "Entry",
    "Split",
    "Status",
    "cats",
    "cats_vs_dogs",
    "digits",
    "fashion_mnist",
    "fetch",
    "info",
    "load",
    "mnist",
    "names",
    "status",
]

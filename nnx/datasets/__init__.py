"""Data sets to train on: `digits` ships with nnx; the others come from NNX_DATA, the cache or a download.

    (x, y), (x_test, y_test) = nnx.datasets.digits()
    series = nnx.datasets.airline()
    train, test = text = nnx.datasets.shakespeare()

Images are float32 (N, H, W, C) in [0, 1] with int64 labels (N,); a series has months and float64 values; a text
has a vocabulary that turns characters into int64 tokens. `windows` cuts the last two into what a recurrent network
learns from. Files are checked by size and SHA-256 before they are read, wherever they come from.

`Rows` and `part` are rows of an HDF5 dataset of one's own that stay in its file.
"""

from nnx.datasets.catalogue import DataFile, Entry, Kind, info, names
from nnx.datasets.dataset import Dataset, Split
from nnx.datasets.files import Status, fetch, status
from nnx.datasets.loaders import cats, cats_vs_dogs, digits, fashion_mnist, load, mnist
from nnx.datasets.rows import Rows, part
from nnx.datasets.sequences import airline, shakespeare
from nnx.datasets.series import Series, read_monthly
from nnx.datasets.text import Text, Vocabulary, read_text
from nnx.datasets.windows import windows

__all__ = [
    "DataFile",
    "Dataset",
    "Entry",
    "Kind",
    "Rows",
    "Series",
    "Split",
    "Status",
    "Text",
    "Vocabulary",
    "airline",
    "cats",
    "cats_vs_dogs",
    "digits",
    "fashion_mnist",
    "fetch",
    "info",
    "load",
    "mnist",
    "names",
    "part",
    "read_monthly",
    "read_text",
    "shakespeare",
    "status",
    "windows",
]

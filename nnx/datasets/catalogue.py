"""What nnx knows about each data set: title, publisher, licence, and the exact bytes of its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from nnx.errors import OptionError, UnknownNameError

Kind: TypeAlias = Literal["images", "series", "text"]
"""What a data set consists of: labelled images, numbers in time, or characters."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set; only a file with exactly this size and checksum is ever read.

    Attributes:
        path: where it lies below NNX_DATA and below the cache, with forward slashes.
        size: its size in bytes.
        sha256: its SHA-256 checksum, 64 lower-case hexadecimal digits.
        urls: https addresses to download it from, tried in order; empty if there is none.
    """

    path: str
    size: int
    sha256: str
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        name: the name under which `nnx.datasets.load` knows it.
        title: one line for people.
        publisher: who made it, and when.
        licence: the terms it was published under, as far as they are known.
        page: the address of its publisher's page.
        classes: the name of each label, in the order of the labels; of images only.
        files: its files.
        built_in: whether the files ship with nnx.
        kind: what it consists of.
        inputs: the shape of all its images together, training and test; of images only.
    """

    name: str
    title: str
    publisher: str
    licence: str
    page: str
    classes: tuple[str, ...]
    files: tuple[DataFile, ...]
    built_in: bool = False
    kind: Kind = "images"
    inputs: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """Return the name of every data set, or of every one of a kind, in alphabetical order."""
    return tuple(sorted(name for name, entry in _ENTRIES.items() if kind in (None, entry.kind)))


def info(name: str) -> Entry:
    """Return what is known about data set `name`; reads no file.

    Raises: UnknownNameError if there is no data set of that name.
    """
    if name not in _ENTRIES:
        raise UnknownNameError("data set", name, _ENTRIES)
    return _ENTRIES[name]


def images(name: str) -> Entry:
    """Return what is known about a data set of labelled images; reads no file.

    Raises:
        UnknownNameError: there is no data set of that name.
        OptionError: it is of another kind.
    """
    if name not in _ENTRIES:
        raise UnknownNameError("data set of labelled images", name, names("images"))
    entry = info(name)
    if entry.kind != "images":
        raise OptionError(
            f"A data set of labelled images is needed ({', '.join(names('images'))}), got {name!r}, which is a "
            f"{entry.kind}; nnx.datasets.{name}() reads it."
        )
    return entry


def _file(folder: str, name: str, size: int, sha256: str, *bases: str) -> DataFile:
    """Describe the file `name`, which has the same name below each address in `bases`."""
    return DataFile(folder + name, size, sha256, tuple(base + name for base in bases))


_CATS = "https://raw.githubusercontent.com/Hiren2002/Logistic-Regression/a6139a838a0e624f4ab923377df0c5d3386fdf1f/datasets/"
_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
)
_DIGIT_NAMES = tuple("0123456789")

_ALL = (
    Entry(
        name="digits",
        title="1,797 handwritten digits, 8x8 grey",
        publisher="E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998",
        licence="CC BY 4.0",
        page="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        classes=_DIGIT_NAMES,
        files=(_file("", "digits.h5", 59173, "1a01e6151ed6735365add4d9854dfffae5800356e7773774b34ac383533b6c42"),),
        built_in=True,
        inputs=(1797, 8, 8, 1),
    ),
    Entry(
        name="cats",
        title="259 photographs, cat or not, 64x64 colour",
        publisher="deeplearning.ai, course 'Neural Networks and Deep Learning', 2017",
        licence="none stated; course material, for educational use",
        page="https://www.coursera.org/learn/neural-networks-deep-learning",
        classes=("non-cat", "cat"),
        files=(
            _file(
                "",
                "train_catvnoncat.h5",
                2572022,
                "fbe56ab67c3ae28d564e3a644189117976d6b31af0a3ce9bb17dbf22908af242",
                _CATS,
            ),
            _file(
                "",
                "test_catvnoncat.h5",
                616958,
                "6a9d39ce52fa85953c5834695b8534a30ed8cfd54971fb2f080b5a24d002b951",
                _CATS,
            ),
        ),
        inputs=(259, 64, 64, 3),
    ),
    Entry(
        name="cats_vs_dogs",
        title="1,000 photographs, cat or dog, 64x64 colour",
        publisher="Microsoft Research and Petfinder.com (Asirra); Kaggle 'Dogs vs. Cats', 2013",
        licence="terms of the Kaggle competition",
        page="https://www.kaggle.com/c/dogs-vs-cats",
        classes=("cat", "dog"),
        files=(
            _file(
                "",
                "cats_vs_dogs_64.h5",
                11035459,
                "9cca06d221ceff04496ad8ab59739ef269fd70f13cd78f5afa2cf9573d1e3675",
            ),
        ),
        inputs=(1000, 64, 64, 3),
    ),
    Entry(
        name="mnist",
        title="70,000 handwritten digits, 28x28 grey",
        publisher="Y. LeCun, C. Cortes and C. J. C. Burges, 1998, from NIST data",
        licence="CC BY-SA 3.0, as commonly stated",
        page="http://yann.lecun.com/exdb/mnist/",
        classes=_DIGIT_NAMES,
        files=(
            _file(
                "mnist/",
                "train-images-idx3-ubyte.gz",
                9912422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                *_MNIST,
            ),
            _file(
                "mnist/",
                "train-labels-idx1-ubyte.gz",
                28881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                *_MNIST,
            ),
            _file(
                "mnist/",
                "t10k-images-idx3-ubyte.gz",
                1648877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                *_MNIST,
            ),
            _file(
                "mnist/",
                "t10k-labels-idx1-ubyte.gz",
                4542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                *_MNIST,
            ),
        ),
        inputs=(70_000, 28, 28, 1),
    ),
    Entry(
        name="fashion_mnist",
        title="70,000 pictures of clothing, 28x28 grey",
        publisher="H. Xiao, K. Rasul and R. Vollgraf, Zalando Research, 2017",
        licence="MIT",
        page="https://github.com/zalandoresearch/fashion-mnist",
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        files=(
            _file(
                "fashion-mnist/",
                "train-images-idx3-ubyte.gz",
                26421880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                *_FASHION,
            ),
            _file(
                "fashion-mnist/",
                "train-labels-idx1-ubyte.gz",
                29515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                *_FASHION,
            ),
            _file(
                "fashion-mnist/",
                "t10k-images-idx3-ubyte.gz",
                4422102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                *_FASHION,
            ),
            _file(
                "fashion-mnist/",
                "t10k-labels-idx1-ubyte.gz",
                5148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                *_FASHION,
            ),
        ),
        inputs=(70_000, 28, 28),
    ),
    Entry(
        name="airline",
        title="passengers of airlines, 144 months 1949 to 1960",
        publisher="G. E. P. Box and G. M. Jenkins, Time Series Analysis, 1976; copy by J. Brownlee",
        licence="none stated; published figures",
        page="https://github.com/jbrownlee/Datasets",
        classes=(),
        files=(
            _file(
                "",
                "airline-passengers.csv",
                2180,
                "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
                "https://raw.githubusercontent.com/jbrownlee/Datasets/master/",
            ),
        ),
        kind="series",
    ),
    Entry(
        name="shakespeare",
        title="1,115,394 characters of Shakespeare's plays",
        publisher="A. Karpathy, char-rnn, 2015",
        licence="text in the public domain; repository MIT",
        page="https://github.com/karpathy/char-rnn",
        classes=(),
        files=(
            DataFile(
                "tinyshakespeare.txt",
                1115394,
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
            ),
        ),
        kind="text",
    ),
)
_ENTRIES = {entry.name: entry for entry in _ALL}

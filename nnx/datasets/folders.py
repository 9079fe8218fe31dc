"""The folders in which data files are looked for, and the check that a file is the one it should be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from nnx.datasets.catalogue import DataFile
from nnx.errors import OptionError

_PACKAGE = Path(__file__).resolve().parents[1]
BUILT_IN = (_PACKAGE / "data", _PACKAGE.parent / "data")
"""Where the files that ship lie: inside an installed package, or beside it in a source checkout."""

_digests: dict[tuple[Path, int, int], str] = {}


def data_folder() -> Path | None:
    """Return the folder named by NNX_DATA, or None if the variable is unset or empty.

    Raises: OptionError if it names something that is not a folder.
    """
    value = os.environ.get("NNX_DATA", "")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise OptionError(
            f"NNX_DATA must name a folder that holds data sets, got {value!r}, which is not a folder; "
            "correct it or unset it."
        )
    return folder


def cache_folder() -> Path:
    """Return the per-user folder for downloaded files; it need not exist yet."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("nnx", appauthor=False))


def inside(root: Path, path: str) -> Path:
    """Return `root / path`, made sure to lie below `root` even after links are followed.

    Raises: OptionError if it does not.
    """
    parts = PurePosixPath(path)
    full = root.joinpath(*parts.parts)
    if ".." in parts.parts or not full.resolve().is_relative_to(root.resolve()):
        raise OptionError(
            f"A data file must lie inside {root}, got {path!r}, which leads to {full.resolve()}; "
            "remove the link that leads out."
        )
    return full


def fault(path: Path, file: DataFile) -> str | None:
    """Return what is wrong with the file at `path` as a copy of `file`, as a clause; None if nothing is."""
    size = path.stat().st_size
    if size != file.size:
        return f"expected {file.size:,} bytes, got {size:,}"
    digest = _digest(path)
    if digest != file.sha256:
        return f"expected SHA-256 {file.sha256}, got {digest}"
    return None


def _digest(path: Path) -> str:
    """Return the SHA-256 of the file at `path`; a file that has not changed is read once per process."""
    stat = path.stat()
    key = (path.absolute(), stat.st_mtime_ns, stat.st_size)
    if key not in _digests:
        with path.open("rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]

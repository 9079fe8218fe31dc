"""Getting the files of a data set: shipped with nnx, from NNX_DATA, from the cache, or downloaded to it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from nnx.datasets.catalogue import DataFile, Entry, info
from nnx.datasets.folders import BUILT_IN, cache_folder, data_folder, fault, inside
from nnx.errors import DatasetUnavailableError, FileFormatError

Place: TypeAlias = Literal["built in", "NNX_DATA", "cache"]
Status: TypeAlias = Literal["built in", "NNX_DATA", "cache", "not here", "damaged"]
"""Where a data set is, see `status`."""


def fetch(name: str) -> tuple[Path, ...]:
    """Return the paths of the files of data set `name`, each checked; downloads those that are not here.

    A file is looked for in the folder named by NNX_DATA, then in the per-user cache, to which it is
    downloaded if it is in neither.

    Returns: one path per file, in the order of `info(name).files`.

    Raises:
        UnknownNameError: there is no data set of that name.
        OptionError: NNX_DATA does not name a folder.
        FileFormatError: a file in NNX_DATA is not the published one.
        DatasetUnavailableError: a file is nowhere and could not be downloaded.
    """
    entry = info(name)
    return tuple(_obtain(entry, file) for file in entry.files)


def status(name: str) -> Status:
    """Say where `fetch` would find data set `name`, without downloading anything.

    Returns: "built in"; "NNX_DATA" if every file is there; "cache" if at least one comes from the cache;
    "not here" if at least one would be downloaded; "damaged" if one is not the published file.

    Raises: UnknownNameError, OptionError as `fetch` does.
    """
    entry = info(name)
    found = [(_locate(entry, file), file) for file in entry.files]
    places = set()
    for hit, file in found:
        if hit is None:
            return "not here"
        places.add("damaged" if fault(hit[1], file) else hit[0])
    ranked: tuple[Status, ...] = ("damaged", "cache", "NNX_DATA", "built in")
    return next(place for place in ranked if place in places)


def _obtain(entry: Entry, file: DataFile) -> Path:
    """Return a checked path of `file`, downloading it if need be."""
    found = _locate(entry, file)
    if found is None:
        return _download(entry, file, "")
    place, path = found
    wrong = fault(path, file)
    if wrong is None:
        return path
    if place == "cache":
        return _download(entry, file, f" The copy in the cache is damaged: {wrong}.")
    raise FileFormatError(
        f"{path} is not the published file of data set {entry.name!r}: {wrong}. {_remedy(entry, file)}"
    )


def _remedy(entry: Entry, file: DataFile) -> str:
    """Tell a person what to do about a foreign or damaged file that nnx may not replace."""
    if entry.built_in:
        return "Reinstall nnx."
    return f"Remove it, or replace it by {file.urls[0]}." if file.urls else "Remove it, or replace it."


def _locate(entry: Entry, file: DataFile) -> tuple[Place, Path] | None:
    """Return the first place that has a file of that name, or None."""
    for place, root in _roots(entry):
        path = inside(root, file.path) if place == "cache" else root / file.path
        if path.is_file():
            return place, path
    return None


def _roots(entry: Entry) -> list[tuple[Place, Path]]:
    """Return the folders to look in, in order."""
    if entry.built_in:
        return [("built in", folder) for folder in BUILT_IN]
    data = data_folder()
    roots: list[tuple[Place, Path]] = [] if data is None else [("NNX_DATA", data)]
    return [*roots, ("cache", cache_folder())]


def _download(entry: Entry, file: DataFile, remark: str) -> Path:
    """Download `file` to the cache; `remark` is what to add if that fails."""
    if entry.built_in:
        raise DatasetUnavailableError(
            f"{file.path} ships with nnx, but this installation lacks it "
            f"(looked in {' and '.join(map(str, BUILT_IN))}); reinstall nnx."
        )
    if not file.urls:
        why = f"nnx has no address to download it from; it was made from the data at {entry.page}."
        raise _unavailable(entry, file, "", why + remark)
    from nnx.datasets.download import download

    target = inside(cache_folder(), file.path)
    try:
        download(file, target)
    except DatasetUnavailableError as error:
        action = f"run `nnx data fetch {entry.name}` where there is a network, or "
        raise _unavailable(entry, file, action, f"it could not be downloaded ({error}).{remark}") from None
    return target


def _unavailable(entry: Entry, file: DataFile, action: str, why: str) -> DatasetUnavailableError:
    """Say first what to do, then what was tried."""
    return DatasetUnavailableError(
        f"Data set {entry.name!r} is not here: {action}set NNX_DATA to a folder that holds {file.path}. "
        f"No sound copy of it is in NNX_DATA ({data_folder() or 'not set'}) or in the cache ({cache_folder()}), "
        f"and {why} The file has {file.size:,} bytes, SHA-256 {file.sha256}."
    )

"""A report as files in a folder: all of them or none."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from nnx.errors import StorageError
from nnx.experiments.reporting.html import page
from nnx.experiments.reporting.markdown import text
from nnx.experiments.reporting.report import Report
from nnx.files import replacing

HTML, MARKDOWN, JSON = "report.html", "report.md", "report.json"


def write(report: Report, folder: Path) -> dict[str, Path]:
    """Write a report as HTML, Markdown, JSON and PNG; an older one gives way only to a whole one.

    Args:
        report: what to write.
        folder: where to; it is made if it does not exist.

    Returns:
        The paths of the files by their names.

    Raises:
        StorageError: they cannot be written; the folder holds what it held before.
    """
    contents = _contents(report)
    try:
        _replace(folder, contents)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"The report cannot be written to {str(folder)!r}: {reason}. Nothing there was changed; "
            "make room, or choose another folder."
        ) from error
    return {name: folder / name for name in contents}


def _contents(report: Report) -> dict[str, bytes]:
    values = json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    return {
        **report.images,
        HTML: page(report).encode(),
        MARKDOWN: text(report).encode(),
        JSON: f"{values}\n".encode(),
    }


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with _scratch(folder) as scratch:
        fresh, kept = scratch / "fresh", scratch / "kept"
        _fill(fresh, contents)
        _keep(kept, folder, contents)
        _exchange(fresh, kept, folder, list(contents))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder of the same disk, which is gone afterwards."""
    scratch = Path(tempfile.mkdtemp(prefix=".report.", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(fresh: Path, contents: Mapping[str, bytes]) -> None:
    fresh.mkdir()
    for name, content in contents.items():
        with replacing(fresh / name) as part:
            part.write_bytes(content)


def _keep(kept: Path, folder: Path, names: Mapping[str, bytes]) -> None:
    """Copy what will be replaced, so that it can be put back."""
    kept.mkdir()
    for name in names:
        with suppress(FileNotFoundError):
            shutil.copy2(folder / name, kept / name)


def _exchange(fresh: Path, kept: Path, folder: Path, names: list[str]) -> None:
    """Move the fresh files into place; if that fails or is interrupted, put the kept ones back."""
    try:
        for name in names:
            (fresh / name).replace(folder / name)
    except BaseException:
        for name in names:
            if (kept / name).exists():
                (kept / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        raise

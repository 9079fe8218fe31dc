"""Downloading one file: https only, never more than its declared size, checked before it gets its name."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, BinaryIO, Protocol
from urllib.request import HTTPRedirectHandler, Request, build_opener

from nnx.datasets.catalogue import DataFile
from nnx.errors import DatasetUnavailableError
from nnx.files import replacing

TIMEOUT = 30.0
"""Seconds without an answer after which an address is given up."""
_CHUNK = 1 << 16


class _RefusedError(Exception):
    """One address did not give the file; the text says why."""


class _Body(Protocol):
    """The part of an HTTP response that is used here."""

    def read(self, size: int, /) -> bytes: ...


class HttpsRedirects(HTTPRedirectHandler):
    """Follow a redirection only to another https address."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Refuse `newurl` unless it is https, else do as usual."""
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(url: str) -> AbstractContextManager[_Body]:
    """Open an https address for reading."""
    # Some hosts turn Python's default User-Agent away.
    request = Request(url, headers={"User-Agent": "nnx"})
    response: AbstractContextManager[_Body] = build_opener(HttpsRedirects).open(request, timeout=TIMEOUT)
    return response


def download(file: DataFile, target: Path) -> None:
    """Download `file`, trying its addresses in order; `target` ends whole and checked, or untouched.

    Raises: DatasetUnavailableError saying, for each address, why it failed.
    """
    failures = []
    for url in file.urls:
        try:
            _store(url, file, target)
        except (_RefusedError, OSError, HTTPException) as error:
            failures.append(f"{url}: {str(error) or type(error).__name__}")
        else:
            return
    raise DatasetUnavailableError("; ".join(failures))


def _store(url: str, file: DataFile, target: Path) -> None:
    """Write what `url` gives to `target`, which stays as it was if anything goes wrong."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part, part.open("wb") as out:
        _receive(url, file, out)


def _receive(url: str, file: DataFile, out: BinaryIO) -> None:
    """Copy the answer of `url` to `out`; refuse it unless it is exactly `file`."""
    _require_https(url)
    received, digest = 0, hashlib.sha256()
    with open_url(url) as body, _progress(file) as advance:
        while chunk := body.read(_CHUNK):
            received += len(chunk)
            if received > file.size:
                raise _RefusedError(f"expected {file.size:,} bytes, got more")
            digest.update(chunk)
            out.write(chunk)
            advance(len(chunk))
    if received != file.size:
        raise _RefusedError(f"expected {file.size:,} bytes, got {received:,}")
    if digest.hexdigest() != file.sha256:
        raise _RefusedError(f"expected SHA-256 {file.sha256}, got {digest.hexdigest()}")


def _require_https(url: str) -> None:
    if not url.lower().startswith("https://"):
        raise _RefusedError(f"only https addresses are used, got {url!r}")


@contextmanager
def _progress(file: DataFile) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the bytes received; shows a bar only where a person can see one."""
    if not sys.stderr.isatty():
        yield lambda _size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(file.path, total=file.size)
        yield lambda size: bar.advance(task, size)

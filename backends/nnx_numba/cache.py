"""Compiled code on disk: never stale, shared by processes, and optional.

Numba's own cache looks only at the file that defines a function, so that an edited helper elsewhere goes
unnoticed, and several processes share one index file. Here every piece of code is one file: written aside and
renamed into place, and opened by a stamp of all sources of this package and a digest of what it holds.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from functools import cache
from pathlib import Path

import llvmlite
import numba
import numpy
import platformdirs

from nnx_numba.internals import processor, register_bytes

_log = logging.getLogger("nnx.backends.numba")

_PACKAGE = Path(__file__).resolve().parent
_NAME = 100  # letters of a file name: a kernel of many arguments has a name longer than file systems allow
_HEAD = 64  # bytes of the stamp and the digest


@cache
def source_stamp() -> bytes:
    """Digest of every source file of this package and of those below it."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.digest()


@cache
def cache_folder() -> Path | None:
    """Return the first folder that can be written to, or None: NUMBA_CACHE_DIR, the package's, the user's."""
    versions = f"{_PACKAGE} {numba.__version__} {llvmlite.__version__} {numpy.__version__}"
    name = f"nnx_numba-{hashlib.sha256(versions.encode()).hexdigest()[:16]}"
    roots = [Path(os.environ["NUMBA_CACHE_DIR"])] if os.environ.get("NUMBA_CACHE_DIR") else []
    roots += [_PACKAGE / "__pycache__", platformdirs.user_cache_path("nnx", appauthor=False)]
    for root in roots:
        try:
            (root / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=root / name).close()
        except OSError:
            continue
        _log.info("compiled kernels are kept in %s", root / name)
        return root / name
    _log.warning("No folder can be written to: kernels are compiled anew in every process; set NUMBA_CACHE_DIR.")
    return None


def read(name: str) -> bytes | None:
    """Return the code of this name, or None where there is none, or a stale or broken file."""
    path = _path(name)
    try:
        content = path.read_bytes() if path else b""
    except OSError:
        return None
    code = content[_HEAD:]
    return code if content[:_HEAD] == _head(code) else None


def write(name: str, code: bytes) -> None:
    """Write code aside and rename it into place; a full disk only costs the speed-up."""
    path = _path(name)
    if path is None:
        return
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        aside.write_bytes(_head(code) + code)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)


def _head(code: bytes) -> bytes:
    return source_stamp() + hashlib.sha256(code).digest()


def _path(name: str) -> Path | None:
    """One file per name and processor."""
    folder = cache_folder()
    key = f"{name} {processor()} {register_bytes()}"
    return folder and folder / f"{name[:_NAME]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"

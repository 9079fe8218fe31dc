"""Compiled kernels on disk: never stale, shared by processes, and optional.

Numba's own cache looks only at the file that defines a function, so that an edited helper elsewhere goes
unnoticed, and several processes share one index file. Here every compiled signature is one file: written
aside and renamed into place, and opened by a stamp of all sources of this package.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy
import platformdirs

from nnx_numba.internals import NullCache, dumps, rebuild_result, register_bytes

_PACKAGE = Path(__file__).resolve().parent
_NAME = 100  # letters of a file name: a kernel of many arguments has a name longer than file systems allow


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
        return root / name
    return None


class DiskCache(NullCache):  # type: ignore[misc]  # Any, see internals
    """What a Numba dispatcher asks for compiled code before it compiles."""

    def __init__(self, name: str) -> None:
        """Serve the function of this name, which must be unique within the package."""
        self._name = name

    @property
    def cache_path(self) -> Path | None:
        """The folder, for Numba's statistics."""
        return cache_folder()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled signature, or None where there is none, or a stale or broken file."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        try:
            content = path.read_bytes()
            stamp, payload = content[:32], content[32:]
            if stamp != source_stamp():
                return None
            return rebuild_result(target_context, *pickle.loads(payload))
        except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, TypeError, ValueError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the compiled signature aside and rename it into place; a full disk only costs the speed-up."""
        path = self._path(sig, data.codegen)
        if path is None or data.library.has_dynamic_globals:
            return
        aside = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            aside.write_bytes(source_stamp() + dumps(data._reduce()))
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)

    def _path(self, sig: Any, codegen: Any) -> Path | None:
        """One file per function, signature and processor."""
        folder = cache_folder()
        key = f"{self._name} {sig} {codegen.magic_tuple()} {register_bytes()}"
        short = self._name[:_NAME]
        return folder and folder / f"{short}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.nbc"

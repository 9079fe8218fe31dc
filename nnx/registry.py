"""Finding, selecting and describing backends.

Selection, strongest first: `use_backend` (a context variable), `set_backend` (the process), the environment
variable NNX_BACKEND, and "numpy".
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from nnx.errors import BackendError, BackendUnavailableError, OptionError, UnknownNameError
from nnx.interface import Backend, hold_across_forks

GROUP = "nnx.backends"
GENERIC = "generic:"

_BUNDLED = {
    "numpy": "nnx_numpy:NumpyBackend",
    "numba": "nnx_numba:NumbaBackend",
    "cupy": "nnx_cupy:CupyBackend",
}
_NAMESPACES = ("array_api_strict", "cupy", "numpy", "torch")
_DEVICES = {"gpu": "cupy", "cuda": "cupy", "cpu": "numpy"}

Factory = Callable[[], Backend]

_registered: dict[str, Factory] = {}
_loaded: dict[str, Backend] = {}
_lock = threading.RLock()
hold_across_forks(_lock)
_process_default: Backend | None = None
_num_threads: int | None = None


@dataclass(eq=False)
class _Selection:
    """What one `with use_backend(...)` has selected, and whether its block has ended where it cannot be seen."""

    backend: Backend
    over: bool = False


_context: ContextVar[tuple[_Selection, ...]] = ContextVar("nnx_backend", default=())
"""The blocks that are open here, the innermost last."""


@dataclass(frozen=True)
class BackendInfo:
    """What `available_backends` tells about one backend.

    Attributes:
        name: what to pass to `set_backend`.
        available: whether it can be used here and now.
        reason: why not, and what to install or do; empty if available.
        device: what it runs on; empty if not available.
    """

    name: str
    available: bool
    reason: str
    device: str


def register(name: str, factory: Factory) -> None:
    """Make a backend known by name in this process, without an entry point.

    Args:
        name: what users will select it by.
        factory: called without arguments on first use; raises BackendUnavailableError where it cannot run.
    """
    with _lock:
        _registered[name] = factory
        _loaded.pop(name, None)


def names() -> list[str]:
    """Return the names of all known backends, those bundled with nnx first."""
    known = [*_BUNDLED, *_registered, *sorted(point.name for point in entry_points(group=GROUP))]
    return list(dict.fromkeys(known))


def get(name: str) -> Backend:
    """Return the backend of that name, loading it on first use.

    Besides the known names, "generic:MODULE" is the reference run on the arrays of numpy, torch, cupy or
    array_api_strict.

    Raises:
        UnknownNameError: no backend has that name.
        BackendUnavailableError: it is known but cannot run here.
    """
    with _lock:
        if name not in _loaded:
            _loaded[name] = _load(name)
        return _loaded[name]


def _load(name: str) -> Backend:
    factory = _factory(name)
    try:
        backend = factory()
        if _num_threads is not None and isinstance(backend, Backend):
            backend.set_num_threads(_num_threads)
    except BackendUnavailableError:
        raise
    except Exception as error:  # a plug-in's own failure, of any kind, must read as one sentence
        raise BackendUnavailableError(name, f"loading it failed with {error!r}.") from error
    if not isinstance(backend, Backend):
        raise BackendUnavailableError(name, f"its entry point made {backend!r}, not an nnx.Backend.")
    return backend


def _factory(name: str) -> Factory:
    if name in _registered:
        return _registered[name]
    if name.removeprefix(GENERIC) in _NAMESPACES and name.startswith(GENERIC):
        return lambda: _generic(name.removeprefix(GENERIC))
    for point in entry_points(group=GROUP, name=name):
        return lambda: point.load()()
    if name in _BUNDLED:
        return lambda: _bundled(_BUNDLED[name])
    raise UnknownNameError("backend", name, _selectable(), _DEVICES.get(name.lower().partition(":")[0]))


def _selectable() -> list[str]:
    return [*names(), *(GENERIC + module for module in _NAMESPACES)]


def _generic(module: str) -> Backend:
    try:
        namespace = importlib.import_module(module)
    except ImportError as error:
        hint = f"Install the package that provides {module!r}."
        raise BackendUnavailableError(GENERIC + module, f"{module} is not installed.", hint) from error
    return Backend.from_namespace(namespace)


def _bundled(path: str) -> Backend:
    """Load a bundled backend from a source checkout that has no installed metadata."""
    module, attribute = path.split(":")
    checkout = Path(__file__).resolve().parent.parent / "backends"
    if (checkout / module).is_dir() and str(checkout) not in sys.path:
        sys.path.append(str(checkout))
    factory: Factory = getattr(importlib.import_module(module), attribute)
    return factory()


def loaded() -> list[Backend]:
    """Return the backends that are in use in this process so far."""
    with _lock:
        return list(_loaded.values())


def chosen_num_threads() -> int | None:
    """Return what `set_num_threads` was last given, or None."""
    return _num_threads


def set_num_threads(count: int) -> None:
    """Have every engine use at most `count` threads of the host: BLAS under NumPy, and Numba's kernels.

    Holds for engines selected by name, in use or later, and for the BLAS libraries that are loaded by then. Without
    it, NumPy's BLAS and Numba each take all cores, or what their own settings say (OPENBLAS_NUM_THREADS,
    NUMBA_NUM_THREADS). Results do not depend on it on Numba; on NumPy, BLAS may round differently.

    Raises:
        OptionError: count is not a positive whole number.
    """
    global _num_threads
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise OptionError(f"count must be a whole number of at least 1, got {count!r}: try set_num_threads(1).")
    with _lock:
        _num_threads = int(count)
        for backend in _loaded.values():
            backend.set_num_threads(_num_threads)


def resolve(backend: str | Backend | None) -> Backend:
    """Return the backend that a name stands for, the backend itself, or the selected one for None.

    Raises:
        UnknownNameError, BackendUnavailableError: as `get` does.
        BackendError: something else was given.
    """
    return current() if backend is None else _resolve_given(backend)


def _resolve_given(backend: str | Backend) -> Backend:
    if isinstance(backend, Backend):
        return backend
    if isinstance(backend, str):
        return get(backend)
    raise BackendError(f"backend must be a name or an nnx.Backend, got {backend!r}.")


def set_backend(backend: str | Backend) -> None:
    """Select the engine for all models built from now on in this process.

    Args:
        backend: a name ("numpy", "numba", "cupy", "generic:torch", a plug-in's) or a `Backend`.

    Raises:
        UnknownNameError: no backend has that name.
        BackendUnavailableError: it is known but cannot run here.
    """
    global _process_default
    _process_default = _resolve_given(backend)


@contextmanager
def use_backend(backend: str | Backend) -> Iterator[Backend]:
    """Select the engine for the models built inside a `with` block; the selection ends with the block.

    It belongs to where the block stands: other threads begin with that of the process (`set_backend`), while an
    asyncio task or `asyncio.to_thread` begins with what is selected where it is made, and keeps it to itself.

    Blocks may end in any order, as those in generators do: each takes back its own selection and no other, so
    that once all have ended, all is as before. A generator that is suspended inside a block has selected for
    whoever called it too, until it goes on past the block or is closed. (That is what makes
    `contextlib.contextmanager` work, and Python does not tell the two apart.) Do not `yield` inside the block if
    that is not wanted. If such a generator is ended by another thread or task, the selection is taken back where
    it was made.

    Examples:
        >>> with nnx.use_backend("numba"):
        ...     model = nnx.Sequential([nnx.Dense(1)], input_shape=(3,))
        >>> model.backend.name
        'numba'
    """
    selection = _Selection(_resolve_given(backend))
    opened = tuple(other for other in _context.get() if not other.over)
    _context.set(opened)  # the token keeps what was set before it, and with it the engines of blocks that are over
    token = _context.set((*opened, selection))
    try:
        yield selection.backend
    finally:
        _take_back(selection, token)


def _take_back(selection: _Selection, token: Token[tuple[_Selection, ...]]) -> None:
    """End a selection, be it the innermost or not."""
    opened = _context.get()
    try:
        _context.reset(token)
    except ValueError:  # another thread or task has ended the block: what is selected there is its own
        selection.over = True
    else:
        _context.set(tuple(other for other in opened if other is not selection))


def current() -> Backend:
    """Return the backend that a model built here and now would bind."""
    for selection in reversed(_context.get()):
        if not selection.over:
            return selection.backend
    return _process_default or _from_environment()


def _from_environment() -> Backend:
    name = os.environ.get("NNX_BACKEND") or "numpy"
    try:
        return get(name)
    except UnknownNameError:
        raise UnknownNameError(
            "backend in NNX_BACKEND", name, _selectable(), _DEVICES.get(name.lower().partition(":")[0])
        ) from None


def describe(name: str) -> BackendInfo:
    """Try to load a backend and say how that went; never raises for a known name."""
    try:
        return BackendInfo(name, True, "", get(name).device())
    except BackendUnavailableError as error:
        return BackendInfo(name, False, f"{error.reason} {error.hint}".strip(), "")
    except UnknownNameError:
        raise
    except Exception as error:  # a plug-in that loads but cannot even describe its device
        return BackendInfo(name, False, f"asking for its device failed with {error!r}.", "")


def available_backends() -> list[BackendInfo]:
    """Describe every known backend: usable or, where not, why and what to install."""
    return [describe(name) for name in names()]


def find_owner(value: Any) -> Backend | None:
    """Return the loaded backend, if any, whose array `value` is."""
    return next((backend for backend in loaded() if backend.owns(value)), None)

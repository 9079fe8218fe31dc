"""`HostModule`: `cupy.RawModule` for NumPy arrays, its kernels compiled for and run on the CPU."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from .arguments import extents, pack
from .compiler import build, host_options
from .translate import c_kernels, translate

_SEED: ContextVar[int | None] = ContextVar("hostcuda_seed", default=None)
_DEFAULT_SHARED = 48 << 10  # bytes of dynamic shared memory a launch may ask for unasked
_MOST_SHARED = 227 << 10  # what compute capability 9.0 can be asked for
_LARGEST_GRID = (2**31 - 1, 65535, 65535)
_LARGEST_BLOCK = (1024, 1024, 64)


class KernelError(RuntimeError):
    """A launch that would hang, crash or give undefined results on a GPU."""


@contextmanager
def schedule(seed: int) -> Iterator[None]:
    """Run every launch inside under `seed`: 0 in order, 1 reversed, others shuffled."""
    token = _SEED.set(seed)
    try:
        yield
    finally:
        _SEED.reset(token)


class HostModule:
    """Kernels of one CUDA C++ source, run on the CPU.

    `code`, `options`, `name_expressions` and `get_function` are those of `cupy.RawModule`; compilation
    happens, as there, when the first kernel is asked for. `seed` chooses the order in which blocks,
    warps and lanes run; `schedule` overrides it for a while. `check_memory` makes each access outside of
    the argument arrays and shared memory an error; it is slow, and pointers inside arrays are not known.

    Raises: ValueError for options without a counterpart on the CPU, HostCompileError, CompilerMissingError.
    """

    def __init__(
        self,
        code: str,
        *,
        options: tuple[str, ...] = (),
        name_expressions: Iterable[str] | None = None,
        seed: int = 0,
        check_memory: bool = False,
    ) -> None:
        host_options(options)  # a refused option is reported here, with the caller's line in the traceback
        self.code = code
        self.options = options
        self.name_expressions = tuple(name_expressions or ())
        self.seed = seed
        self.check_memory = check_memory
        self._names = list(dict.fromkeys([*c_kernels(code), *self.name_expressions]))
        self._library: _Library | None = None

    def compile(self) -> None:
        """Compile now instead of at the first `get_function`."""
        if self._library is None:
            source = translate(self.code, self._names)
            self._library = _load(build(source, self.options, self.check_memory))

    def get_function(self, name: str) -> HostKernel:
        """The kernel of that name expression, or the extern "C" kernel of that name."""
        if name not in self._names:
            raise KeyError(f"no kernel {name!r}; there are {self._names}: templates need a name expression")
        self.compile()
        assert self._library is not None
        return HostKernel(self, name, self._library, self._names.index(name))


class HostKernel:
    """One kernel: called as `kernel(grid, block, args, shared_mem=bytes)`, as CuPy's."""

    def __init__(self, module: HostModule, name: str, library: _Library, number: int) -> None:
        self.module = module
        self.name = name
        self.max_dynamic_shared_size_bytes = _DEFAULT_SHARED  # a larger launch raises it first
        self._library = library
        self._launch = library.entry(f"launch_{number}")
        self._signature: list[str] = library.entry(f"signature_{number}")().decode().split()

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        """Run the kernel over `grid` blocks of `block` threads and return when it has ended.

        Raises: KernelError for what a GPU would refuse, hang on or compute wrongly; TypeError and
        ValueError for arguments that do not fit the kernel's parameters.
        """
        blocks, threads = (
            self._sizes("grid", grid, _LARGEST_GRID),
            self._sizes("block", block, _LARGEST_BLOCK),
        )
        self._check_resources(math.prod(threads), shared_mem)
        values = pack(self.name, self._signature, args)
        addresses = (ctypes.c_void_p * max(1, len(values)))(*map(ctypes.addressof, values))
        memory = extents(args) if self.module.check_memory else []
        fault = self._library.run(self._launch, addresses, blocks, threads, shared_mem, self._seed(), memory)
        if fault:
            raise KernelError(f"{self.name}: {fault}")

    def _seed(self) -> int:
        chosen = _SEED.get()
        return self.module.seed if chosen is None else chosen

    def _sizes(self, what: str, given: tuple[int, ...], largest: tuple[int, ...]) -> list[int]:
        sizes = [max(1, size) for size in (*given, 1, 1)[:3]]  # CuPy rounds an empty grid up to one block
        if any(size > limit for size, limit in zip(sizes, largest, strict=True)):
            raise KernelError(f"{self.name}: {what} {tuple(given)} is larger than {largest}")
        return sizes

    def _check_resources(self, threads: int, shared: int) -> None:
        if threads > 1024:
            raise KernelError(f"{self.name}: a block has at most 1024 threads, got {threads}")
        allowed = self.max_dynamic_shared_size_bytes
        if shared > min(allowed, _MOST_SHARED):
            raise KernelError(
                f"{self.name}: {shared} bytes of dynamic shared memory, at most {allowed} are allowed; "
                f"set max_dynamic_shared_size_bytes first (devices have up to {_MOST_SHARED})"
            )


class _Library:
    """A loaded library. Its kernels share static state, hence one launch at a time."""

    def __init__(self, path: Path) -> None:
        self._handle = ctypes.CDLL(str(path))
        self._handle.make_stacks.restype = ctypes.c_void_p
        self._lock = threading.Lock()

    def entry(self, symbol: str) -> Any:
        function = getattr(self._handle, symbol)
        function.restype = ctypes.c_char_p
        return function

    def run(
        self,
        launch: Any,
        addresses: Any,
        grid: list[int],
        block: list[int],
        shared: int,
        seed: int,
        memory: list[int],
    ) -> str | None:
        regions = (ctypes.c_size_t * max(1, len(memory)))(*memory)
        sizes = (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block)
        with self._lock, _lent_stacks(self._handle.make_stacks) as stacks:
            self._handle.set_memory(regions, len(memory) // 3)
            numbers = ctypes.c_size_t(shared), ctypes.c_uint(seed), ctypes.c_void_p(stacks)
            fault: bytes | None = launch(addresses, *sizes, *numbers)
            return None if fault is None else fault.decode()


_idle_stacks: list[int] = []


@contextmanager
def _lent_stacks(make: Callable[[], int | None]) -> Iterator[int]:
    """Memory for the threads of a launch, which goes from library to library: see make_stacks in fibers.h."""
    try:
        stacks = _idle_stacks.pop()  # a single step, as append is: other threads may be here too
    except IndexError:
        made = make()
        if made is None:
            raise MemoryError("no memory for the stacks of CUDA threads") from None
        stacks = made
    try:
        yield stacks
    finally:
        _idle_stacks.append(stacks)


_loading = threading.Lock()


@cache
def _open(path: Path) -> _Library:
    return _Library(path)


def _load(path: Path) -> _Library:
    """One object, and so one lock, for each library of this process."""
    with _loading:
        return _open(path)

"""Each fault in a process of its own, forked from one that has imported everything but nnx."""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.mutation.faults import Fault

MEMORY = 4 << 30
"""Bytes that a process may have beyond what it begins with."""
KILLED, SURVIVED, TOO_LONG = "killed", "survived", "too long"

_PRELOADED = (
    "numpy",
    "numba",
    "scipy.special",
    "h5py",
    "hypothesis.strategies",
    "array_api_strict",
    "rich.console",
)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads other code than that of the file."""

    def __init__(self, name: str, path: Path, code: str) -> None:
        super().__init__(name, str(path))
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.code, self.get_filename(fullname), "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module in its changed version."""

    def __init__(self, path: Path, code: str) -> None:
        self.name = ".".join(path.with_suffix("").parts)
        self.loader = _Loader(self.name, path.resolve(), code)

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.loader.path, loader=self.loader)


@contextmanager
def preloaded() -> Iterator[None]:
    """Import what every process needs and no fault touches; keep compiled tests in a folder of this run."""
    plugins = [point for point in entry_points(group="pytest11") if not point.value.startswith("nnx")]
    for name in (*_PRELOADED, *(point.module for point in plugins)):
        import_module(name)
    if "nnx" in sys.modules:
        raise RuntimeError("nnx is imported already; its faults could not be.")
    with tempfile.TemporaryDirectory() as folder:
        sys.dont_write_bytecode, sys.pycache_prefix = False, folder
        gc.freeze()  # what is collected in a process is then its own
        yield


def outcomes(
    module: Path, chosen: Iterable[Fault], tests: Sequence[str], seconds: int, processes: int
) -> Iterator[tuple[Fault, str, float]]:
    """Give each fault to the tests; yield it with what came of it and the processor's seconds, as they are done.

    Args:
        module: the module's path from the root of the project.
        chosen: the faults.
        tests: arguments for pytest.
        seconds: of the processor that a fault may take; of the clock, ten times as many.
        processes: how many run at a time.
    """
    waiting, running = iter(chosen), {}
    while True:
        while len(running) < processes and (fault := next(waiting, None)) is not None:
            running[_start(module, fault.code, tests, seconds)] = fault
        if not running:
            return
        process, status, used = os.wait4(-1, 0)
        if process in running:
            yield running.pop(process), _outcome(status), used.ru_utime + used.ru_stime


def _outcome(status: int) -> str:
    if os.WIFSIGNALED(status):
        return TOO_LONG if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL) else KILLED
    return KILLED if os.WEXITSTATUS(status) else SURVIVED


def _start(module: Path, code: str, tests: Sequence[str], seconds: int) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            _limit(seconds)
            status = run_tests(module, code, [*tests, f"--basetemp={folder}/tests"], Path(os.devnull))
    finally:
        os._exit(status)


def _limit(seconds: int) -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)


def run_tests(module: Path, code: str, tests: Sequence[str], output: Path) -> int:
    """Run pytest in this process with other code for one module; return its exit status."""
    sys.meta_path.insert(0, _Finder(module, code))
    with output.open("w") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    quick = ["--backend", "numpy", "-k", "not torch"]  # PyTorch takes seconds to import, and some have none
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", *quick, *tests]))

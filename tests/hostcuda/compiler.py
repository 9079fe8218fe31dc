"""Running g++: its options, and a cache of compiled libraries that processes may share."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

HEADERS = Path(__file__).parent
_FLAGS = (
    *("-O2", "-march=native", "-fPIC", "-fvisibility=hidden"),
    "-fno-gnu-unique",  # else shared variables of equal templates in two libraries would be one
    "-fno-strict-aliasing",  # nvcc is lenient about casts between float* and float4*
    "-fno-threadsafe-statics",  # one launch at a time
    *("-Wall", "-Wno-unused", "-Wno-unknown-pragmas"),
    # Bad indices of arrays of known size and misaligned vectors end in handlers of builtins.h.
    *("-fsanitize=bounds,alignment", "-fno-sanitize-recover=bounds,alignment"),
)
# They change rounding or flush subnormals, which the host cannot mirror.
_INEXACT = ("use_fast_math", "ftz=true", "prec-div=false", "prec-sqrt=false", "extra-device-vectorization")
_HARMLESS = ("default-device", "device-as-default-execution-space", "restrict", "lineinfo", "w", "ftz=false")
_HARMLESS_VALUED = ("arch=", "gpu-architecture=", "maxrregcount=", "ptxas-options=", "generate-line-info")
# Every access becomes a call, which memory.h answers: slow, and no sanitizer's runtime is needed.
_MEMORY_FLAGS = (
    "-fsanitize=kernel-address",
    *("--param", "asan-instrumentation-with-call-threshold=0"),
    *("--param", "asan-stack=0", "--param", "asan-globals=0"),
)


class CompilerMissingError(RuntimeError):
    """There is no g++ here, or this machine is none that the stack switch was written for."""


class HostCompileError(RuntimeError):
    """The source does not compile; the text is the compiler's, with the kernel's own line numbers."""


def unavailable() -> str | None:
    """Why kernels cannot run on this machine's CPU, or None if they can: a reason to skip tests."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"hostcuda needs Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    if shutil.which("g++") is None:
        return "hostcuda compiles kernels with g++, which is not on the PATH: install g++"
    return None


def host_options(options: Iterable[str]) -> list[str]:
    """The g++ options that mean what `options` mean to NVRTC.

    Raises: ValueError for an option that changes results in a way the CPU cannot follow, or is unknown.
    """
    chosen = {"std": "-std=c++17", "contract": "-ffp-contract=fast"}  # CuPy's and NVRTC's defaults
    defines = []
    for option in options:
        name = option.lstrip("-")
        if option.startswith(("-D", "-U", "-I")):
            defines.append(option)
        elif name.startswith("define-macro="):
            defines.append("-D" + name.removeprefix("define-macro="))
        elif name.startswith("std="):
            chosen["std"] = f"-{name}"
        elif name in {"fmad=true", "fmad=false"}:
            chosen["contract"] = "-ffp-contract=" + ("fast" if name == "fmad=true" else "off")
        else:
            _check_harmless(option)
    return [*chosen.values(), *defines]


def _check_harmless(option: str) -> None:
    name = option.lstrip("-")
    if name in _INEXACT:
        raise ValueError(f"options: {option!r} changes rounding in a way the CPU cannot mirror")
    if name not in _HARMLESS and not name.startswith(_HARMLESS_VALUED):
        raise ValueError(f"options: hostcuda does not know {option!r}; write it as one string, -DNAME=VALUE")


def build(source: str, options: Iterable[str], check_memory: bool = False) -> Path:
    """The shared library of `source`, compiled unless the cache has it."""
    reason = unavailable()
    if reason is not None:
        raise CompilerMissingError(reason)
    flags = [*host_options(options), *_FLAGS, *(_MEMORY_FLAGS if check_memory else ())]
    library = cache_folder() / f"{_key(source, flags)}.so"
    if not library.exists():
        _compile(source, flags, library)
    return library


def _compile(source: str, flags: list[str], library: Path) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        text, code, linked = (Path(folder) / name for name in ("kernel.cpp", "kernel.o", "kernel.so"))
        text.write_text(source)
        # Two steps: linking under -fsanitize would ask for the sanitizer's runtime.
        _run(["g++", *flags, "-iquote", str(HEADERS), "-c", str(text), "-o", str(code)])
        _run(["g++", "-shared", "-Wl,-z,defs", str(code), "-o", str(linked)])
        linked.replace(library)  # atomic: another process sees the whole library or none


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise HostCompileError(result.stderr)


def _key(source: str, flags: list[str]) -> str:
    parts = [source, *flags, _toolchain(), *(path.read_text() for path in sorted(HEADERS.glob("*.h")))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@functools.cache
def _toolchain() -> str:
    """Compiler and processor: a cache may lie on a disk that several machines share."""
    version = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return version + next((line for line in lines if line.startswith("flags")), platform.processor())


@functools.cache
def cache_folder() -> Path:
    """Where libraries are kept: `NNX_HOSTCUDA_CACHE`, the user's cache, or a folder of this process alone."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("NNX_HOSTCUDA_CACHE") or Path(caches) / "nnx" / "hostcuda")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="nnx-hostcuda-"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="nnx-hostcuda-"))

"""Compiling kernels to machine code with NVRTC, which needs no GPU and no driver."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")

_ENTRY = re.compile(r"entry function '(?P<symbol>[^']+)'(?P<text>.*?)(?=entry function|\Z)", re.DOTALL)


class NvrtcError(RuntimeError):
    """The source does not compile for that architecture; the text is NVRTC's log."""


@dataclass(frozen=True)
class KernelReport:
    """What one kernel takes on one architecture: registers a thread, bytes spilled, on the stack and shared."""

    registers: int
    spill_stores: int
    spill_loads: int
    shared_bytes: int
    stack_bytes: int


def unavailable() -> str | None:
    """Why NVRTC cannot be used here, or None if it can: a reason to skip tests."""
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        return "cuda-bindings is not installed: pip install cuda-bindings nvidia-cuda-nvrtc"
    try:
        _bindings().nvrtcVersion()
    except Exception as error:  # the bindings load the library on first use and raise errors of their own
        return f"NVRTC cannot be loaded ({error}): pip install nvidia-cuda-nvrtc"
    return None


def _bindings() -> Any:
    return importlib.import_module("cuda.bindings.nvrtc")  # has no types to import


def compile_report(
    source: str, arch: str, options: Iterable[str] = (), name_expressions: Iterable[str] = ()
) -> dict[str, KernelReport]:
    """Compile `source` for `arch` ("sm_90") and report on each kernel, by its name or name expression.

    Raises: NvrtcError with the log if the source, an option or a name expression is refused.
    """
    names = tuple(name_expressions)
    with _program(source, names) as program:
        log = _compile(program, [f"-arch={arch}", "--ptxas-options=-v", *_with_standard(options)])
        lower = _bindings().nvrtcGetLoweredName
        symbols = [_checked(lower(program, name.encode())).decode() for name in names]
    lowered = dict(zip(symbols, names, strict=True))
    return {lowered.get(symbol, symbol): report for symbol, report in _reports(log).items()}


def ptx(source: str, arch: str, options: Iterable[str] = (), name_expressions: Iterable[str] = ()) -> str:
    """Compile `source` for a virtual architecture ("compute_80") and return the PTX.

    Raises: NvrtcError with the log if the source, an option or a name expression is refused.
    """
    with _program(source, name_expressions) as program:
        _compile(program, [f"-arch={arch}", *_with_standard(options)])
        text = bytearray(_checked(_bindings().nvrtcGetPTXSize(program)))
        _checked(_bindings().nvrtcGetPTX(program, text))
    return text.decode()


@contextmanager
def _program(source: str, name_expressions: Iterable[str]) -> Iterator[Any]:
    nvrtc = _bindings()
    program = _checked(nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], []))
    try:
        for name in name_expressions:
            _checked(nvrtc.nvrtcAddNameExpression(program, name.encode()))
        yield program
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _with_standard(options: Iterable[str]) -> list[str]:
    """CuPy adds C++17 where no standard is named; so does this."""
    given = list(options)
    named = any(option.lstrip("-").startswith("std=") for option in given)
    return given if named else ["-std=c++17", *given]


def _compile(program: Any, options: list[str]) -> str:
    nvrtc = _bindings()
    result = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    log = bytearray(_checked(nvrtc.nvrtcGetProgramLogSize(program)))
    _checked(nvrtc.nvrtcGetProgramLog(program, log))
    text = log.decode(errors="replace").strip("\0 \n")
    if result[0] != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise NvrtcError(text or result[0].name)
    return text


def _checked(result: tuple[Any, ...]) -> Any:
    """The value of a call to the bindings, which return the status first."""
    status, *values = result
    if int(status) != 0:
        raise NvrtcError(status.name)
    return values[0] if values else None


def _reports(log: str) -> dict[str, KernelReport]:
    return {match["symbol"]: _report(match["text"]) for match in _ENTRY.finditer(log)}


def _report(text: str) -> KernelReport:
    def number(pattern: str) -> int:
        found = re.search(pattern, text)
        return int(found[1]) if found else 0

    return KernelReport(
        registers=number(r"Used (\d+) registers"),
        spill_stores=number(r"(\d+) bytes spill stores"),
        spill_loads=number(r"(\d+) bytes spill loads"),
        shared_bytes=number(r"(\d+) bytes smem"),
        stack_bytes=number(r"(\d+) bytes stack frame"),
    )

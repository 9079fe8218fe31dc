"""From CUDA C++ source to what g++ compiles: the few things a header cannot express.

Every change keeps the number of lines, so that the compiler's messages name the kernel's own lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_CUDA_INCLUDE = re.compile(r"#\s*include\s*<(?:cuda\w*|math_constants|vector_types)(?:\.h|\.hpp)?>")
_DYNAMIC = re.compile(r"extern\s+__shared__\s+([^;{}]*?)(\w+)\s*\[\s*\]\s*;")
_ALIGNED = re.compile(r"(?:__align__|alignas)\s*\([^()]*\)")
_STATIC = re.compile(r"__shared__\s([^;{}]*);")
_BRACKETS = re.compile(r"\[[^\[\]]*\]|<[^<>]*>|\([^()]*\)")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_KERNEL = re.compile(
    r"(?P<c>extern\s+\"C\"\s+)?__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+"
    r"(?:__launch_bounds__\s*\([^)]*\)\s*)?(?P<name>\w+)\s*\("
)
_C_BLOCK = re.compile(r"extern\s+\"C\"\s*\{")


def translate(code: str, kernels: Iterable[str]) -> str:
    """The C++ source of a library with an entry point for each of `kernels`, numbered in order."""
    body = _without_comments(code)
    body = _CUDA_INCLUDE.sub("", body)
    body = _DYNAMIC.sub(_dynamic_shared, body)
    body = _STATIC.sub(_static_shared, body)
    entries = "\n".join(f"HOSTCUDA_ENTRY({i}, &::{name})" for i, name in enumerate(kernels))
    return f'#include "hostcuda.h"\n#line 1 "kernel.cu"\n{body}\n#line 1 "entry points"\n{entries}\n'


def c_kernels(code: str) -> list[str]:
    """Names of the kernels with C linkage, which need no name expression."""
    body = _without_comments(code)
    blocks = [_block(body, match.end()) for match in _C_BLOCK.finditer(body)]
    return [
        match["name"]
        for match in _KERNEL.finditer(body)
        if match["c"] or any(start <= match.start() < end for start, end in blocks)
    ]


def _without_comments(code: str) -> str:
    """Blank out comments, where a semicolon or a brace would mislead the patterns; keep strings and lines."""

    def blank(match: re.Match[str]) -> str:
        text = match[0]
        return text if text.startswith('"') else " " + "\n" * text.count("\n")

    return _COMMENT.sub(blank, code)


def _block(code: str, start: int) -> tuple[int, int]:
    depth = 1
    for match in re.compile(r"[{}]").finditer(code, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return start, match.start()
    return start, len(code)


def _dynamic_shared(match: re.Match[str]) -> str:
    """`extern __shared__ T name[]` has no counterpart in C++: point into the buffer of the launch."""
    kind = " ".join(_ALIGNED.sub("", match[1]).split())
    lines = "\n" * match[0].count("\n")
    return f"{kind}* const {match[2]} = reinterpret_cast<{kind}*>(hostcuda::dynamic_shared);{lines}"


def _static_shared(match: re.Match[str]) -> str:
    """Register each declared variable, so that no block sees what an earlier one left in it."""
    plain = match[1]
    while _BRACKETS.search(plain):
        plain = _BRACKETS.sub("", plain)
    names = [re.findall(r"\w+", declarator)[-1] for declarator in plain.split(",")]
    watches = "".join(f" static const bool hostcuda_{name} = hostcuda::watch({name});" for name in names)
    return match[0] + watches

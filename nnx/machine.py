"""Which processor and which versions: what a figure means nothing without."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

_DISTRIBUTIONS = {"cupy": ("cupy", "cupy-cuda12x", "cupy-cuda13x")}
"""What a library is called where it is installed from, if that is not its own name alone."""


@cache
def processor() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use, whether affinity or its container limits it."""
    import joblib

    return int(joblib.cpu_count())


def described(device: str) -> dict[str, str]:
    """Return processor, system and device of a backend, for people to read; nothing tells whose machine it is."""
    return {
        "processor": processor(),
        "system": f"{platform.system()}, {platform.machine()}",
        "device": device,
    }


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of those libraries that are installed, by name."""
    found = {library: _version(library) for library in libraries}
    return {library: version for library, version in found.items() if version}


def _version(library: str) -> str:
    for distribution in _DISTRIBUTIONS.get(library, (library,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""

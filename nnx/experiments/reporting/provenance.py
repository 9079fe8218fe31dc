"""What made a report: the command, the engine, the machine and the versions, and nothing about its owner."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import nnx
from nnx import machine, registry
from nnx.interface import host_memory

LIBRARIES = ("numpy", "scipy", "numba", "h5py", "matplotlib", "cupy")


def provenance(command: str, backend_name: str, seeds: int, jobs: int) -> dict[str, Any]:
    """Return what made a report, by name, as plain values.

    Args:
        command: as it was typed; of absolute paths in it only the last part is kept.
        backend_name: the engine that the experiment ran on.
        seeds: how many; they are counted from 0.
        jobs: how many processes shared the cores.

    Raises:
        UnknownNameError, BackendUnavailableError: the engine cannot be asked for its device.
    """
    cores = machine.cores()
    return {
        "command": without_places(command),
        "backend": backend_name,
        "device": _device(backend_name),
        "seeds": seeds,
        "jobs": jobs,
        "threads per job": max(1, cores // jobs),
        "processor": machine.processor(),
        "cores": cores,
        "memory": host_memory().total,
        "system": f"{platform.system()}, {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"nnx": nnx.__version__, **machine.versions(LIBRARIES)},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _device(backend_name: str) -> str:
    """Return what the engine says of its device, without the threads of this process: jobs have their own."""
    return re.sub(r", \d+ threads?(?=,|$)", "", registry.get(backend_name).device())


def without_places(command: str) -> str:
    """Return a command in which every absolute path is its last part, since the rest tells whose machine it is."""
    try:
        words = shlex.split(command)
    except ValueError:  # an apostrophe alone: it was not typed into a shell, and has no words to look at
        words = command.split()
    kept = [_without_place(word) for word in words]
    return command if kept == words else shlex.join(kept)


def _without_place(word: str) -> str:
    option, equals, value = word.rpartition("=")
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(value)
        if path.is_absolute():
            return f"{option}{equals}{path.name or '.'}"
    return word


def shown(made_by: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what people read of it, line by line: a name and a text; the command stands elsewhere."""
    rows = {name: str(value) for name, value in made_by.items() if name not in ("command", "python", "versions")}
    if made_by.get("memory"):
        rows["memory"] = f"{made_by['memory'] / 2**30:.0f} GiB"
    else:
        rows.pop("memory", None)
    if made_by.get("seeds", 0) > 1:
        rows["seeds"] = f"{made_by['seeds']} (0 to {made_by['seeds'] - 1})"
    rows["versions"] = versions(made_by)
    return list(rows.items())


def versions(made_by: Mapping[str, Any]) -> str:
    """Return Python and the libraries with their versions, in a line."""
    listed = {"Python": made_by.get("python", ""), **made_by.get("versions", {})}
    return ", ".join(f"{name} {version}" for name, version in listed.items() if version)

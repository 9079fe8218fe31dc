"""What made a report: the command, the engine, the machine and the versions, and nothing about its owner."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import nnx
from nnx import machine
from nnx.experiments.execution.keeping import Done
from nnx.interface import host_memory

_NOT_AS_IT_IS = ("command", "shortened", "devices", "memory", "python", "versions")
"""What is written in words of its own, or elsewhere."""

LIBRARIES = ("numpy", "scipy", "numba", "h5py", "matplotlib", "cupy")


def provenance(command: str, devices: Mapping[str, str], seeds: int, done: Sequence[Done]) -> dict[str, Any]:
    """Return what made a report, by name, as plain values.

    Args:
        command: as it was typed; of folders elsewhere only the last part of the path is kept.
        devices: what each engine that rows were run on says of its device, by the name of the engine.
        seeds: how many; they are counted from 0.
        done: the results, at least one; they may be of several calls, which differ in jobs and dates.
    """
    shortened = without_places(command)
    return {
        "command": shortened,
        "shortened": shortened != command,
        "backend": ", ".join(devices),
        "devices": dict(devices),
        "seeds": seeds,
        "jobs": _range(one.jobs for one in done),
        "threads per job": _range(one.threads for one in done),
        "made": _period(one.date for one in done),
        "processor": machine.processor(),
        "cores": machine.cores(),
        "memory": host_memory().total,
        "system": f"{platform.system()}, {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"nnx": nnx.__version__, **machine.versions(LIBRARIES)},
    }


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _period(dates: Iterable[datetime]) -> str:
    """Write from when to when: "2026-01-02 03:04 to 05:06 UTC"; a day that is the same is written once."""
    found = sorted(dates)
    (day, start), (last, end) = (date.strftime("%Y-%m-%d %H:%M").split() for date in (found[0], found[-1]))
    until = end if last == day else f"{last} {end}"
    return f"{day} {start} UTC" if until == start else f"{day} {start} to {until} UTC"


def without_places(command: str) -> str:
    """Return a command in which every path to elsewhere is its last part: the rest tells whose machine it is."""
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
        if path.is_absolute() or ".." in path.parts:
            name = path.name if path.name != ".." else ""
            return f"{option}{equals}{name or '.'}"
    return word


def shown(made_by: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what people read of it, line by line: a name and a text; the command stands elsewhere."""
    rows = {name: str(value) for name, value in made_by.items() if name not in _NOT_AS_IT_IS}
    if made_by.get("shortened"):
        rows["command"] = "shortened: of the paths of folders elsewhere, it has the last part alone"
    rows["device"] = devices(made_by)
    if made_by.get("memory"):
        rows["memory"] = f"{made_by['memory'] / 2**30:.0f} GiB"
    if made_by.get("seeds", 0) > 1:
        rows["seeds"] = f"{made_by['seeds']} (0 to {made_by['seeds'] - 1})"
    rows["versions"] = versions(made_by)
    return list(rows.items())


def devices(made_by: Mapping[str, Any]) -> str:
    """Return the device of each engine, in a line; the engine is named if there are several."""
    told: Mapping[str, str] = made_by["devices"]
    if len(told) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{name}: {device}" for name, device in told.items())


def versions(made_by: Mapping[str, Any]) -> str:
    """Return Python and the libraries with their versions, in a line."""
    listed = {"Python": made_by.get("python", ""), **made_by.get("versions", {})}
    return ", ".join(f"{name} {version}" for name, version in listed.items() if version)

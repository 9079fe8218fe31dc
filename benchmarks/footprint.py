"""What a library costs before it has done anything: disk, seconds to import, seconds to the first prediction.

    python -m benchmarks.footprint                      # all; writes results/footprint.json and docs/comparison.md
    python -m benchmarks.footprint --only "nnx, numpy"  # prints one row, writes nothing
    python -m benchmarks.footprint --table              # writes the page's table anew, from the stored results

Each library is installed by pip into an environment of its own, which is thrown away after. Its size is that of the
files that came with it, everything it requires and compiled bytecode included. Its program
(`footprint_programs.py`) then runs in processes of its own, on one core: once right after the installation, when
nothing has been compiled, and several times more. Starting Python itself is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import environment, results
from benchmarks.footprint_programs import PROGRAMS, Program
from nnx.errors import NnxError
from nnx.machine import cores, processor

PAGE = environment.ROOT / "docs" / "comparison.md"
STORED = environment.ROOT / "benchmarks" / "results" / "footprint.json"
BEGIN, END = "<!-- footprint: begin -->", "<!-- footprint: end -->"
STARTS = 9
HEADING = ("Library", "On disk", "Packages", "Import", "First prediction", "The same, right after installing")


def measure(program: Program, folder: Path) -> dict[str, Any]:
    """Install a library into a new environment in the folder, and measure it.

    Returns:
        {"bytes", "packages": name and version of each, "first": [import, total], "later": medians of the same, in
        seconds, and "starts", how many they are of}.

    Raises:
        NnxError: pip cannot install it, or its program fails; the message is the last line of what was said.
    """
    _run([sys.executable, "-m", "venv", str(folder)])
    python = str(folder / "bin" / "python")
    bare = size_of(folder), _packages(python)
    _run([python, "-m", "pip", "install", "--quiet", *program.requirements])
    added = [package for package in _packages(python) if package not in bare[1]]
    size = size_of(folder) - bare[0]
    first, *later = [_start(python, program) for _ in range(1 + STARTS)]
    medians = [statistics.median(times) for times in zip(*later, strict=True)]
    return {"bytes": size, "packages": added, "first": first, "later": medians, "starts": STARTS}


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder; a link counts as nothing."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _packages(python: str) -> list[str]:
    listed = json.loads(_run([python, "-m", "pip", "list", "--format", "json"]))
    return [f"{package['name']} {package['version']}" for package in listed]


def _start(python: str, program: Program) -> list[float]:
    """Run the program once; return the seconds until its imports are done, and until it has predicted."""
    surroundings = environment.clean(1) | dict(program.variables)
    for name in ("PYTHONPATH", "NUMBA_CACHE_DIR"):  # or it would find this checkout, or what was compiled for it
        surroundings.pop(name, None)
    pinned = partial(environment.pin, 1)
    said = _run([python, "-c", program.text], env=surroundings, preexec_fn=pinned, cwd=str(Path(python).parent))
    imported, total, _ = json.loads(said.splitlines()[-1])
    return [imported, total]


def _run(command: Sequence[str], **options: Any) -> str:
    given = {"cwd": environment.ROOT, **options}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **given)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NnxError(f"{' '.join(command[:5])} failed: {last}")
    return done.stdout


def measure_all(names: Sequence[str]) -> dict[str, Any]:
    """Measure libraries one after another, and print each; of what cannot be installed or run, keep the reason."""
    rows: dict[str, Any] = {}
    load = os.getloadavg()[0]
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows[name] = measure(PROGRAMS[name], Path(folder))
            except NnxError as error:
                rows[name] = {"reason": str(error)}
        print(f"| {' | '.join(cells(name, rows[name]))} |", flush=True)
    machine = {"processor": processor(), "cores": cores(), "python": sys.version.split()[0], "load": load}
    return {"machine": machine, "rows": rows}


def cells(name: str, row: Mapping[str, Any]) -> list[str]:
    """Return a row of the table."""
    if "reason" in row:
        return [name, "not measured", *[""] * (len(HEADING) - 2)]
    megabytes = f"{row['bytes'] / 1e6:.0f} MB"
    (imported, total), first = row["later"], row["first"][1]
    return [name, megabytes, str(len(row["packages"])), *(f"{value:.2f} s" for value in (imported, total, first))]


def markdown(found: Mapping[str, Any]) -> str:
    """Return the table, and on which machine it was measured, with which versions."""
    body = [cells(name, row) for name, row in found["rows"].items()]
    lines = [list(HEADING), ["---", *["---:"] * (len(HEADING) - 1)], *body]
    machine = found["machine"]
    where = f"one core of {machine['cores']} ({machine['processor']}), Python {machine['python']}"
    versions = ", ".join(dict.fromkeys(filter(None, map(_version, found["rows"], found["rows"].values()))))
    note = f"Measured on {where}: {versions}."
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{note}"


def _version(name: str, row: Mapping[str, Any]) -> str:
    """Return the package that was asked for, with its version."""
    wanted = {".": "nnx-framework"}.get(PROGRAMS[name].requirements[0], PROGRAMS[name].requirements[0])
    return next((package for package in row.get("packages", ()) if package.split()[0] == wanted), "")


def rewrite(page: Path, found: Mapping[str, Any]) -> None:
    """Put the table between the two markers of a page.

    Raises:
        NnxError: the page has no such markers.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NnxError(f"{page.name} must have the lines {BEGIN} and {END}, with the table between them.")
    page.write_text(f"{before}{BEGIN}\n{markdown(found)}\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or only write the table anew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", action="append", choices=list(PROGRAMS), help="a row to measure and print")
    parser.add_argument("--table", action="store_true", help="write the page's table from the stored results")
    given = parser.parse_args(arguments)
    if given.only:
        measure_all(given.only)
        return
    if not given.table:
        STORED.write_text(results.dump(measure_all(list(PROGRAMS))), encoding="utf-8")
    rewrite(PAGE, json.loads(STORED.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

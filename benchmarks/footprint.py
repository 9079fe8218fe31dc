"""What a library costs before it has done anything: disk, seconds to import, seconds to the first prediction.

    python -m benchmarks.footprint                      # all; writes results/footprint.json and docs/comparison.md
    python -m benchmarks.footprint --only "nnx, numpy"  # prints one row, writes nothing
    python -m benchmarks.footprint --table              # writes the page's table anew, from the stored results

Each library is installed by pip into an environment of its own, which is thrown away after. Its size is that of the
files that came with it, everything it requires and compiled bytecode included. Its program
(`footprint_programs.py`) runs in processes of its own, on one core: once right after the installation, when nothing
has been compiled, and later several times more, the libraries taking turns. Of these the least counts. Seconds are
the processor's, of all threads together, so that other work on the machine matters little; with an idle core and
the files in memory, a clock shows about the same. Starting Python itself is not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
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

_OF_HERE = ("PYTHONPATH", "NUMBA_CACHE_DIR")
"""With these in its environment a program would find this checkout, or what was compiled for it."""


class Installed:
    """A library in an environment of its own, with the times of its program.

    Attributes:
        size: bytes of the files that came with it.
        packages: name and version of each.
        times: for each start, the processor's seconds until its imports are done, and until it has predicted.
    """

    def __init__(self, program: Program, folder: Path) -> None:
        """Install it into the folder, and start it for the first time.

        Raises:
            NnxError: pip cannot install it, or its program fails; the message is the last line of what was said.
        """
        self._program, self._python = program, str(folder / "bin" / "python")
        _run([sys.executable, "-m", "venv", str(folder)])
        bare, without = size_of(folder), _packages(self._python)
        _run([self._python, "-m", "pip", "install", "--quiet", *program.requirements])
        self.packages = [package for package in _packages(self._python) if package not in without]
        self.size = size_of(folder) - bare
        self.times: list[tuple[float, float]] = []
        self.start()

    def start(self) -> None:
        """Run the program in a new process."""
        surroundings = environment.clean(1) | dict(self._program.variables)
        for name in _OF_HERE:
            surroundings.pop(name, None)
        options = {"env": surroundings, "preexec_fn": partial(environment.pin, 1)}
        said = _run([self._python, "-c", self._program.text], cwd=str(Path(self._python).parent), **options)
        imported, total, _ = json.loads(said.splitlines()[-1])
        self.times.append((imported, total))

    def row(self) -> dict[str, Any]:
        """Return what is stored of it; `later` are the shortest times of all starts but the first."""
        first, *later = self.times
        best = [min(times) for times in zip(*later, strict=True)]
        return {"bytes": self.size, "packages": self.packages, "first": first, "later": best, "starts": len(later)}


def size_of(folder: Path) -> int:
    """Return the bytes of the files below a folder; a link counts as nothing."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _packages(python: str) -> list[str]:
    listed = json.loads(_run([python, "-m", "pip", "list", "--format", "json"]))
    return [f"{package['name']} {package['version']}" for package in listed]


def _run(command: Sequence[str], **options: Any) -> str:
    given = {"cwd": environment.ROOT, **options}
    done: subprocess.CompletedProcess[str]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **given)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NnxError(f"{' '.join(['python', *command[1:5]])} failed: {last}")
    return done.stdout


def measure_all(names: Sequence[str], starts: int = STARTS) -> dict[str, Any]:
    """Measure libraries; of what cannot be installed or run, keep the reason."""
    with tempfile.TemporaryDirectory() as folder:
        tried = {name: _installed(name, Path(folder) / str(number)) for number, name in enumerate(names)}
        present = [library for library in tried.values() if isinstance(library, Installed)]
        for _ in range(starts):
            for library in present:
                library.start()
    rows = {
        name: found.row() if isinstance(found, Installed) else {"reason": found} for name, found in tried.items()
    }
    machine = {"processor": processor(), "cores": cores(), "python": platform.python_version()}
    return {"machine": machine, "rows": rows}


def _installed(name: str, folder: Path) -> Installed | str:
    """Return the library, or why it cannot be had."""
    try:
        return Installed(PROGRAMS[name], folder)
    except NnxError as error:
        return str(error)


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
    asked = PROGRAMS[name].requirements[0].partition("==")[0]
    wanted = "nnx-framework" if asked == "." else asked
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
        for name, row in measure_all(given.only)["rows"].items():
            print(f"| {' | '.join(cells(name, row))} |")
        return
    if not given.table:
        STORED.write_text(results.dump(measure_all(list(PROGRAMS))), encoding="utf-8")
    rewrite(PAGE, json.loads(STORED.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()

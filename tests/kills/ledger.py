"""What must hold of a run that is killed and gone on with, and how often it was put to the test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nnx
from nnx.errors import NnxError

_PART = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part")


@dataclass
class Attempt:
    """One process that trains, from its start to its end.

    Attributes:
        begun: the step that it began with, or None if it did not come to that.
        saved: the step that it last said to have saved, or None.
        writing: the step that it said to be writing when it ended, or None.
        killed: whether it was killed.
        result: what came of the whole run, if it reached its end.
        error: what it said went wrong, or an empty text.
        parts: the temporary files that it left behind.
    """

    begun: int | None = None
    saved: int | None = None
    writing: int | None = None
    killed: bool = False
    result: Mapping[str, str] | None = None
    error: str = ""
    parts: Sequence[str] = ()


@dataclass
class Ledger:
    """What came of the kills of some runs.

    Attributes:
        counts: "kills", and how many of them came "writing", with a "part" left, or "early", before the first file.
        findings: what was wrong, each with the name of its run.
    """

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def count(self, attempt: Attempt, kept: bool) -> None:
        """Count a kill; `kept` is whether there is a file to go on from."""
        self.counts["kills"] += 1
        self.counts["writing"] += attempt.writing is not None
        self.counts["part"] += bool(attempt.parts)
        self.counts["early"] += not kept


class Witness:
    """Follows one run through all its attempts and notes what should not be."""

    def __init__(self, name: str, expected: Mapping[str, str], ledger: Ledger) -> None:
        """Follow a run of that name whose uninterrupted twin came to `expected`."""
        self._name, self._expected, self._ledger = name, expected, ledger
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the files: what comes is in another folder."""
        self._kept = 0
        self._possible = {0}

    def follow(self, attempt: Attempt) -> None:
        """Take the next attempt."""
        if attempt.error:
            self._note(attempt.error)
        if attempt.begun is not None:
            if attempt.begun not in self._possible:
                self._note(f"went on at step {attempt.begun}, not at one of {sorted(self._possible)}")
            self._kept, self._possible = attempt.begun, {attempt.begun}
        if attempt.saved is not None:
            self._kept, self._possible = attempt.saved, {attempt.saved}
        if attempt.writing is not None:
            self._possible.add(attempt.writing)
        if attempt.killed:
            self._ledger.count(attempt, self._kept > 0)
        elif not attempt.error:
            self._compare(attempt.result)

    def _compare(self, result: Mapping[str, str] | None) -> None:
        if result is None:
            self._note("ended without a word")
        elif result != self._expected:
            parts = [name for name in self._expected if result.get(name) != self._expected[name]]
            self._note(f"ended with other {', '.join(parts) or 'results'} than the uninterrupted run")

    def look_into(self, folder: Path, main: str, ended: bool) -> None:
        """Look at the files that an attempt left; none may be damaged, and temporary ones may not pile up."""
        if self._kept and not (folder / main).exists():
            self._note(f"{main} is gone")
        files = sorted(folder.glob(f"{Path(main).stem}*.h5"), key=lambda path: (len(path.name), path.name))
        epochs = [self._epochs(path) for path in files]
        if epochs != sorted(epochs, reverse=True):
            self._note(f"former files are newer than later ones: epochs {epochs}")
        left = Counter(match[1] for path in folder.iterdir() if (match := _PART.fullmatch(path.name)))
        if left and (ended or max(left.values()) > 1):
            self._note(f"temporary files of {dict(left)} stay behind")

    def _epochs(self, path: Path) -> int:
        try:
            return nnx.load(path, backend="numpy").epoch
        except NnxError as error:
            self._note(str(error))
            return 0

    def _note(self, what: str) -> None:
        self._ledger.findings.append(f"{self._name}: {what}")


def parts_in(folder: Path) -> set[str]:
    """Return the names of the temporary files in a folder."""
    return {path.name for path in folder.iterdir() if _PART.fullmatch(path.name)}

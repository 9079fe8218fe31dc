"""Give damaged and hostile files to every reader, and say which ones it does not take as it should.

python -m tests.fuzz --count 100000        so many files over all readers
python -m tests.fuzz --reader model --seed 17 --keep model.h5      one case, its file kept
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.cases import contents, outcome
from tests.fuzz.processes import fuzz, work
from tests.fuzz.readers import READERS


def main() -> int:
    """Run what was asked for; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=10_000, help="files in all")
    parser.add_argument("--start", type=int, default=0, help="the first seed of each reader")
    parser.add_argument("--reader", choices=list(READERS), help="only this one")
    parser.add_argument("--seed", type=int, help="only this case of --reader, in this process, without limits")
    parser.add_argument("--keep", type=Path, help="where to write the file of --seed")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        names, first, end, done = given.worker
        work(names.split(","), range(int(first), int(end)), int(done))
        return 0
    if given.seed is not None:
        return _one(given.reader or parser.error("--seed needs --reader"), given.seed, given.keep)
    return _all([given.reader] if given.reader else list(READERS), given.start, given.count)


def _one(name: str, seed: int, keep: Path | None) -> int:
    if keep:
        keep.write_bytes(contents(name, seed)[0])
    with tempfile.TemporaryDirectory() as folder:
        print(outcome(name, seed, Path(folder)))
    return 0


def _all(names: list[str], start: int, count: int) -> int:
    each, findings = -(-count // len(names)), 0
    print("| reader | files | read | refused | findings | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for name in names:
        began = time.monotonic()
        tally = fuzz([name], range(start, start + each))
        cells = (tally.outcomes[name, kind] for kind in ("read", "refused", "findings"))
        print(f"| {name} | {each} | {' | '.join(map(str, cells))} | {time.monotonic() - began:.0f} |", flush=True)
        for (_, seed), finding in tally.findings.items():
            print(f"  seed {seed}: {finding}", file=sys.stderr, flush=True)
        findings += len(tally.findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

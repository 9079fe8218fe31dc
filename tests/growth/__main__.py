"""Train, save, load and predict thousands of times in one process, and say what it holds as time goes by.

python -m tests.growth --count 10000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import nnx
from tests.growth.measures import Held, grown_between, held
from tests.growth.runs import run


def main() -> int:
    """Run and print a table; return 1 if something has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=10_000, help="fits and saves, at least 10")
    parser.add_argument(
        "--traced", action="store_true", help="trace what Python allocates, at a third of the speed"
    )
    given = parser.parse_args()
    nnx.set_num_threads(1)
    if given.traced:
        tracemalloc.start()
    print("| runs | seconds | resident MiB | traced MiB | objects | files | threads |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    began, marks = time.monotonic(), list[Held]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.count):
            run(number, Path(folder))
            if (number + 1) % max(given.count // 10, 1) == 0:
                marks.append(held())
                print(_row(number + 1, time.monotonic() - began, marks[-1]), flush=True)
                if len(marks) == 5 and given.traced:
                    middle = tracemalloc.take_snapshot()
    if given.traced:
        for line in tracemalloc.take_snapshot().compare_to(middle, "lineno")[:10]:
            print(line, file=sys.stderr)
    grown = grown_between(marks[len(marks) // 2 - 1], marks[-1])
    print("\n".join(grown), file=sys.stderr)
    return 1 if grown else 0


def _row(count: int, seconds: float, now: Held) -> str:
    mebi = 1 << 20
    cells = count, f"{seconds:.0f}", f"{now.resident / mebi:.1f}", f"{now.traced / mebi:.2f}" if now.traced else ""
    return f"| {' | '.join(map(str, (*cells, now.objects, now.files, now.threads)))} |"


if __name__ == "__main__":
    sys.exit(main())

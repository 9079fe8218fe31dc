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
from tests.growth.measures import Held, held
from tests.growth.runs import run


def main() -> int:
    """Run and print a table; return 1 if something has grown."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=10_000, help="fits and saves")
    parser.add_argument("--sources", action="store_true", help="say too which lines hold what has been added")
    given = parser.parse_args()
    tracemalloc.start()
    nnx.set_num_threads(1)
    print("| runs | seconds | resident MiB | traced MiB | objects | files | threads |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    began, marks, first = time.monotonic(), [], None
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.count):
            run(number, Path(folder))
            if (number + 1) % (given.count // 10) == 0:
                marks.append(held())
                print(_row(number + 1, time.monotonic() - began, marks[-1]), flush=True)
                if given.sources and first is None:
                    first = tracemalloc.take_snapshot()
    if first is not None:
        for line in tracemalloc.take_snapshot().compare_to(first, "lineno")[:15]:
            print(line)
    return 0


def _row(count: int, seconds: float, now: Held) -> str:
    mebi = 1 << 20
    cells = count, f"{seconds:.0f}", f"{now.resident / mebi:.1f}", f"{now.traced / mebi:.2f}"
    return f"| {' | '.join(map(str, (*cells, now.objects, now.files, now.threads)))} |"


if __name__ == "__main__":
    sys.exit(main())

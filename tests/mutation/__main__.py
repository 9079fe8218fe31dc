"""Make small faults in a module of nnx, one at a time, and say which ones its tests do not notice.

python -m tests.mutation nnx/random.py                    all faults
python -m tests.mutation nnx/random.py --share 0.2        a fifth of them, drawn from --seed
python -m tests.mutation nnx/random.py --only 17 30       two of them
python -m tests.mutation nnx/random.py --only 17 --show   with what pytest says

Needs mutmut 3.8 (python -m pip install 'mutmut>=3.8,<3.9') and a system that can fork.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

from tests.mutation.faults import Fault, faults
from tests.mutation.processes import KILLED, SURVIVED, TOO_LONG, outcomes, preloaded, run_tests
from tests.mutation.subjects import TESTS


def main() -> int:
    """Run what was asked for; return 1 if the tests fail without a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("module", choices=list(TESTS), metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--share", type=float, default=1.0, help="of the faults, from 0 to 1")
    parser.add_argument("--seed", type=int, default=0, help="which ones --share draws")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of faults")
    parser.add_argument("--show", action="store_true", help="run the first fault in this process and print")
    parser.add_argument("--processes", type=int, default=2, help="at a time")
    given = parser.parse_args()
    module = Path(given.module)
    every = faults(module)
    chosen = [every[number] for number in given.only] if given.only else _drawn(every, given.share, given.seed)
    tests = [f"tests/{name}" for name in TESTS[given.module]]
    with preloaded():
        if given.show:
            print(chosen[0].change, flush=True)
            return run_tests(module, chosen[0].code, tests, Path("/dev/stdout"))
        return _all(module, chosen, tests, given.processes)


def _drawn(every: list[Fault], share: float, seed: int) -> list[Fault]:
    count = round(share * len(every))
    return sorted(random.Random(seed).sample(every, count), key=lambda fault: fault.number)


def _all(module: Path, chosen: list[Fault], tests: list[str], processes: int) -> int:
    began, right = time.monotonic(), Fault(-1, module.read_text(), "no fault")
    ((_, outcome, usual),) = outcomes(module, [right], tests, seconds=120, processes=1)
    if outcome != SURVIVED:
        print(f"{module}: the tests fail without a fault; see python -m pytest --backend numpy {' '.join(tests)}")
        return 1
    tally: Counter[str] = Counter()
    for fault, outcome, _ in outcomes(module, chosen, tests, 5 + 3 * int(usual), processes):
        tally[outcome] += 1
        if outcome != KILLED:
            print(f"{fault.number}: {outcome}, {fault.change}", flush=True)
    print("| module | faults | noticed | of these too long | not noticed | share noticed | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    noticed = tally[KILLED] + tally[TOO_LONG]
    cells = (module, len(chosen), noticed, tally[TOO_LONG], tally[SURVIVED])
    seconds = time.monotonic() - began
    print(f"| {' | '.join(map(str, cells))} | {noticed / max(len(chosen), 1):.1%} | {seconds:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill training at random moments, go on with it, and say where it did not end as if nothing had happened.

python -m tests.kills --count 200          so many kills over all runs
python -m tests.kills --run lstm --start 17 --count 5      some of one kind, from a seed on
"""

from __future__ import annotations

import argparse
import os
import sys
import time

KINDS = ("dense", "lstm", "cnn", "command")
ONE_COMMAND_OF = 20
"""Kills for each one through the command line, whose processes take seconds to start."""


def main() -> int:
    """Run what was asked for; return 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=200, help="kills in all")
    parser.add_argument("--start", type=int, default=0, help="the first seed of each kind")
    parser.add_argument("--run", choices=KINDS, help="only this kind")
    given = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before it is loaded: children are forked, threads are not
    return _report(shares(given.count) if given.run is None else {given.run: given.count}, given.start)


def shares(count: int) -> dict[str, int]:
    """Return how many kills of each kind make so many."""
    networks, commands = KINDS[:-1], count // ONE_COMMAND_OF
    each, rest = divmod(count - commands, len(networks))
    return {name: each + (place < rest) for place, name in enumerate(networks)} | {"command": commands}


def _report(counts: dict[str, int], start: int) -> int:
    from tests.kills.ledger import Ledger

    found = 0
    print("| run | runs | kills | in a save | left a part | before the first file | findings | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind, count in ((kind, count) for kind, count in counts.items() if count):
        ledger, began = Ledger(), time.monotonic()
        runs = _kill(kind, start, count, ledger)
        counted = (ledger.counts[name] for name in ("kills", "writing", "part", "early"))
        cells = (kind, runs, *counted, len(ledger.findings), f"{time.monotonic() - began:.0f}")
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        for finding in ledger.findings:
            print(f"  {finding}", file=sys.stderr, flush=True)
        found += len(ledger.findings)
    return 1 if found else 0


def _kill(kind: str, start: int, count: int, ledger: object) -> int:
    if kind == "command":
        from tests.kills.commands import kill_commands

        return kill_commands(start, count, ledger)
    from tests.kills.killing import kill_runs, prepare

    prepare(kind)
    return kill_runs(kind, start, count, ledger)


if __name__ == "__main__":
    sys.exit(main())

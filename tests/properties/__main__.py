"""Try every law of every layer on many examples, and say which ones do not hold.

python -m tests.properties --count 1000        so many examples of every law of every layer, on numba and numpy
python -m tests.properties --layer LSTM --seed 7 --backend numba
"""

from __future__ import annotations

import argparse
import sys
import time

from nnx import registry
from tests.properties.engines import ENGINES
from tests.properties.laws import ALL, examine
from tests.properties.table import LAWS


def main() -> int:
    """Run what was asked for; return 1 if a law did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=200, help="examples of each law of each layer")
    parser.add_argument("--seed", type=int, default=0, help="what the examples are drawn from")
    parser.add_argument("--layer", choices=ALL, action="append", help="only this one; may be repeated")
    parser.add_argument("--backend", action="append", help="may be repeated (default: numba, numpy)")
    given = parser.parse_args()
    broken = 0
    print("| backend | layer | laws | examples | broken | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for backend in given.backend or ENGINES:
        for layer in given.layer or ALL:
            broken += _layer(backend, layer, given.count, given.seed)
    return 1 if broken else 0


def _layer(backend: str, layer: str, count: int, seed: int) -> int:
    """Try all laws of one layer, and print a row."""
    engine, began, broken = registry.get(backend), time.monotonic(), []
    laws = [law for law in LAWS if layer in law.layers]
    for law in laws:
        try:
            examine(law, layer, engine, count, seed)
        except Exception as error:  # whatever a layer raises breaks the law
            broken.append(f"{law.name}: {type(error).__name__}: {error}")
    seconds = time.monotonic() - began
    row = backend, layer, len(laws), count * len(laws), len(broken), f"{seconds:.0f}"
    print("| " + " | ".join(map(str, row)) + " |", flush=True)
    for finding in broken:
        print(f"  {finding}", file=sys.stderr, flush=True)
    return len(broken)


if __name__ == "__main__":
    sys.exit(main())

"""Training on several processes: measured on this machine, and modelled from what its parts cost.

    python -m benchmarks.distributed            # 2 ranks; writes the tables of docs/scaling.md
    python -m benchmarks.distributed --ranks 4 --latency 2e-6 --bandwidth 12.5e9

The model stands in docs/scaling.md. The programs of `benchmarks.ranks` run under mpiexec, each rank with one
thread: sums alone, of vectors of several sizes; training apart; and training together, which the first two predict.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ranks import NETWORKS, Network
from nnx.machine import cores, processor

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scaling.md"
ROUNDS = 5
"""In which everything is measured once."""
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def measured(program: str, ranks: int) -> dict[str, float]:
    """Run a program on so many ranks and return what rank 0 prints.

    Raises:
        RuntimeError: there is no mpiexec, or the program failed.
    """
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        raise RuntimeError("benchmarks.distributed needs mpiexec: python -m pip install mpi4py mpich")
    dropped = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    threads = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "benchmarks.ranks", program]
    done = subprocess.run(command, cwd=ROOT, env={**kept, **threads}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} on {ranks} ranks failed: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class Links:
    """What a sum over R ranks costs: seconds = 2 (R - 1) latency + 2 (R - 1) / R bytes / bandwidth."""

    latency: float
    bandwidth: float

    @staticmethod
    def of(sums: Mapping[str, float], ranks: int) -> Links:
        """Return what fits measured sums: the latency the smallest, the bandwidth the largest vector."""
        sizes = sorted(map(int, sums))
        latency = sums[str(sizes[0])] / (2 * (ranks - 1))
        beyond = sums[str(sizes[-1])] - sums[str(sizes[0])]
        return Links(latency, 2 * (ranks - 1) / ranks * (sizes[-1] - sizes[0]) / beyond)

    def seconds(self, size: float, ranks: int) -> float:
        """Return what a sum of so many bytes takes."""
        return 2 * (ranks - 1) * self.latency + 2 * (ranks - 1) / ranks * size / self.bandwidth


def gradient_bytes(network: Network) -> int:
    """Return the size of the flat gradient."""
    return int(network.model().store.gradients.shape[0]) * 4


@dataclass(frozen=True)
class Measured:
    """All that was measured, seconds of a step by network, or of a sum by its bytes."""

    ranks: int
    alone: Mapping[str, float]
    apart: Mapping[str, float]
    together: Mapping[str, float]
    sums: Mapping[str, float]

    @property
    def links(self) -> Links:
        """What the sums tell of latency and bandwidth."""
        return Links.of(self.sums, self.ranks)

    def predicted(self, name: str) -> float:
        """Return what a step on all ranks should take, from its parts alone."""
        return self.apart[name] + self.links.seconds(gradient_bytes(NETWORKS[name]), self.ranks)


def in_turns(ranks: int) -> Measured:
    """Measure everything in several rounds, and return the medians: a machine has better moments and worse."""
    programs = {"plain": 1, "apart": ranks, "together": ranks, "sums": ranks}
    rounds = [{program: measured(program, count) for program, count in programs.items()} for _ in range(ROUNDS)]
    medians = (
        {key: statistics.median(one[program][key] for one in rounds) for key in rounds[0][program]}
        for program in programs
    )
    return Measured(ranks, *medians)


def check_table(found: Measured) -> Iterator[str]:
    """Yield a table of predictions beside what was measured."""
    yield "| network | batch | gradient | one process | share | sum | step, predicted | measured | off by |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, network in NETWORKS.items():
        size, whole, predicted = gradient_bytes(network), found.together[name], found.predicted(name)
        times = (found.alone[name], found.apart[name], predicted - found.apart[name], predicted, whole)
        cells = (name, f"{network.batch}", f"{size / 1024:.0f} KiB", *map(_milliseconds, times))
        yield f"| {' | '.join(cells)} | {predicted / whole - 1:+.0%} |"


def forecast_table(found: Measured, links: Links) -> Iterator[str]:
    """Yield a table of how many times as fast as one rank many ranks would be."""
    counts = (2, 4, 8, 16, 64, 256, 512)
    yield f"| network | rows per rank | {' | '.join(f'{count} ranks' for count in counts)} |"
    yield f"| --- | --- |{' ---: |' * len(counts)}"
    for name, network in NETWORKS.items():
        size, one = gradient_bytes(network), found.alone[name]
        part = network.batch / found.ranks
        slope = max((one - found.apart[name]) / (network.batch - part), 0.0)
        fixed = max(found.apart[name] - slope * part, 0.0)
        shared = (one / (fixed + slope * network.batch / n + links.seconds(size, n)) for n in counts)
        grown = (n * one / (one + links.seconds(size, n)) for n in counts)
        for kind, speeds in ((f"{network.batch} / ranks", shared), (f"{network.batch}", grown)):
            yield f"| {name} | {kind} | {' | '.join(f'{speed:.3g}' for speed in speeds)} |"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def report(found: Measured, links: Links) -> str:
    """Return what stands between the marks of the page."""
    worst = max(abs(found.predicted(name) / found.together[name] - 1) for name in NETWORKS)
    here, load = found.links, os.getloadavg()[0]
    busy = (
        ": other work kept the cores busy, so that these figures want repeating" if load > 2 * found.ranks else ""
    )
    verdict = "within" if worst <= 0.2 else "not within"
    lines = [
        f"{processor()}, {cores()} cores, {found.ranks} ranks of one thread each, backend numba, load "
        f"average {load:.1f} afterwards{busy}. Sums of this machine: latency {here.latency * 1e6:.3g} us, "
        f"bandwidth {here.bandwidth / 1e9:.3g} GB/s.",
        "",
        *check_table(found),
        "",
        f"The worst prediction is off by {worst:.0%}: {verdict} 20 %.",
        "",
        f"How many times as fast as one rank, with links of {links.latency * 1e6:.3g} us and "
        f"{links.bandwidth / 1e9:.3g} GB/s between all ranks:",
        "",
        *forecast_table(found, links),
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the page, or run one of the programs as a rank."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed", description=__doc__.split("\n")[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--latency", type=float, default=2e-6, help="seconds, of the network that is forecast")
    parser.add_argument("--bandwidth", type=float, default=12.5e9, help="bytes per second, of that network")
    given = parser.parse_args(arguments)
    text = report(in_turns(given.ranks), Links(given.latency, given.bandwidth))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

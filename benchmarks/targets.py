"""What nnx is meant to reach: ratios to the best peer, and shares of the machine's limits."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.kernels.cases import CONTEST


@dataclass(frozen=True)
class Target:
    """At least `ratio` times the speed of the best peer, and at least `share` of the limit; None for no demand."""

    ratio: float | None = None
    share: float | None = None

    def met(self, ratio: float | None, share: float | None) -> bool | None:
        """Tell whether the figures reach it; None where a figure that it asks for is missing."""
        demands = [(self.ratio, ratio), (self.share, share)]
        asked = [(wanted, found) for wanted, found in demands if wanted is not None]
        if not asked or any(found is None for _, found in asked):
            return None
        return all(found is not None and found >= wanted for wanted, found in asked)


_WORKLOADS = {
    "W1": (1.5, 1.0),
    "W2": (2.0, 0.9),
    "W2-batch-norm": (2.0, 0.9),
    "W2-l2": (2.0, 0.9),
    "W3": (1.2, 0.6),
    "W4": (4.0, 0.15),
    "W5": (1.3, None),
    "W6": (1.2, None),
    "W7": (1.4, None),
}
"""Workload -> ratio for numba, ratio for numpy."""

_SHARES = {
    "adam 10000": (0.9, 0.4),
    "adam 1000000": (0.9, 0.4),
    "adam 20000000": (0.9, 0.4),
    "batch_norm 128x512": (0.8, 0.3),
    "batch_norm 4096x1024": (0.8, 0.3),
    "softmax_cross_entropy 4096x1000": (0.8, 0.3),
    "relu 1000000": (0.8, 0.3),
    "sigmoid 1000000": (0.8, 0.3),
    "tanh 1000000": (0.8, 0.3),
    "matmul 256x256x256": (0.85, None),
    "matmul 1024x1024x1024": (0.85, None),
    "matmul 2048x2048x2048": (0.85, None),
    "matmul 128x784x512": (0.85, None),
}
"""Kernel -> share of the limit for numba, for numpy."""

_RATIOS_OF_NUMPY = {"dropout 1000x1000": 0.3}


def _targets() -> dict[tuple[str, str], Target]:
    found = {}
    for task, (numba, numpy) in _WORKLOADS.items():
        found["nnx:numba", task], found["nnx:numpy", task] = Target(numba), Target(numpy)
    for case in CONTEST:
        compiled, plain = _SHARES.get(case.name, (None, None))
        found["nnx:numba", case.name] = Target(1.0, compiled)  # each kernel alone is no slower than any peer's
        found["nnx:numpy", case.name] = Target(_RATIOS_OF_NUMPY.get(case.name), plain)
    return found


TARGETS = _targets()
"""(contender, task) -> target."""

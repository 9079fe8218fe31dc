"""What a training step is made of, in kernels: the least time it can take is the sum of theirs."""

from __future__ import annotations

from itertools import pairwise

from benchmarks.kernels.work import WORK, Work
from benchmarks.networks import Workload


def works(workload: Workload) -> list[Work]:
    """Return the work of each kernel of one step."""
    rows, sizes = workload.batch, workload.sizes
    found = [] if workload.full_batch else [WORK["take_rows"](workload.examples, sizes[0], rows)]
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        found += [WORK["linear"](rows, inputs, outputs), _backward(rows, inputs, outputs, first=layer == 0)]
        if layer < len(sizes) - 2:
            found += [WORK["batch_norm"](rows, outputs)] if workload.batch_norm else []
            found += [WORK["dropout"](rows, outputs)] if workload.dropout else []
    parameters = sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes))
    return [*found, WORK[workload.optimizer](parameters)]


def _backward(rows: int, inputs: int, outputs: int, first: bool) -> Work:
    whole = WORK["linear_backward"](rows, inputs, outputs)
    if not first:
        return whole
    half = WORK["linear"](rows, inputs, outputs)  # nobody asks for the gradient of the data
    return Work(whole.flops / 2, half.bytes, half.footprint)

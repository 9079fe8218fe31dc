"""What a training step is made of, in kernels: the least time it can take is the sum of theirs."""

from __future__ import annotations

from functools import singledispatch
from itertools import pairwise

from benchmarks.kernels.work import WORK, Work
from benchmarks.networks import Convolutions, Perceptron, Sequences, Workload


@singledispatch
def works(workload: Workload) -> list[Work]:
    """Return the work of each kernel of one step."""
    raise NotImplementedError(f"no kernels for {type(workload).__name__}")


@works.register
def _(workload: Perceptron) -> list[Work]:
    rows, sizes = workload.batch, workload.sizes
    found = [] if workload.full_batch else [_gather(workload, sizes[0])]
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        found += [
            WORK["linear"](rows, inputs, outputs),
            _backward("linear", rows, inputs, outputs, first=layer == 0),
        ]
        if layer < len(sizes) - 2:
            found += [WORK["batch_norm"](rows, outputs)] if workload.batch_norm else []
            found += [WORK["dropout"](rows, outputs)] if workload.dropout else []
    parameters = sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes))
    return [*found, WORK[workload.optimizer](parameters)]


@works.register
def _(workload: Convolutions) -> list[Work]:
    rows, sides, channels = workload.batch, workload.sides, (workload.channels, *workload.filters)
    found, parameters = [_gather(workload, workload.side**2 * workload.channels)], 0
    for layer, (side, (inputs, outputs)) in enumerate(zip(sides, pairwise(channels), strict=False)):
        shape = rows, side, inputs, outputs
        found += [WORK["conv2d"](*shape), _backward("conv2d", *shape, first=layer == 0)]
        found.append(WORK["max_pool"](rows, side - 2, outputs))
        parameters += 9 * inputs * outputs + outputs
    last = workload.features, workload.classes
    found += [WORK["linear"](rows, *last), WORK["linear_backward"](rows, *last)]
    return [*found, WORK[workload.optimizer](parameters + (workload.features + 1) * workload.classes)]


@works.register
def _(workload: Sequences) -> list[Work]:
    rows, length, inputs, units = workload.batch, workload.length, workload.inputs, workload.hidden
    whole = WORK[workload.cell](rows, length, inputs, units)
    unwanted = 2.0 * rows * length * workload.gates * units * inputs  # nobody asks for the gradient of the data
    layer = whole._replace(flops=whole.flops - unwanted)
    biases = {"lstm": 1, "gru": 2}[workload.cell]
    parameters = workload.gates * units * (inputs + units + biases) + units + 1
    dense = [WORK["linear"](rows, units, 1), WORK["linear_backward"](rows, units, 1)]
    return [_gather(workload, length * inputs), layer, *dense, WORK[workload.optimizer](parameters)]


def _gather(workload: Workload, features: int) -> Work:
    return WORK["take_rows"](workload.examples, features, workload.batch)


def _backward(kernel: str, *shape: int, first: bool) -> Work:
    whole = WORK[f"{kernel}_backward"](*shape)
    if not first:
        return whole
    half = WORK[kernel](*shape)  # nobody asks for the gradient of the data
    return Work(whole.flops / 2, half.bytes, half.footprint)

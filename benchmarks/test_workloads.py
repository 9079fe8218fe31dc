"""Every workload on every backend, through `Sequential.fit`: python -m pytest benchmarks/test_workloads.py"""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from benchmarks.contenders.nnx_fit import Ours, device_of
from benchmarks.kernels.steps import works
from benchmarks.limits import Limits
from benchmarks.workloads import WORKLOADS


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload(
    benchmark: Any, backend_name: str, name: str, limits: dict[str, Limits], threads: int, quick: bool
) -> None:
    workload, began = WORKLOADS[name], time.perf_counter()
    trainer = Ours(backend_name, threads).trainer(workload, workload.data, shuffle=True)
    trainer.run(1)
    first = time.perf_counter() - began
    timings = []
    benchmark.pedantic(lambda: timings.append(trainer.run(workload.epochs)), rounds=2 if quick else 10)
    trainer.close()
    assert math.isfinite(timings[-1].loss)
    step = min(timing.seconds for timing in timings) / (workload.epochs * workload.steps)
    parts, machine = works(workload), limits[device_of(backend_name)]
    flops, moved = sum(part.flops for part in parts), sum(part.bytes for part in parts)
    benchmark.extra_info.update(
        backend=backend_name,
        threads=threads,
        workload=name,
        seconds_per_step=step,
        seconds_per_epoch=step * workload.steps,
        first_seconds=first,
        loss=timings[-1].loss,
        flops_per_second=flops / step,
        bytes_per_second=moved / step,
        intensity=flops / moved,
        fraction=sum(map(machine.fastest, parts)) / step,
    )

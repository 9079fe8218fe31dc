"""The CUDA sources compile for every GPU, and every kernel in them is used."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hostcuda import nvrtc

from nnx.interface import ELEMENTWISE, FUSED
from nnx_cupy import (
    activations,
    convolution,
    dropout,
    embedding,
    indexing,
    library,
    losses,
    normalization,
    pooling,
    products,
    recurrent,
    updates,
)
from nnx_cupy.kernels import OPTIONS, Group, source_text

MODULES = (
    *(activations, convolution, dropout, embedding, indexing, library),
    *(losses, normalization, pooling, products, recurrent, updates),
)
LOSSES = ("SigmoidCrossEntropy", "SquaredError", "AbsoluteError", "Huber")
PACKS = {"float": 4, "double": 2}
TEAMS = ("32", "256")
SOURCES = tuple(module.__name__.partition(".")[2] for module in MODULES)
BY_LANES = {
    *(convolution.FEW, convolution.FEW_BACKWARD, convolution.OUTPUT_GRADIENT),
    *(pooling.MAX_POOL, pooling.AVERAGE_POOL, dropout.CHANNEL_DROPOUT),
    *(normalization.BATCH_NORM, normalization.BATCH_NORM_INFER),
}
CELLS = ("SimpleRnn", "Lstm", "Gru")


def groups() -> list[Group]:
    return [value for module in MODULES for value in vars(module).values() if isinstance(value, Group)]


def variants(group: Group, c_type: str) -> list[str]:
    """All template arguments that the backend compiles a group for."""
    functions: Iterable[str] = {
        activations.ELEMENTWISE_KERNELS: [activations.functor(name) for name in ELEMENTWISE],
        library.BIAS: [activations.functor(name) for name in FUSED],
        library.SUMS: [f"{activations.functor(name)}, {lanes}" for name in FUSED for lanes in (1, PACKS[c_type])],
        products.PRODUCT: ("2", "4"),
        products.GRADIENTS: ("2", "4"),
        recurrent.WEIGHTS: ("2", "4"),
        recurrent.RUN_FORWARD: [f"{cell}, {together}" for cell in CELLS for together in (1, 4)],
        recurrent.RUN_BACKWARD: [f"{cell}, {together}" for cell in CELLS for together in (1, 4)],
        convolution.CONVOLVE: [f"{reach}, {lanes}" for reach in (2, 4) for lanes in (1, PACKS[c_type])],
        convolution.CONVOLVE_BACKWARD: [f"{reach}, {lanes}" for reach in (2, 4) for lanes in (1, PACKS[c_type])],
        normalization.SCALE_GRADIENTS: [
            f"{by}, {lanes}" for by in ("ByColumn", "ByRow") for lanes in (1, PACKS[c_type])
        ],
        losses.ELEMENTWISE_LOSS: LOSSES,
        losses.CROSS_ENTROPY: [f"{target}, {team}" for target in ("long long", c_type) for team in TEAMS],
        indexing.STORE_AT: ["float", "double"],
    }.get(group, ())
    if group in BY_LANES:
        functions = ("1", str(PACKS[c_type]))
    if group in {activations.SOFTMAX, activations.LOG_SOFTMAX, normalization.LAYER_NORM, indexing.ARGMAX}:
        functions = TEAMS
    plain = {dropout.RANDOM_BITS: "int", indexing.INCREMENT: "long long"}
    movers = indexing.TAKE_ROWS, indexing.LOAD_AT, indexing.JOIN, embedding.EMBEDDING
    plain |= dict.fromkeys(movers, {"float": "uint1", "double": "uint2"}[c_type])
    return [f"{c_type}, {function}" for function in functions] or [plain.get(group, c_type)]


def expressions(source: str, c_type: str) -> list[str]:
    chosen = dict.fromkeys(group for group in groups() if group.source == source)
    return [name for group in chosen for types in variants(group, c_type) for name in group.expressions(types)]


def test_every_kernel_of_the_sources_is_launched_by_some_method() -> None:
    written = {
        name
        for source in SOURCES
        for name in re.findall(r"__global__ void[^(]*(?:\(BLOCK, \w+\))? (\w+)\(", source_text(source))
    }
    assert written == {kernel for group in groups() for kernel in group.kernels}


@pytest.mark.parametrize("c_type", ["float", "double"])
@pytest.mark.parametrize("arch", nvrtc.ARCHITECTURES)
@pytest.mark.skipif(nvrtc.unavailable() is not None, reason=str(nvrtc.unavailable()))
def test_all_kernels_compile_to_code_that_keeps_all_values_in_registers(arch: str, c_type: str) -> None:
    for source in SOURCES:
        names = expressions(source, c_type)
        reports = nvrtc.compile_report(source_text(source), arch, OPTIONS, names)
        assert reports.keys() == set(names)
        elsewhere = (name for name, report in reports.items() if report.spill_stores or report.stack_bytes)
        assert next(elsewhere, None) is None

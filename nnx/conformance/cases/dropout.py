"""Cases of `nnx.interface.dropout`; `randomness.py` adds an oracle that is not the reference."""

from __future__ import annotations

import math

import numpy as np

from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late
from nnx.conformance.tolerance import elementwise

_SHAPES = ((0, 5), (3, 0), (1, 1), (1, 15), (2, 16), (3, 17), (33, 31), (31, 257), (1000, 513))
_IMAGES = (
    (0, 4, 5),
    (3, 0, 5),
    (3, 4, 0),
    (1, 1, 1),
    (1, 7, 15),
    (5, 49, 16),
    (3, 1, 17),
    (33, 6, 33),
    (2, 300, 257),
)
_KEYS = (
    *(
        (0, 0, 0),
        (7, 3, 1),
        (2**64 - 1, 2**64 - 1, 2**40 + 5),
        (2**63, 2**32 + 1, 2**31),
        (1, 2**63 - 1, 2**32),
    ),
    (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B, 2**62),
)


def _random_bits(_: Draw, shape: tuple[int, int], seed: int, stream: int, step: int) -> Arguments:
    return {
        "step": Input(np.asarray(step), "int64"),
        "out": Output(shape, dtype="int32"),
        "seed": seed,
        "stream": stream,
    }


def _dropout(
    draw: Draw, shape: tuple[int, ...], threshold: int, *, special: bool = False, sample: int = 0
) -> Arguments:
    x = draw.normal(*shape)
    if special:
        flat = x.reshape(-1)
        flat[::3], flat[1::7], flat[2::11] = math.nan, math.inf, -math.inf
    return {
        "x": Input(x),
        "step": Input(np.asarray(2**33 + 3), "int64"),
        "y": Output(shape, elementwise()),
        "seed": 2**63 + 11,
        "stream": 5,
        "threshold": threshold,
        "sample": sample,
    }


CASES: tuple[Case, ...] = (
    *(
        Case(
            "random_bits",
            f"{shape} seed {seed} stream {stream} step {step}",
            late(_random_bits, shape, seed, stream, step),
            dtypes=("float32",),
        )
        for place, shape in enumerate(_SHAPES)
        for seed, stream, step in (_KEYS if shape == (33, 31) else _KEYS[place % 5 : place % 5 + 1])
    ),
    *(
        Case(
            "dropout",
            f"{shape} threshold {threshold}",
            late(_dropout, shape, threshold),
            views=shape[0] < 1000,
        )
        for shape in _SHAPES
        for threshold in ((1, 32768, 52429, 65535, 65536) if shape == (33, 31) else (45875,))
    ),
    *(
        Case(
            "dropout",
            f"(33, 31) NaN and infinities, threshold {t}",
            late(_dropout, (33, 31), t, special=True),
        )
        for t in (1, 30000, 65536)
    ),
    *(
        Case(kernel, f"{shape} of the rows from {sample} on", late(_dropout, shape, 30000, sample=sample))
        for kernel, shapes in (("dropout", ((33, 31), (1000, 50))), ("channel_dropout", ((33, 6, 33), (5, 49, 16))))
        for shape in shapes
        for sample in (1, 37, 2**20 + 3)
    ),
    *(
        Case("channel_dropout", f"{shape} threshold {threshold}", late(_dropout, shape, threshold))
        for shape in _IMAGES
        for threshold in ((1, 32768, 52429, 65535, 65536) if shape == (33, 6, 33) else (45875,))
    ),
    *(
        Case(
            "channel_dropout",
            f"(9, 7, 31) NaN and infinities, threshold {t}",
            late(_dropout, (9, 7, 31), t, special=True),
        )
        for t in (1, 30000, 65536)
    ),
)

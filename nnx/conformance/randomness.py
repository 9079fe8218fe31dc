"""Checks of random bits and masks against `numpy.random.Philox`, which owes nothing to the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx.conformance.calls import call
from nnx.conformance.case import Output
from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.tolerance import Values
from nnx.interface import LANES, Backend

_PLACES = (  # rows, features, seed, stream, step
    *(
        (1, 1, 0, 0, 0),
        (5, 16, 1, 2, 3),
        (4, 17, 2**64 - 1, 2**64 - 1, 2**62),
        (33, 100, 2**63, 7, 2**32 + 1),
    ),
    (3, 260, 12345678901234567890, 9876543210987654321, 2**31),
)


def randomness_checks() -> Iterator[Check]:
    """Yield the checks of random bits and of dropout."""
    yield Check("random_bits are those of numpy.random.Philox", "random_bits", _bits_follow_philox)
    yield Check("random_bits of a row do not depend on the number of rows", "random_bits", _rows_stand_alone)
    yield Check("dropout keeps what random_bits tell", "dropout", _masks_follow_bits)
    yield Check("channel_dropout keeps what random_bits tell", "channel_dropout", _channels_follow_bits)
    yield Check("dropout of a row does not depend on the number of rows", "dropout", _dropout_rows_stand_alone)


def philox_bits(rows: int, features: int, seed: int, stream: int, step: int) -> Values:
    """Return the bits of `random_bits`, from NumPy's generator."""
    out = np.empty((rows, features), np.int64)
    for row in range(rows):
        for block in range(-(-features // LANES)):
            lanes = _block(seed, stream, (block, row, step, 0))
            out[row, block * LANES : (block + 1) * LANES] = lanes[: features - block * LANES]
    return out


def _block(seed: int, stream: int, counter: tuple[int, int, int, int]) -> Values:
    """One block as sixteen lanes. NumPy's generator adds one to its counter before each block, the first too."""
    position = sum(word << (64 * place) for place, word in enumerate(counter))
    before = (position - 1) % 2**256
    words = [before >> (64 * place) & (2**64 - 1) for place in range(4)]
    generator = np.random.Philox(counter=np.asarray(words, np.uint64), key=np.asarray([seed, stream], np.uint64))
    return generator.random_raw(4).astype("<u8").view("<u2").astype(np.int64)


def _bits(backend: Backend, rows: int, features: int, seed: int, stream: int, step: int) -> Values:
    out = Output((rows, features), dtype="int32")
    return call(backend, "random_bits", step=np.asarray(step), out=out, seed=seed, stream=stream)["out"]


def _bits_follow_philox(backend: Backend) -> None:
    for place in _PLACES:
        expected = philox_bits(*place)
        wrong = np.argwhere(_bits(backend, *place) != expected)
        if len(wrong):
            names = dict(zip(("rows", "features", "seed", "stream", "step"), place, strict=True))
            raise NonconformanceError(f"random_bits {names}: other bits than Philox first at {wrong[0].tolist()}")


def _rows_stand_alone(backend: Backend) -> None:
    large = _bits(backend, 300, 40, 5, 6, 7)
    for rows in (1, 7, 64, 257):
        if not np.array_equal(_bits(backend, rows, 40, 5, 6, 7), large[:rows]):
            raise NonconformanceError(f"random_bits: {rows} rows differ from the first {rows} of 300")


def _dropout(backend: Backend, dtype: str, x: Values, threshold: int, kernel: str = "dropout") -> Values:
    return call(
        backend,
        kernel,
        dtype,
        x=x,
        step=np.asarray(4),
        y=Output(x.shape),
        seed=5,
        stream=6,
        threshold=threshold,
    )["y"]


def _masks_follow_bits(backend: Backend) -> None:
    bits = philox_bits(33, 50, 5, 6, 4)
    for dtype in ("float32", "float64"):
        for threshold in (1, int(bits[3, 3]), int(bits[3, 3]) + 1, 32768, 65535, 65536):
            kept = _dropout(backend, dtype, np.ones(bits.shape), threshold) != 0
            if not np.array_equal(kept, bits < threshold):
                raise NonconformanceError(f"dropout {dtype} threshold {threshold}: keeps other elements")


def _channels_follow_bits(backend: Backend) -> None:
    """The bits are those of an array (N, C): neither the places nor their number matter."""
    bits = philox_bits(33, 50, 5, 6, 4)
    for dtype in ("float32", "float64"):
        for places in (1, 6, 49):
            ones = np.ones((33, places, 50))
            for threshold in (1, int(bits[3, 3]), int(bits[3, 3]) + 1, 32768, 65536):
                kept = _dropout(backend, dtype, ones, threshold, "channel_dropout") != 0
                if not np.array_equal(kept, np.broadcast_to((bits < threshold)[:, None], ones.shape)):
                    raise NonconformanceError(
                        f"channel_dropout {dtype} threshold {threshold}, {places} places: keeps other channels"
                    )


def _dropout_rows_stand_alone(backend: Backend) -> None:
    x = np.linspace(1.0, 2.0, 300 * 40).reshape(300, 40)
    large = _dropout(backend, "float32", x, 40000)
    for rows in (1, 7, 64, 257):
        if not np.array_equal(_dropout(backend, "float32", x[:rows], 40000), large[:rows]):
            raise NonconformanceError(f"dropout: {rows} rows differ from the first {rows} of 300")

"""Random bits are those that the authors of Philox published, on every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import nnx
from nnx import Backend, random
from nnx.conformance.randomness import philox_bits
from nnx.reference.dropout import _philox

ONES = 2**64 - 1
PUBLISHED = {
    "zeros": (
        (0, 0, 0, 0),
        (0, 0),
        (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
    ),
    "ones": (
        (ONES, ONES, ONES, ONES),
        (ONES, ONES),
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
    "digits of pi": (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
    ),
}
"""Counter, key and block of Philox4x64-10: kat_vectors of Random123, the authors' own implementation."""

Words = tuple[int, ...]
words = some.integers(0, ONES)


@pytest.mark.parametrize(("counter", "key", "block"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_reference_gives_the_published_blocks(counter: Words, key: Words, block: Words) -> None:
    halves = [tuple(np.asarray([part], np.int64) for part in (word >> 32, word & 0xFFFFFFFF)) for word in counter]
    found = _philox(tuple(halves), *key)  # type: ignore[arg-type]  # four words are always four
    assert tuple((int(high[0]) << 32) | int(low[0]) for high, low in found) == block


@pytest.mark.parametrize(("counter", "key", "block"), PUBLISHED.values(), ids=PUBLISHED)
def test_the_oracle_of_all_other_tests_gives_the_published_blocks(counter: Words, key: Words, block: Words) -> None:
    """`numpy.random.Philox`, which adds one to its counter before every block."""
    before = (sum(word << 64 * place for place, word in enumerate(counter)) - 1) % 2**256
    generator = np.random.Philox(counter=before, key=key[0] + (key[1] << 64))
    assert tuple(map(int, generator.random_raw(4))) == block


def bits(backend: Backend, rows: int, features: int, seed: int, stream: int, step: int) -> Any:
    out = backend.empty((rows, features), "int32")
    backend.random_bits(backend.asarray(np.asarray(step), "int64"), out, seed, stream)
    return backend.to_numpy(out)


def test_every_engine_gives_the_published_block_of_zeros(backend: Backend) -> None:
    """The only one of the three whose counter the kernel can have: its last word is 0."""
    lanes = [word >> shift & 0xFFFF for word in PUBLISHED["zeros"][2] for shift in (0, 16, 32, 48)]
    assert bits(backend, 1, 16, 0, 0, 0)[0].tolist() == lanes


@pytest.mark.parametrize(("_counter", "key", "_block"), PUBLISHED.values(), ids=PUBLISHED)
def test_every_engine_gives_the_blocks_of_the_published_keys(
    backend: Backend, _counter: Words, key: Words, _block: Words
) -> None:
    for step in (0, 0x243F6A8885A308D3, 2**63 - 1):
        np.testing.assert_array_equal(bits(backend, 3, 33, *key, step), philox_bits(3, 33, *key, step))


def test_every_engine_gives_philox_for_any_seed_stream_step_and_shape(engine: Backend) -> None:
    @settings(
        max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(some.integers(0, 9), some.integers(0, 70), words, words, some.integers(0, 2**63 - 1))
    def agrees(rows: int, features: int, seed: int, stream: int, step: int) -> None:
        place = rows, features, seed, stream, step
        np.testing.assert_array_equal(bits(engine, *place), philox_bits(*place))

    agrees()


def test_random_numbers_of_the_host_come_of_the_published_generator() -> None:
    """The key (seed, stream) of raw_words: its first block has the counter 1, as NumPy's generator has."""
    assert random.raw_words(4, 0, 0, 0).tolist() == np.random.Philox(key=0).random_raw(4).tolist()
    expected = PUBLISHED["zeros"][2]
    generator = np.random.Philox(key=0, counter=2**256 - 1)
    assert tuple(map(int, generator.random_raw(4))) == expected
    assert nnx.random.raw_words(4, 0, 0, 1).tolist() != random.raw_words(4, 0, 0, 0).tolist()

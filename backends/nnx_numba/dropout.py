"""Philox4x64-10 in vectors: sixteen blocks of sixteen random lanes at a time, across rows where these are short."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from nnx.interface import LANES, Array, Backend
from nnx_numba.hostarrays import GRAIN, plain
from nnx_numba.instructions import stack
from nnx_numba.internals import types
from nnx_numba.jit import intrinsic
from nnx_numba.kernel import kernel
from nnx_numba.lanes import WORD, Value, call, fill
from nnx_numba.vectors import Lanes, Row, row_of

_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_WEYL = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_ROUNDS = 10
_BLOCKS = 16  # of one unit of work
_WORDS = 4 * _BLOCKS
_VECTOR = ir.VectorType(WORD, _BLOCKS)
_INT = ir.IntType(32)


class _Words:
    """Arithmetic on vectors of unsigned 64-bit integers."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def constant(self, number: int) -> Any:
        return fill(self.builder, _VECTOR, WORD(number))

    def product(self, a: Any, multiplier: int) -> tuple[Any, Any]:
        """Return the high and the low word of a product, made of products of halves: there are no longer ones."""
        builder, half, low_half = self.builder, self.constant(32), self.constant(0xFFFFFFFF)
        a0, a1 = builder.and_(a, low_half), builder.lshr(a, half)
        b0, b1 = self.constant(multiplier & 0xFFFFFFFF), self.constant(multiplier >> 32)
        p00, p01, p10, p11 = (builder.mul(left, right) for left in (a0, a1) for right in (b0, b1))
        middle = builder.add(builder.add(builder.lshr(p00, half), builder.and_(p01, low_half)), p10)
        high = builder.add(builder.add(p11, builder.lshr(p01, half)), builder.lshr(middle, half))
        return high, builder.or_(builder.shl(middle, half), builder.and_(p00, low_half))

    def philox(self, counter: list[Any], key: list[Any]) -> list[Any]:
        """Return the four words of each block."""
        builder = self.builder
        for number in range(_ROUNDS):
            k0, k1 = (builder.add(word, WORD(number * step % 2**64)) for word, step in zip(key, _WEYL, strict=True))
            high0, low0 = self.product(counter[0], _MULTIPLIERS[0])
            high1, low1 = self.product(counter[2], _MULTIPLIERS[1])
            first = builder.xor(builder.xor(high1, counter[1]), fill(builder, _VECTOR, k0))
            third = builder.xor(builder.xor(high0, counter[3]), fill(builder, _VECTOR, k1))
            counter = [first, low1, third, low0]
        return counter

    def places(self, row: Any, block: Any, blocks: Any) -> tuple[Any, Any]:
        """Return block number and row of consecutive blocks, `blocks` to a row."""
        builder, per_row = self.builder, fill(self.builder, _VECTOR, blocks)
        numbers = builder.add(fill(builder, _VECTOR, block), ir.Constant(_VECTOR, list(range(_BLOCKS))))
        reals = ir.VectorType(ir.DoubleType(), _BLOCKS)  # exact, and quicker than to divide integers
        quotient = builder.fdiv(builder.uitofp(numbers, reals), builder.uitofp(per_row, reals))
        further = builder.fptoui(quotient, _VECTOR)
        return (
            builder.sub(numbers, builder.mul(further, per_row)),
            builder.add(fill(builder, _VECTOR, row), further),
        )

    def interleaved(self, words: list[Any]) -> Any:
        """Return the words of the first block, then those of the second, and so on."""
        builder, pair = self.builder, ir.VectorType(_INT, 2 * _BLOCKS)
        halves = [
            builder.shuffle_vector(*words[n : n + 2], ir.Constant(pair, list(range(2 * _BLOCKS)))) for n in (0, 2)
        ]
        order = [word * _BLOCKS + block for block in range(_BLOCKS) for word in range(4)]
        return builder.shuffle_vector(*halves, ir.Constant(ir.VectorType(_INT, _WORDS), order))


@intrinsic
def draw(_context: Any, words: Any, row: Any, block: Any, blocks: Any, step: Any, seed: Any, stream: Any) -> Any:
    """Write the words of sixteen consecutive blocks, `blocks` to a row, beginning with a block of a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, place, first, per_row, count, *key = arguments
        integers = _Words(builder)
        numbers, rows = integers.places(place, first, per_row)
        counter = [numbers, rows, fill(builder, _VECTOR, count), integers.constant(0)]
        drawn = integers.interleaved(integers.philox(counter, key))
        target = row_of(context, builder, signature.args[0], array).data
        builder.store(drawn, builder.bitcast(target, drawn.type.as_pointer()), align=64)
        return context.get_dummy_value()

    return types.none(words, row, block, blocks, step, seed, stream), generate


class _Block:
    """The elements of a row that one block of random lanes is for."""

    def __init__(self, builder: Any, row: Row, block: Any, words: Row, number: Any) -> None:
        self.start = builder.mul(block, WORD(LANES))
        self.lanes = Lanes(builder, LANES, builder.sub(row.size, self.start))
        lanes, integers = ir.VectorType(ir.IntType(16), LANES), ir.VectorType(_INT, LANES)
        place = words.at(builder.mul(number, WORD(4)))
        drawn = builder.load(builder.bitcast(place, lanes.as_pointer()), align=8, typ=lanes)
        self.bits = builder.zext(drawn, integers)


@intrinsic
def keep(
    _context: Any, words: Any, number: Any, x: Any, y: Any, row: Any, block: Any, scale: Any, threshold: Any
) -> Any:
    """Write a block of y: x scaled where the random lanes of this number are below the threshold, else 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (memory, index, source, target, i, j, factor, limit) = signature.args, arguments
        values, out = row_of(context, builder, kinds[2], source, i), row_of(context, builder, kinds[3], target, i)
        part = _Block(builder, values, j, row_of(context, builder, kinds[0], memory), index)
        scaled = part.lanes.load(values.at(part.start), values.element) * part.lanes.filled(factor)
        kept = builder.icmp_unsigned("<", part.bits, part.lanes.filled(limit).llvm)
        result = Value(builder, builder.select(kept, scaled.llvm, scaled.constant(0.0).llvm))
        part.lanes.store(result, out.at(part.start), out.element)
        return context.get_dummy_value()

    return types.none(words, number, x, y, row, block, scale, threshold), generate


@intrinsic
def write_lanes(_context: Any, words: Any, number: Any, out: Any, row: Any, block: Any) -> Any:
    """Write a block of the random lanes themselves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds, (memory, index, target, i, j) = signature.args, arguments
        out = row_of(context, builder, kinds[2], target, i)
        part = _Block(builder, out, j, row_of(context, builder, kinds[0], memory), index)
        place = builder.bitcast(out.at(part.start), part.bits.type.as_pointer())
        name, void = f"llvm.masked.store.v{LANES}i32.p0", ir.VoidType()
        call(builder, name, void, part.bits, place, _INT(4), part.lanes.mask)
        return context.get_dummy_value()

    return types.none(words, number, out, row, block), generate


@kernel
def random_bits(first: int, last: int, step: Array, out: Array, seed: int, stream: int) -> None:
    """Write lanes; units are sixteen blocks."""
    words = stack(np.uint64(0), _WORDS)
    blocks = (out.shape[1] + LANES - 1) // LANES
    for unit in range(first, last):
        row, block = unit * _BLOCKS // blocks, unit * _BLOCKS % blocks
        draw(words, row, block, blocks, step[()], seed, stream)
        for number in range(min(_BLOCKS, out.shape[0] * blocks - unit * _BLOCKS)):
            write_lanes(words, number, out, row, block)
            row, block = (row, block + 1) if block + 1 < blocks else (row + 1, 0)


@kernel
def dropout(
    first: int,
    last: int,
    x: Array,
    step: Array,
    y: Array,
    seed: int,
    stream: int,
    threshold: int,
    sample: int,
) -> None:
    """Scale what is kept; units are sixteen blocks."""
    words = stack(np.uint64(0), _WORDS)
    blocks = (x.shape[1] + LANES - 1) // LANES
    scale = x.dtype.type(65536 / threshold)
    for unit in range(first, last):
        row, block = unit * _BLOCKS // blocks, unit * _BLOCKS % blocks
        draw(words, sample + row, block, blocks, step[()], seed, stream)
        for number in range(min(_BLOCKS, x.shape[0] * blocks - unit * _BLOCKS)):
            keep(words, number, x, y, row, block, scale, threshold)
            row, block = (row, block + 1) if block + 1 < blocks else (row + 1, 0)


@kernel
def channel_dropout(
    first: int,
    last: int,
    x: Array,
    step: Array,
    y: Array,
    seed: int,
    stream: int,
    threshold: int,
    sample: int,
    places: int,
) -> None:
    """Scale channels that are kept at all of a row's places, which are rows of x; units are sixteen blocks."""
    words = stack(np.uint64(0), _WORDS)
    blocks, rows = (x.shape[1] + LANES - 1) // LANES, x.shape[0] // places
    scale = x.dtype.type(65536 / threshold)
    for unit in range(first, last):
        row, block = unit * _BLOCKS // blocks, unit * _BLOCKS % blocks
        draw(words, sample + row, block, blocks, step[()], seed, stream)
        for number in range(min(_BLOCKS, rows * blocks - unit * _BLOCKS)):
            for place in range(row * places, (row + 1) * places):
                keep(words, number, x, y, place, block, scale, threshold)
            row, block = (row, block + 1) if block + 1 < blocks else (row + 1, 0)


def _work(x: Array) -> tuple[int, int]:
    """Number of units, and units to a grain: a random lane costs about as much as four plain elements."""
    return -(-x.shape[0] * -(-x.shape[1] // LANES) // _BLOCKS), max(1, GRAIN // (4 * _BLOCKS * LANES))


class Dropout(Backend):
    """Counter-based random bits."""

    def random_bits(self, step: Array, out: Array, seed: int, stream: int) -> None:
        """Sixteen blocks at a time."""
        random_bits(*_work(out), plain(step), out, _signed(seed), _signed(stream))

    def dropout(
        self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """One pass: bits go from registers to the mask."""
        key = _signed(seed), _signed(stream)
        dropout(*_work(x), plain(x), plain(step), y, *key, threshold, sample)

    def channel_dropout(
        self, x: Array, step: Array, y: Array, seed: int, stream: int, threshold: int, sample: int = 0
    ) -> None:
        """Random bits are drawn once for all places."""
        rows, places, channels = x.shape
        if x.size == 0:
            return
        count = -(-rows * -(-channels // LANES) // _BLOCKS)
        grain = max(1, GRAIN * count // x.size)
        key = _signed(seed), _signed(stream)
        flattened = plain(x).reshape(-1, channels), plain(step), y.reshape(-1, channels)
        channel_dropout(count, grain, *flattened, *key, threshold, sample, places)


def _signed(word: int) -> int:
    """The same 64 bits as a signed number, so that every seed has one Numba type."""
    return word - (1 << 64) if word >> 63 else word

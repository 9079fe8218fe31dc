"""Sweeps: a formula carried along contiguous arrays, in whole vectors and a masked last one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import INTERLEAVED, WORD, Formula, Value, call, fill, larger, register_bytes, where

_INT = ir.IntType(32)


@dataclass(frozen=True)
class Fold:
    """A way to make one number of many."""

    combine: Callable[[Value, Value], Value]
    neutral: float
    wide: bool = False  # in float64 whatever the arrays are


TOTAL = Fold(lambda a, b: a + b, 0.0)
WIDE_TOTAL = Fold(lambda a, b: a + b, 0.0, wide=True)
LARGEST = Fold(larger, float("-inf"))
TOP = Fold(lambda a, b: where(a > b, a, b), float("-inf"))
"""The largest in half of the instructions, where a NaN shows in what is made with it anyway."""


@contextmanager
def loop(builder: Any, start: Any, stop: Any, step: Any = 1) -> Iterator[Any]:
    """Emit `for index in range(start, stop, step)` around what the block emits."""
    counter = alloca_once(builder, WORD)
    builder.store(start, counter)
    test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
    builder.branch(test)
    builder.position_at_end(test)
    index = builder.load(counter, typ=WORD)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    yield index
    builder.store(builder.add(index, WORD(step) if isinstance(step, int) else step), counter)
    builder.branch(test)
    builder.position_at_end(end)


class Lanes:
    """Vectors of so many lanes, the first few of them in use where there is a mask."""

    def __init__(self, builder: Any, count: int, remaining: Any = None) -> None:
        """Take the number of lanes, and how many elements are left to do if these may be fewer."""
        self.builder, self.count, self.mask = builder, count, None
        self._integers = ir.VectorType(_INT, count)
        self._numbers = ir.Constant(self._integers, list(range(count)))
        if remaining is not None:
            self.mask = builder.icmp_unsigned("<", self._numbers, self.filled(remaining).llvm)

    def load(self, address: Any, element: Any) -> Value:
        """Read; lanes outside the mask are 0."""
        kind, size = ir.VectorType(element, self.count), size_of(element)
        address = self.builder.bitcast(address, kind.as_pointer())
        if self.mask is None:
            return Value(self.builder, self.builder.load(address, align=size, typ=kind))
        name, zeros = f"llvm.masked.load.{self._suffix(element)}", ir.Constant(kind, None)
        return Value(self.builder, call(self.builder, name, kind, address, _INT(size), self.mask, zeros))

    def store(self, value: Value, address: Any, element: Any) -> None:
        """Write the lanes under the mask, rounded to the element type."""
        kind, size = ir.VectorType(element, self.count), size_of(element)
        address, llvm = self.builder.bitcast(address, kind.as_pointer()), value.to(element).llvm
        if self.mask is None:
            self.builder.store(llvm, address, align=size)
        else:
            name = f"llvm.masked.store.{self._suffix(element)}"
            call(self.builder, name, ir.VoidType(), llvm, address, _INT(size), self.mask)

    def _suffix(self, element: Any) -> str:
        return f"v{self.count}f{8 * size_of(element)}.p0"

    def filled(self, scalar: Any) -> Value:
        """Return a scalar in every lane; an integer as one of 32 bits."""
        if isinstance(scalar.type, ir.IntType):
            return Value(self.builder, fill(self.builder, self._integers, self.builder.trunc(scalar, _INT)))
        return Value(self.builder, fill(self.builder, ir.VectorType(scalar.type, self.count), scalar))

    def positions(self, start: Any) -> Value:
        """Return the lanes' indices if the first has the index `start`."""
        return Value(self.builder, self.builder.add(self.filled(start).llvm, self._numbers))

    def only(self, value: Value, neutral: float) -> Value:
        """Return the value with the neutral element outside the mask."""
        if self.mask is None:
            return value
        other = value.constant(neutral)
        return Value(self.builder, self.builder.select(self.mask, value.llvm, other.llvm))


LINE = 64
"""Bytes of a cache line."""


def size_of(element: Any) -> int:
    """Bytes of one element."""
    return {"float": 4, "double": 8}[str(element)]


def lanes_of(element: Any) -> int:
    """How many elements one register holds."""
    return register_bytes() // size_of(element)


class Accumulator:
    """A running fold with a partial result per lane."""

    def __init__(self, builder: Any, fold: Fold, element: Any, count: int) -> None:
        """Begin with the neutral element in every lane."""
        self._fold, self._builder = fold, builder
        self._type = ir.VectorType(ir.DoubleType() if fold.wide else element, count)
        self._place = alloca_once(builder, self._type)
        neutral = ir.Constant(self._type.element, fold.neutral)
        builder.store(fill(builder, self._type, neutral), self._place)

    def value(self) -> Value:
        """Return the partial results."""
        return Value(self._builder, self._builder.load(self._place, typ=self._type))

    def add(self, value: Value, lanes: Lanes) -> None:
        """Fold in what is under the mask."""
        value = lanes.only(value.widened() if self._fold.wide else value, self._fold.neutral)
        self._builder.store(self._fold.combine(self.value(), value).llvm, self._place)

    def folded(self, count: int) -> Value:
        """Fold halves onto each other until `count` lanes are left: a tree, always of the same shape."""
        value, width = self.value(), self._type.count
        while width > count:
            width //= 2
            value = self._fold.combine(self._part(value, 0, width), self._part(value, width, width))
        return value

    def _part(self, value: Value, first: int, width: int) -> Value:
        which = ir.Constant(ir.VectorType(_INT, width), list(range(first, first + width)))
        unknown = ir.Constant(value.llvm.type, ir.Undefined)
        return Value(self._builder, self._builder.shuffle_vector(value.llvm, unknown, which))

    def result(self) -> Any:
        """Return the one number, as an LLVM value."""
        return self._builder.extract_element(self.folded(1).llvm, _INT(0))


@dataclass(frozen=True)
class Row:
    """A contiguous array: where it begins, its length, and the type of its elements."""

    builder: Any
    data: Any
    size: Any
    element: Any

    def at(self, index: Any) -> Any:
        """Return the address of an element."""
        return self.builder.gep(self.data, [index], source_etype=self.element)


def row_of(context: Any, builder: Any, kind: Any, value: Any, i: Any = None) -> Row:
    """Return an array, or row i of a matrix."""
    array, element = context.make_array(kind)(context, builder, value), context.get_data_type(kind.dtype)
    size, data = builder.extract_value(array.shape, kind.ndim - 1), array.data
    if kind.ndim == 2:
        data = builder.gep(data, [builder.mul(i, size)], source_etype=element)
    return Row(builder, data, size, element)


def sweep(formula: Formula, *folds: Fold) -> Any:
    """Make one pass over rows of equal length, callable in compiled code as `run(outs, ins, factors)`.

    outs and ins are tuples of contiguous one-dimensional arrays, factors a tuple of scalars of their type. The
    formula takes a Value for each of ins and of factors, and returns one for each of outs and then of folds. The pass
    returns its folds' results: nothing, one number, or a tuple.
    """

    @intrinsic
    def run(_context: Any, outs: Any, ins: Any, factors: Any) -> Any:
        result, emit = _made(((formula, *folds),), ins[0].dtype)
        return result(outs, ins, factors), emit

    return run


def passes(*stages: tuple[Any, ...]) -> Any:
    """Make several passes, each a formula and its folds, over row i of matrices: `run(i, outs, ins, factors)`.

    Arrays of one dimension are taken whole. (A row made into an array of its own would be reference-counted.)
    The formulas after the first also take what the one before made for outs, if anything, between ins and factors, and
    the results of all folds so far behind the factors; one with a parameter `position` is given the elements' indices.
    Between passes, a row no longer than a register stays in it. Of a longer one, the second pass fetches the row behind
    it into the cache, which the processor itself would begin to do only when that is read.
    """

    @intrinsic
    def run(_context: Any, i: Any, outs: Any, ins: Any, factors: Any) -> Any:
        result, emit = _made(stages, ins[0].dtype)
        return result(i, outs, ins, factors), emit

    return run


def _made(stages: tuple[Any, ...], kind: Any) -> tuple[Any, Any]:
    """Return the type of the results, and the generator of code."""
    found = [types.float64 if fold.wide else kind for _, *folds in stages for fold in folds]
    result = types.none if not found else found[0] if len(found) == 1 else types.Tuple(found)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        outs, ins, factors = (
            [(part, builder.extract_value(given, n)) for n, part in enumerate(kinds)]
            for kinds, given in zip(signature.args[-3:], arguments[-3:], strict=True)
        )
        outs, ins = ([row_of(context, builder, *pair, arguments[0]) for pair in pairs] for pairs in (outs, ins))
        answers = _Passes(builder, outs, ins, [value for _, value in factors]).emit(stages)
        if len(answers) > 1:
            return context.make_tuple(builder, signature.return_type, answers)
        return answers[0] if answers else context.get_dummy_value()

    return result, generate


class _Passes:
    """Emits loops over rows: interleaved registers first, then single ones under a mask."""

    def __init__(self, builder: Any, outs: list[Row], ins: list[Row], factors: list[Any]) -> None:
        self._builder, self._outs, self._ins, self._factors = builder, outs, ins, factors
        self._element, self._size = ins[0].element, ins[0].size
        self._lanes, self._fetches = lanes_of(self._element), False

    def emit(self, stages: tuple[Any, ...]) -> list[Any]:
        """Emit all stages; return the results of their folds."""
        if len(stages) == 1:
            return self._in_memory(stages)
        builder, places = self._builder, []
        short = builder.icmp_signed("<=", self._size, WORD(self._lanes))
        with builder.if_else(short) as (then, otherwise):
            for way, branch in ((self._in_registers, then), (self._in_memory, otherwise)):
                with branch:
                    results = way(stages)
                    places = places or [alloca_once(builder, result.type) for result in results]
                    for place, result in zip(places, results, strict=True):
                        builder.store(result, place)
        return [builder.load(place, typ=result.type) for place, result in zip(places, results, strict=True)]

    def _in_registers(self, stages: tuple[Any, ...]) -> list[Any]:
        builder, results, kept = self._builder, [], []
        lanes = Lanes(builder, self._lanes, self._size)
        ins = [lanes.load(row.data, row.element) for row in self._ins]
        for formula, *folds in stages:
            made = self._made(formula, lanes, WORD(0), [*ins, *kept], results)
            kept = made[: len(made) - len(folds)] or kept
            accumulators = [Accumulator(builder, fold, self._element, self._lanes) for fold in folds]
            for accumulator, value in zip(accumulators, made[len(made) - len(folds) :], strict=True):
                accumulator.add(value, lanes)
            results = [*results, *(accumulator.result() for accumulator in accumulators)]
        for row, value in zip(self._outs, kept, strict=True):
            lanes.store(value, row.data, row.element)
        return results

    def _in_memory(self, stages: tuple[Any, ...]) -> list[Any]:
        results: list[Any] = []
        kept: list[Row] = []
        for number, (formula, *folds) in enumerate(stages):
            self._fetches = number == 1
            found, stores = self._loops(formula, folds, [*self._ins, *kept], results)
            kept = self._outs if stores else kept
            results = [*results, *found]
        return results

    def _loops(self, formula: Formula, folds: Any, ins: list[Row], before: list[Any]) -> tuple[list[Any], bool]:
        builder, wide = self._builder, self._lanes * INTERLEAVED
        results = [Accumulator(builder, fold, self._element, self._lanes) for fold in folds]
        whole = builder.and_(self._size, WORD(-wide))
        with builder.if_then(builder.icmp_signed(">", whole, WORD(0))):
            partial = [Accumulator(builder, fold, self._element, wide) for fold in folds]
            with loop(builder, WORD(0), whole, wide) as start:
                self._step(formula, start, Lanes(builder, wide), ins, before, partial)
            lanes = Lanes(builder, self._lanes)
            for result, part in zip(results, partial, strict=True):
                result.add(part.folded(self._lanes), lanes)
        with loop(builder, whole, self._size, self._lanes) as start:
            lanes = Lanes(builder, self._lanes, builder.sub(self._size, start))
            stores = self._step(formula, start, lanes, ins, before, results)
        return [result.result() for result in results], stores

    def _step(
        self, formula: Formula, start: Any, lanes: Lanes, ins: list[Row], before: list[Any], results: Any
    ) -> bool:
        values = [lanes.load(row.at(start), row.element) for row in ins]
        if self._fetches:
            self._fetch_behind(start, lanes)
        made = self._made(formula, lanes, start, values, before)
        stored = len(made) - len(results)
        for row, value in zip(self._outs[:stored], made, strict=False):
            lanes.store(value, row.at(start), row.element)
        for result, value in zip(results, made[stored:], strict=True):
            result.add(value, lanes)
        return stored > 0

    def _fetch_behind(self, start: Any, lanes: Lanes) -> None:
        builder, line = self._builder, LINE // size_of(self._element)
        for rows, write in ((self._ins, 0), (self._outs, 1)):
            for row in rows:
                for first in range(0, lanes.count, line):
                    place = row.at(builder.add(builder.add(start, self._size), WORD(first)))
                    call(builder, "llvm.prefetch.p0", ir.VoidType(), place, _INT(write), _INT(3), _INT(1))

    def _made(
        self, formula: Formula, lanes: Lanes, start: Any, ins: list[Value], before: list[Any]
    ) -> tuple[Value, ...]:
        factors = (lanes.filled(number) for number in (*self._factors, *before))
        asked = "position" in inspect.signature(formula).parameters
        made = formula(*ins, *factors, **({"position": lanes.positions(start)} if asked else {}))
        return made if isinstance(made, tuple) else (made,)


def row_pass(
    builder: Any, formula: Formula, outs: list[Row], ins: list[Row], factors: list[Any], *folds: Fold
) -> list[Any]:
    """Emit a `sweep` in the midst of other code; return what its folds found."""
    return _Passes(builder, outs, ins, factors).emit(((formula, *folds),))

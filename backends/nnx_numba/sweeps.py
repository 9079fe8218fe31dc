"""Sweeps: a formula carried along contiguous arrays, in whole vectors and a masked last one."""

from __future__ import annotations

import inspect
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import INTERLEAVED, WORD, Formula, Value, call
from nnx_numba.vectors import LARGEST, LINE, Accumulator, Fold, Lanes, Row, lanes_of, loop, row_of, size_of

_INT = ir.IntType(32)


def sweep(formula: Formula, *folds: Fold) -> Any:
    """Make one pass over rows of equal length, callable in compiled code as `run(outs, ins, factors)`.

    outs and ins are tuples of contiguous one-dimensional arrays, factors a tuple of scalars. The formula takes a
    Value for each of ins and of factors, and returns one for each of outs and then of folds. The pass returns its
    folds' results: nothing, one number, or a tuple.
    """

    @intrinsic
    def run(_context: Any, outs: Any, ins: Any, factors: Any) -> Any:
        result, emit = _made(((formula, *folds),), ins[0].dtype)
        return result(outs, ins, factors), emit

    return run


def passes(*stages: tuple[Any, ...]) -> Any:
    """Make several passes, each a formula and its folds, over row i of matrices: `run(i, outs, ins, factors)`.

    Arrays of one dimension are taken whole. (A row made into an array of its own would be reference-counted.)
    The formulas after the first also take what the one before made for outs, if anything, between ins and factors,
    and the results of all folds so far behind the factors; one with a parameter `position` is given the elements'
    indices. Between passes, a row no longer than a register stays in it. Of a longer one, the second pass fetches
    the row behind it into the cache, which the processor itself would begin to do only when that is read.
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
        given = [
            [(part, builder.extract_value(argument, n)) for n, part in enumerate(kinds)]
            for kinds, argument in zip(signature.args[-3:], arguments[-3:], strict=True)
        ]
        outs, ins = ([row_of(context, builder, *pair, arguments[0]) for pair in pairs] for pairs in given[:2])
        answers = _Passes(builder, outs, ins, [value for _, value in given[2]]).emit(stages)
        if len(answers) > 1:
            return context.make_tuple(builder, signature.return_type, answers)
        return answers[0] if answers else context.get_dummy_value()

    return result, generate


class _Passes:
    """Emits loops over rows: interleaved registers first, then single ones under a mask."""

    def __init__(
        self, builder: Any, outs: list[Row], ins: list[Row], factors: list[Any], interleaved: int = INTERLEAVED
    ) -> None:
        self._interleaved = interleaved
        self._builder, self._outs, self._ins, self._factors = builder, outs, ins, factors
        self._element, self._size = ins[0].element, ins[0].size
        self._lanes, self._fetches = lanes_of(self._element), False

    def emit(self, stages: tuple[Any, ...]) -> list[Any]:
        """Emit all stages; return the results of their folds."""
        if len(stages) == 1:
            return self._in_memory(stages)
        builder = self._builder
        places: list[Any] = []
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
        builder = self._builder
        results: list[Any] = []
        kept: list[Value] = []
        lanes = Lanes(builder, self._lanes, self._size)
        ins = [row.load(lanes, WORD(0)) for row in self._ins]
        for formula, *folds in stages:
            made = self._made(formula, lanes, WORD(0), [*ins, *kept], results)
            kept = list(made[: len(made) - len(folds)]) or kept
            accumulators = [Accumulator(builder, fold, self._element, self._lanes) for fold in folds]
            for accumulator, value in zip(accumulators, made[len(made) - len(folds) :], strict=True):
                accumulator.add(value, lanes)
            results = [*results, *(accumulator.result() for accumulator in accumulators)]
        for row, value in zip(self._outs, kept, strict=True):
            row.store(lanes, value, WORD(0))
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
        builder, wide = self._builder, self._lanes * self._interleaved
        results = [Accumulator(builder, fold, self._element, self._lanes) for fold in folds]
        whole = builder.and_(self._size, WORD(-wide)) if self._interleaved > 1 else WORD(0)
        if self._interleaved > 1:
            with builder.if_then(builder.icmp_signed(">", whole, WORD(0))):
                self._whole(formula, whole, wide, ins, before, results)
        with loop(builder, whole, self._size, self._lanes) as start:
            lanes = Lanes(builder, self._lanes, builder.sub(self._size, start))
            stores = self._step(formula, start, lanes, ins, before, results)
        return [result.result() for result in results], stores

    def _whole(
        self, formula: Formula, whole: Any, wide: int, ins: list[Row], before: list[Any], results: Any
    ) -> None:
        builder = self._builder
        partial = [Accumulator(builder, result.fold, self._element, wide) for result in results]
        with loop(builder, WORD(0), whole, wide) as start:
            self._step(formula, start, Lanes(builder, wide), ins, before, partial)
        for result, part in zip(results, partial, strict=True):
            result.add(part.folded(self._lanes), Lanes(builder, self._lanes))

    def _step(
        self, formula: Formula, start: Any, lanes: Lanes, ins: list[Row], before: list[Any], results: Any
    ) -> bool:
        values = [row.load(lanes, start) for row in ins]
        if self._fetches:
            self._fetch_behind(start, lanes)
        made = self._made(formula, lanes, start, values, before)
        stored = len(made) - len(results)
        for row, value in zip(self._outs[:stored], made, strict=False):
            row.store(lanes, value, start)
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


def row_pass(builder: Any, formula: Formula, outs: list[Row], ins: list[Row], factors: list[Any]) -> None:
    """Emit a `sweep` without folds in the midst of other code, made for size rather than speed."""
    _Passes(builder, outs, ins, factors, interleaved=1).emit(((formula,),))


def largest_of(builder: Any, row: Row) -> Any:
    """Emit a sweep that finds the largest element."""
    return _Passes(builder, [], [row], []).emit(((lambda x: x, LARGEST),))[0]

"""Sweeps: a formula carried along contiguous arrays, in whole vectors and a masked last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nnx_numba.internals import alloca_once, types
from nnx_numba.jit import intrinsic
from nnx_numba.lanes import INTERLEAVED, WORD, Formula, Value, call, fill, larger, register_bytes

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


@contextmanager
def loop(builder: Any, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
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
    builder.store(builder.add(index, WORD(step)), counter)
    builder.branch(test)
    builder.position_at_end(end)


class Lanes:
    """Vectors of so many lanes, the first few of them in use where there is a mask."""

    def __init__(self, builder: Any, element: Any, count: int, remaining: Any = None) -> None:
        """Take the element type, the number of lanes, and how many are left to do if that may be fewer."""
        self.builder, self.count, self.element = builder, count, element
        self.type = ir.VectorType(element, count)
        self._size, name = {"float": (4, "f32"), "double": (8, "f64")}[str(element)]
        self._suffix = f"v{count}{name}.p0"
        self.mask = None if remaining is None else self._mask(remaining)

    def _mask(self, remaining: Any) -> Any:
        kind = ir.VectorType(_INT, self.count)
        left = fill(self.builder, kind, self.builder.trunc(remaining, _INT))
        return self.builder.icmp_unsigned("<", ir.Constant(kind, list(range(self.count))), left)

    def load(self, address: Any) -> Value:
        """Read; lanes outside the mask are 0."""
        address = self.builder.bitcast(address, self.type.as_pointer())
        if self.mask is None:
            return Value(self.builder, self.builder.load(address, align=self._size, typ=self.type))
        zeros = ir.Constant(self.type, None)
        name = f"llvm.masked.load.{self._suffix}"
        return Value(self.builder, call(self.builder, name, self.type, address, _INT(self._size), self.mask, zeros))

    def store(self, value: Value, address: Any) -> None:
        """Write the lanes under the mask."""
        address = self.builder.bitcast(address, self.type.as_pointer())
        if self.mask is None:
            self.builder.store(value.llvm, address, align=self._size)
        else:
            name, void = f"llvm.masked.store.{self._suffix}", ir.VoidType()
            call(self.builder, name, void, value.llvm, address, _INT(self._size), self.mask)

    def filled(self, scalar: Any) -> Value:
        """Return a scalar in every lane."""
        return Value(self.builder, fill(self.builder, self.type, scalar))

    def only(self, value: Value, neutral: float) -> Value:
        """Return the value with the neutral element outside the mask."""
        if self.mask is None:
            return value
        other = value.constant(neutral)
        return Value(self.builder, self.builder.select(self.mask, value.llvm, other.llvm))


def lanes_of(element: Any) -> int:
    """How many elements one register holds."""
    return register_bytes() // {"float": 4, "double": 8}[str(element)]


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


def sweep(formula: Formula, *folds: Fold) -> Any:
    """Make a pass over rows of equal length, callable in compiled code as `run(outs, ins, factors)`.

    outs and ins are tuples of contiguous one-dimensional arrays, factors a tuple of scalars of their type. The
    formula takes a Value for each of ins and of factors, and returns one for each of outs and then of folds. The pass
    returns its folds' results: nothing, one number, or a tuple.
    """

    @intrinsic
    def run(_context: Any, outs: Any, ins: Any, factors: Any) -> Any:
        kind = ins[0].dtype
        found = [types.float64 if fold.wide else kind for fold in folds]
        result = types.none if not found else found[0] if len(found) == 1 else types.Tuple(found)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            rows = [
                [_row(context, builder, kind, part) for kind, part in zip(kinds, _parts(builder, kinds, given))]
                for kinds, given in zip(signature.args[:2], arguments[:2], strict=True)
            ]
            scalars = _parts(builder, signature.args[2], arguments[2])
            answers = _Sweep(builder, formula, folds, *rows, scalars).emit()
            if len(answers) > 1:
                return context.make_tuple(builder, signature.return_type, answers)
            return answers[0] if answers else context.get_dummy_value()

        return result(outs, ins, factors), generate

    return run


def _parts(builder: Any, kinds: Any, given: Any) -> list[Any]:
    return [builder.extract_value(given, n) for n in range(len(kinds))]


@dataclass(frozen=True)
class _Row:
    """A one-dimensional array: where it begins, its length, and the type of its elements."""

    data: Any
    size: Any
    element: Any


def _row(context: Any, builder: Any, kind: Any, value: Any) -> _Row:
    array = context.make_array(kind)(context, builder, value)
    return _Row(array.data, builder.extract_value(array.shape, 0), context.get_data_type(kind.dtype))


class _Sweep:
    """Emits the loops: interleaved registers first, then single ones under a mask."""

    def __init__(
        self, builder: Any, formula: Formula, folds: tuple[Fold, ...], outs: list[_Row], ins: list[_Row], factors: Any
    ) -> None:
        self._builder, self._formula, self._folds = builder, formula, folds
        self._outs, self._ins, self._factors = outs, ins, factors
        self._element = ins[0].element
        self._lanes = lanes_of(self._element)

    def emit(self) -> list[Any]:
        builder, size, wide = self._builder, self._ins[0].size, self._lanes * INTERLEAVED
        results = [Accumulator(builder, fold, self._element, self._lanes) for fold in self._folds]
        whole = builder.and_(size, WORD(-wide))
        with builder.if_then(builder.icmp_signed(">", whole, WORD(0))):
            partial = [Accumulator(builder, fold, self._element, wide) for fold in self._folds]
            with loop(builder, WORD(0), whole, wide) as start:
                self._step(start, Lanes(builder, self._element, wide), partial)
            lanes = Lanes(builder, self._element, self._lanes)
            for result, part in zip(results, partial, strict=True):
                result.add(part.folded(self._lanes), lanes)
        with loop(builder, whole, size, self._lanes) as start:
            lanes = Lanes(builder, self._element, self._lanes, builder.sub(size, start))
            self._step(start, lanes, results)
        return [result.result() for result in results]

    def _step(self, start: Any, lanes: Lanes, results: list[Accumulator]) -> None:
        values = [lanes.load(self._place(row, start)) for row in self._ins]
        values += [lanes.filled(factor) for factor in self._factors]
        made = self._formula(*values)
        made = made if isinstance(made, tuple) else (made,)
        for row, value in zip(self._outs, made, strict=False):
            lanes.store(value, self._place(row, start))
        for result, value in zip(results, made[len(self._outs) :], strict=True):
            result.add(value, lanes)

    def _place(self, row: _Row, start: Any) -> Any:
        return self._builder.gep(row.data, [start], source_etype=row.element)

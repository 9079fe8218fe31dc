"""Cases of `nnx.interface.recurrent`, with the error that a recurrence may accumulate."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from nnx import reference
from nnx.conformance.case import Arguments, Case, Draw, Input, Output, late, parameters
from nnx.conformance.kernels import expected_results
from nnx.conformance.recurrences import KINDS
from nnx.conformance.rounding import Precision, Rounded, Rounding
from nnx.conformance.tolerance import Context, Values
from nnx.interface import FUSED

ALPHA = 0.3


class Accumulated:
    """The bound of every destination of one call: the reference, run in `Rounded` numbers.

    It is the worst case: |U| and the slopes carry an error on, and every error has the sign that does the most
    harm. So that the bound stays close to what happens, `_weights` draws a U whose columns have absolute sums of
    about 1; with the usual spread of 1 / sqrt(H) the bound (not the errors) would grow by sqrt(H) each step.
    """

    def __init__(self, kernel: str, arguments: Arguments, tiny: float) -> None:
        """Take the call, and the smallest normal number of the dtype that it runs in."""
        self._kernel, self._arguments, self._tiny = kernel, arguments, tiny
        self._made: dict[str, Values] | None = None

    def __call__(self, context: Context) -> Values:
        """Return the largest error of a destination; all are computed together, once."""
        if self._made is None:
            self._made = self._run(context.unit)
        return self._made[context.name]

    def _run(self, unit: float) -> dict[str, Values]:
        """The reference adds du and db up step by step; a kernel may add all N T terms in any order."""
        precision = Precision(unit, self._tiny)
        numbers = {name: _rounded(argument, precision) for name, argument in self._arguments.items()}
        getattr(reference, self._kernel)(Rounding(precision), *numbers.values())
        terms = math.prod(self._arguments["dxw"].shape[:2]) if "dxw" in self._arguments else 0
        return {
            name: numbers[name].error + (precision.cost(numbers[name].size, terms) if name in ("du", "db") else 0.0)
            for name, argument in self._arguments.items()
            if isinstance(argument, Output)
        }


def _rounded(argument: Any, precision: Precision) -> Any:
    match argument:
        case Input(values, None):
            return Rounded(precision, values)
        case Input(values, _):
            return values
        case Output(shape):
            return Rounded(precision, np.zeros(shape))
    return argument


def _bounded(draw: Draw, kernel: str, arguments: Arguments) -> Arguments:
    """Return the arguments with the bound that belongs to them all."""
    arguments = {name: arguments[name] for name in parameters(kernel)}
    bound = Accumulated(kernel, arguments, float(np.finfo(draw.dtype).tiny))
    return {
        name: dataclasses.replace(argument, bound=bound) if isinstance(argument, Output) else argument
        for name, argument in arguments.items()
    }


class Run(NamedTuple):
    """One call: N sequences, T steps, H units, and what is given or wanted."""

    sequences: int
    steps: int
    units: int
    lengths: bool = False
    first: bool = False
    reverse: bool = False
    bias: bool = True
    without: tuple[str, ...] = ()
    scale: float = 1.0
    nan: str = ""

    def __str__(self) -> str:
        """Name what is special."""
        shown = {"lengths": self.lengths, "first states": self.first, "reverse": self.reverse}
        words = [name for name, given in shown.items() if given]
        words += [f"no {name}" for name in self.without] + ([] if self.bias else ["no bias"])
        words += ["large values"] if self.scale > 1 else []
        words += [f"NaN in {self.nan}"] if self.nan else []
        return " ".join([str((self.sequences, self.steps, self.units)), *words])


def _weights(draw: Draw, units: int, gates: int) -> Values:
    return draw.normal(units, gates * units, spread=1.25 / max(units, 1))


def _lengths(draw: Draw, run: Run) -> Values:
    """None of the steps, all of them, and what lies between."""
    lengths = draw.integers(run.steps + 1, run.sequences)
    lengths[:2] = [0, run.steps][: len(lengths)]
    return lengths


def _sequences(draw: Draw, run: Run, width: int, lengths: Input | None) -> Values:
    """Values of every step, with NaN in the second sequence or in the padding if the run wants it."""
    values = draw.normal(run.sequences, run.steps, width, spread=run.scale)
    if run.nan == "one sequence":
        values[1, run.steps // 2, 0] = math.nan
    if run.nan == "padding" and lengths is not None:
        values[np.arange(run.steps) >= lengths.values[:, None]] = math.nan
    return values


def _begins(run: Run, state: str) -> bool:
    """Whether that state is given, and does not begin with zeros."""
    return run.first and f"{state}0" not in run.without


def _given(kernel: str, draw: Draw, run: Run, activation: str) -> dict[str, Any]:
    """What the forward and the backward kernel are both given, but for xw."""
    kind = KINDS[kernel]
    fused = {"activation": activation, "alpha": ALPHA} if kernel == "simple_rnn" else {}
    return {
        "u": Input(_weights(draw, run.units, kind.gates)),
        "lengths": Input(_lengths(draw, run), "int64") if run.lengths else None,
        **{f"{s}0": Input(draw.normal(run.sequences, run.units)) if _begins(run, s) else None for s in kind.states},
        **fused,
        "reverse": run.reverse,
    }


def _forward(draw: Draw, kernel: str, run: Run, activation: str = "tanh") -> Arguments:
    """Arguments of simple_rnn, lstm or gru."""
    kind, given = KINDS[kernel], _given(kernel, draw, run, activation)
    if kernel == "gru":
        given["b"] = Input(draw.normal(3 * run.units)) if run.bias else None
    kept = {name: Output((run.sequences, run.steps, width * run.units)) for name, width in kind.kept.items()}
    return _bounded(
        draw,
        kernel,
        {
            **given,
            "xw": Input(_sequences(draw, run, kind.gates * run.units, given["lengths"])),
            "y": Output((run.sequences, run.steps, run.units)),
            **kept,
            **{f"{state}_last": Output((run.sequences, run.units)) for state in kind.states},
        },
    )


def _backward(draw: Draw, kernel: str, run: Run, activation: str = "tanh") -> Arguments:
    """Arguments of the backward kernel, what the forward kernel keeps being that of a run of the reference."""
    kind, n, t, h = KINDS[kernel], run.sequences, run.steps, run.units
    made = _forward(draw, kernel, run._replace(nan=""), activation)
    done = expected_results(kernel, made)
    gradients = {
        "dy": Input(_sequences(draw, run._replace(scale=1.0), h, made["lengths"])),
        **{f"d{state}_last": Input(draw.normal(n, h)) for state in kind.states},
        **{f"d{state}0": Output((n, h)) if _begins(run, state) else None for state in kind.states},
        "dxw": Output((n, t, kind.gates * h)),
        "du": Output((h, kind.gates * h)),
    }
    if kernel == "gru":
        gradients |= {"dhu": Output((n, t, 3 * h)), "db": Output((3 * h,)) if run.bias else None}
    known = {name: made[name] for name in parameters(f"{kernel}_backward") if name in made and name not in done}
    states = {name: Input(draw.round(done[name])) for name in ("y", *kind.kept)}
    wanted = {name: None if name in run.without else argument for name, argument in gradients.items()}
    return _bounded(draw, f"{kernel}_backward", {**known, **states, **wanted})


_SIZES = (
    *(Run(0, 3, 5), Run(3, 0, 5, first=True), Run(1, 1, 1), Run(3, 2, 33), Run(17, 13, 16), Run(1, 50, 64)),
    *(Run(33, 2, 33, lengths=True), Run(5, 50, 7, lengths=True), Run(2, 0, 3, lengths=True)),
    Run(65, 9, 64, lengths=True, first=True),
)
_OPTIONS = tuple(
    Run(17, 9, 5, lengths=lengths, first=first, reverse=reverse)
    for lengths in (False, True)
    for first in (False, True)
    for reverse in (False, True)
)
_PLAIN = Run(5, 13, 17, lengths=True, first=True)
_HARD = (
    *(_PLAIN._replace(scale=40.0), Run(4, 5, 33, nan="one sequence"), _PLAIN._replace(nan="padding")),
    _PLAIN._replace(nan="padding", reverse=True),
)
_NO_BIAS = (Run(5, 4, 17, bias=False), Run(5, 4, 17, bias=False, lengths=True, first=True, reverse=True))

_ONE_STATE = tuple(_PLAIN._replace(without=(state,), reverse=state == "h0") for state in ("h0", "c0"))


def _partly(kernel: str) -> tuple[Run, ...]:
    """Runs of which not every gradient comes in, or is wanted."""
    last = tuple(f"d{state}_last" for state in KINDS[kernel].states)
    first = tuple(f"d{state}0" for state in KINDS[kernel].states)
    missing = {("dy",), last, ("dy", *last), last[-1:], last[:1], first, first[:1], first[-1:]}
    return tuple(_PLAIN._replace(without=names, reverse=len(names) == 2) for names in sorted(missing))


def _runs(kernel: str, backward: bool) -> tuple[Run, ...]:
    no_bias = _NO_BIAS if kernel == "gru" else ()
    one_state = _ONE_STATE if len(KINDS[kernel].states) > 1 else ()
    return (*_SIZES, *_OPTIONS, *_HARD, *no_bias, *one_state, *(_partly(kernel) if backward else ()))


CASES: tuple[Case, ...] = (
    *(
        Case(f"{kernel}{suffix}", str(run), late(build, kernel, run), views=run.sequences * run.steps < 200)
        for kernel in KINDS
        for suffix, build in (("", _forward), ("_backward", _backward))
        for run in _runs(kernel, bool(suffix))
    ),
    *(
        Case(f"simple_rnn{suffix}", f"{run} {f}", late(build, "simple_rnn", run, f), views=False)
        for suffix, build in (("", _forward), ("_backward", _backward))
        for run in (_PLAIN, _PLAIN._replace(scale=40.0, reverse=True))
        for f in FUSED
    ),
)

"""The checks made of a table of cases: every kernel against the reference, in every way it may be called."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnx import reference
from nnx.conformance.case import Arguments, Case, InPlace, Input, Output
from nnx.conformance.comparison import difference
from nnx.conformance.report import Check, NonconformanceError
from nnx.conformance.stage import LAYOUTS, Stage, has_views, poison
from nnx.conformance.tolerance import Context, Values, unit
from nnx.interface import Backend

_ORACLE = Backend.from_namespace(np).xp


def kernel_checks(case: Case) -> Iterator[Check]:
    """Yield one check per dtype of a case."""
    for dtype in case.dtypes:
        name = f"{case.kernel} {dtype} {case.label}"

        def run(backend: Backend, dtype: str = dtype) -> None:
            check_case(backend, case, dtype)

        yield Check(name, case.kernel, run)


def check_case(backend: Backend, case: Case, dtype: str) -> None:
    """Compare a kernel with the reference: twice eager, replayed, and with views as inputs."""
    Trial(backend, case, dtype).run()


def expected_results(kernel: str, arguments: Arguments) -> dict[str, Values]:
    """Run the reference in float64 (integers as they are) and return its destinations."""
    hosts = {name: _host(argument) for name, argument in arguments.items()}
    with np.errstate(all="ignore"):
        getattr(reference, kernel)(_ORACLE, *hosts.values())
    return {name: hosts[name] for name, a in arguments.items() if isinstance(a, (Output, InPlace))}


def _host(argument: object) -> object:
    match argument:
        case Input(values, dtype) | InPlace(values, _, dtype):
            return values.astype(_oracle_dtype(dtype))
        case Output(shape, _, dtype):
            return np.zeros(shape, _oracle_dtype(dtype))
    return argument


def _oracle_dtype(dtype: str | None) -> str:
    return "float64" if dtype is None else dtype


class Trial:
    """A case in one dtype on one backend."""

    def __init__(self, backend: Backend, case: Case, dtype: str) -> None:
        """Build the arguments and ask the reference."""
        self.backend, self.case, self.dtype = backend, case, dtype
        self.arguments = case.arguments(dtype)
        self.inputs = [name for name, a in self.arguments.items() if isinstance(a, Input)]
        given = {n: a.values for n, a in self.arguments.items() if isinstance(a, (Input, InPlace))}
        self.expected = expected_results(case.kernel, self.arguments)
        self._contexts = {n: Context(given, self.expected, n, unit(dtype)) for n in self.expected}

    def run(self) -> None:
        """Do all calls."""
        first = self.attempt("", {}, 0)
        second = self.attempt("", {}, 1)
        self._same_bits(first, second, "a second call with the same arguments gives other bits")
        replayed = self.attempt("replayed", {}, 0, replay=True)
        self._same_bits(first, replayed, "a replayed call gives other bits than a direct one")
        if self.case.views and self.inputs and has_views(self.backend):
            self._run_views()

    def _run_views(self) -> None:
        """Call with views: the inputs take the layouts in turn, so that every kind meets every other."""
        for turn in range(len(LAYOUTS)):
            layouts = {name: LAYOUTS[(place + turn) % len(LAYOUTS)] for place, name in enumerate(self.inputs)}
            direct = self.attempt(_shown(layouts), layouts, turn)
            if turn == 1:
                replayed = self.attempt(f"replayed {_shown(layouts)}", layouts, turn, replay=True)
                self._same_bits(direct, replayed, f"a replayed call {_shown(layouts)} gives other bits")
        layouts = dict.fromkeys(self.inputs, "read-only")
        self.attempt(_shown(layouts), layouts, 0)

    def attempt(self, how: str, layouts: dict[str, str], turn: int, *, replay: bool = False) -> dict[str, Values]:
        """Call the kernel once, compare every destination, and return them all."""
        try:
            stage = Stage(self.backend, self.case.kernel, self.arguments, self.dtype, layouts, turn)
            got = stage.replay() if replay else stage.call()
        except NonconformanceError as error:
            raise self._failure(how, str(error)) from None
        for name, values in got.items():
            self._compare(how, name, values, turn)
        return got

    def _compare(self, how: str, name: str, values: Values, turn: int) -> None:
        argument = self.arguments[name]
        message = difference(values, self._contexts[name], argument.bound)
        if message is None:
            return
        if isinstance(argument, Output):
            left = np.asarray(poison(str(values.dtype), turn), values.dtype)
            unwritten = int(np.sum(np.isnan(values) if np.isnan(left) else values == left))
            if unwritten and not np.any(np.isnan(self.expected[name])):
                message += f"; {unwritten} elements hold what was there before the call"
        raise self._failure(how, f"{name} {message}")

    def _same_bits(self, first: dict[str, Values], second: dict[str, Values], complaint: str) -> None:
        for name, values in first.items():
            if not np.array_equal(values, second[name], equal_nan=values.dtype.kind == "f"):
                raise self._failure("", f"{complaint} in {name}")

    def _failure(self, how: str, message: str) -> NonconformanceError:
        title = f"{self.case.kernel} {self.dtype} {self.case.label} {how}".rstrip()
        return NonconformanceError(f"{title}: {message}")


def _shown(layouts: dict[str, str]) -> str:
    views = ", ".join(f"{kind} {name}" for name, kind in layouts.items() if kind != "contiguous")
    return f"with {views}" if views else ""

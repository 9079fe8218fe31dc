"""`nnx check`: the conformance kit, run on one backend."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnx import registry
from nnx.cli.completion import names_from
from nnx.cli.options import Json, examples
from nnx.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from nnx.conformance import Report
    from nnx.conformance.suite import Progress


def _subjects() -> Iterable[str]:
    from nnx.conformance.suite import checks

    return dict.fromkeys(check.subject for check in checks())


Name = Annotated[
    str,
    typer.Argument(
        metavar="BACKEND", help="A backend; see nnx backends.", autocompletion=names_from(registry.names)
    ),
]
Kernel = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel",
        metavar="K",
        help="Check this kernel only; may be repeated.",
        autocompletion=names_from(_subjects),
    ),
]


@examples(
    "nnx check numba",
    "nnx check numpy --kernel linear --kernel softmax",
)
def check(backend: Name, kernel: Kernel = None, json: Json = False) -> None:
    """Check that a backend does what the interface says; exit code 1 if it does not."""
    from nnx.conformance import check_backend

    engine = registry.get(backend)
    with _progress() as progress:
        report = check_backend(engine, progress, kernel or None)
    if json:
        print_json(_describe(report))
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Show on a terminal which check is running."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda name, done, total: bar.update(task, description=name, completed=done, total=total)


def _describe(report: Report) -> dict[str, Any]:
    return {
        "backend": report.backend,
        "passed": report.passed,
        "failed": len(report.failures),
        "seconds": report.seconds,
        "failures": [{"name": failure.name, "message": failure.message} for failure in report.failures],
    }


def _show(report: Report) -> None:
    if report.failures:
        rows = [(failure.name, failure.message) for failure in report.failures]
        print_table(("check", "what is wrong"), rows)
    counts = f"{report.passed} checks passed, {len(report.failures)} failed"
    say(f"{report.backend}: {counts} in {report.seconds:.1f} s")

"""`nnx bench`: how fast the backends are, beside each other and beside other libraries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nnx import registry
from nnx.checkout import load_benchmarks
from nnx.cli.completion import names_from
from nnx.cli.options import Json, examples
from nnx.cli.output import check_writable, note, print_json, print_table, say, write_text
from nnx.cli.usage import count, number
from nnx.errors import OptionError

PARTS = "check", "command", "environment", "report", "results", "table"

Quick = Annotated[bool, typer.Option("--quick", help="Few sizes and repetitions; under two minutes without peers.")]
Backends = Annotated[
    list[str] | None,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="A backend to measure; may be repeated. By default all on the CPU.",
        autocompletion=names_from(registry.names),
    ),
]
Peers = Annotated[bool, typer.Option("--peers", help="Also measure the other libraries that are installed.")]
Threads = Annotated[
    list[int] | None,
    typer.Option(
        "--threads",
        parser=count("--threads"),
        metavar="N",
        help="May be repeated. By default 1 and all cores; 1 if quick, all for a GPU.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="Only this workload or kernel, such as W5, matmul or 'matmul 256x256x256'; may be repeated. "
        "Needs --out or --check.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Where the results go; by default into benchmarks/results."),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Also draw the results, as one HTML page.")
]
Check = Annotated[
    bool, typer.Option("--check", help="Compare ratios with the stored results instead of replacing them.")
]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="FILE", help="The results to check against; by default the stored."),
]
Margin = Annotated[
    float | None,
    typer.Option(
        "--margin", parser=number("--margin", 0, 1, closed=True), metavar="SHARE", help="How far a ratio may fall."
    ),
]


@examples(
    "nnx bench --quick",
    "nnx bench --peers --report bench.html",
    "nnx bench --quick --peers --check",
    "nnx bench --peers --only W6 --only W7 --out recurrent.json",
)
def bench(
    quick: Quick = False,
    backend: Backends = None,
    peers: Peers = False,
    threads: Threads = None,
    only: Only = None,
    out: Out = None,
    report: Report = None,
    check: Check = False,
    against: Against = None,
    margin: Margin = None,
    json: Json = False,
) -> None:
    """Measure kernels and training on every backend, against other libraries if asked, and this machine's limits.

    Contenders run in processes of their own and take turns; what counts is the median of the ratios of times
    measured next to each other. Their losses are compared, so that all do the same work. Exit code 1 if --check
    finds a ratio that has fallen.
    """
    checkout: dict[str, Any] = {**load_benchmarks(*PARTS)}
    if not check and (against is not None or margin is not None):
        raise OptionError("--against and --margin belong to --check; add it, or leave them out.")
    if only and (report is not None or (out is None and not check)):
        raise OptionError("--only needs --out or --check, lest part of a run replaces the whole; no --report.")
    for option, path in (("--out", out), ("--report", report)):
        check_writable(option, path)
    if report is not None:
        checkout["report"].need_matplotlib()
    plan = _plan(checkout, quick, backend, peers, threads, only or ())
    stored = checkout["results"].default_path(plan.device, quick)
    before = checkout["results"].read(against or _earlier(checkout, stored, plan.device)) if check else None
    found = checkout["command"].run(plan, note)
    target = out or (None if check else stored)
    if target is not None:
        write_text(target, checkout["results"].dump(found))
        note(f"Results: {target}")
    if report is not None:
        write_text(report, checkout["report"].page(found))
        note(f"Report: {report}")
    if json:
        print_json(checkout["results"].plain(found))
    else:
        _show(found)
    if before is not None:
        _compare(checkout["check"], found, before, margin, note if json else say)


def _earlier(checkout: dict[str, Any], stored: Path, device: str) -> Path:
    """Return the results of an earlier run of the same kind, or else of the full run that came with the sources."""
    full: Path = checkout["results"].default_path(device, quick=False)
    return stored if stored.exists() else full


def _plan(
    checkout: dict[str, Any],
    quick: bool,
    backends: Sequence[str] | None,
    peers: bool,
    threads: Sequence[int] | None,
    only: Sequence[str],
) -> Any:
    usable = [name for name in ("numpy", "numba") if registry.describe(name).available]
    chosen = list(dict.fromkeys(backends or usable))
    for name in chosen:
        registry.get(name)  # an unknown or unusable one is an error now, not in ten minutes
    on_gpu = [name == "cupy" for name in chosen]
    if any(on_gpu) and not all(on_gpu):
        raise OptionError(
            "--backend cupy runs on a GPU and is measured alone: times of two devices do not compare."
        )
    cores = checkout["environment"].cores()
    usual = [cores] if all(on_gpu) else [1] if quick else sorted({1, cores})  # a GPU's host need not be starved
    counts = threads or usual
    if max(counts) > cores:
        raise OptionError(f"--threads must be at most {cores}, the cores of this process, got {max(counts)}.")
    device = "cuda" if all(on_gpu) else "cpu"
    return checkout["command"].Plan(tuple(chosen), device, tuple(dict.fromkeys(counts)), peers, quick, tuple(only))


def _show(found: dict[str, Any]) -> None:
    numbers = ("threads", "time", "its time", "times as fast", "quartiles", "of limit")
    headings = ("task", "threads", "backend", "time", "against", "its time", *numbers[3:], "target")
    print_table(headings, _rows(found), numbers)


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    seconds = load_benchmarks("table")["table"].seconds
    for row in (row for measured in found["rounds"] for row in measured["verdicts"]):
        yield (
            row["task"],
            str(row["threads"]),
            row["ours"].partition(":")[2],
            f"{seconds(row['seconds'])}/{row['per']}",
            row["against"].removeprefix("nnx:"),
            seconds(row["against_seconds"]),
            f"{row['ratio']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            "" if row["share"] is None else f"{row['share']:.0%}",
            _verdict(row),
        )


def _verdict(row: dict[str, Any]) -> str:
    if row["disputed"]:
        return "computed something else"
    wanted = [f"{row['wanted_ratio']:g}x"] if row["wanted_ratio"] is not None else []
    wanted += [f"{row['wanted_share']:.0%}"] if row["wanted_share"] is not None else []
    outcome = {True: "met: ", False: "missed: ", None: ""}[row["met"]]
    return outcome + " and ".join(wanted)


def _compare(check: Any, found: dict[str, Any], before: dict[str, Any], margin: float | None, tell: Any) -> None:
    allowed = check.MARGIN if margin is None else margin
    fallen, compared = check.regressions(found, before, allowed)
    for regression in fallen:
        tell(f"slower: {regression}")
    tell(f"{compared} ratios compared, {len(fallen)} fell by more than {allowed:.0%}")
    if fallen:
        raise typer.Exit(1)

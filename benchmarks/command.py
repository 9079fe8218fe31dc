"""Everything that `nnx bench` measures, in order, into one dictionary that is written as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import contenders, machine, ratios, scaling, suite
from benchmarks.contest import Contest, Result, kind_of
from benchmarks.kernels.cases import CASES, CONTEST, QUICK
from benchmarks.kernels.work import WORK
from benchmarks.limits import Limits, higher, measure
from benchmarks.targets import TARGETS
from benchmarks.workloads import WORKLOADS
from nnx.errors import UnknownNameError

FORMAT = 1
REPETITIONS = {"workload": 7, "kernel": 11}
QUICK_REPETITIONS = {"workload": 3, "kernel": 11}
"""Turns of each contender; those of a kernel take some hundredths of a second."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        backends: of nnx, by name.
        device: "cpu" or "cuda"; which peers take part depends on it.
        threads: the thread counts, one round each.
        peers: whether peers take part.
        quick: few sizes and repetitions.
        only: names of workloads and kernels to compare contenders on, and to measure nothing else; none for all.
    """

    backends: Sequence[str]
    device: str
    threads: Sequence[int]
    peers: bool
    quick: bool
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            UnknownNameError: there is no such workload or kernel.
        """
        for name in self.only:
            if not _named(name):
                raise UnknownNameError("workload or kernel", name, [*WORKLOADS, *CASES])

    @property
    def tasks(self) -> list[str]:
        """The names of what contenders are compared on."""
        if self.only:
            return [task for name in self.only for task in _named(name)]
        return [*WORKLOADS, *(case.name for case in (QUICK if self.quick else CONTEST))]


def _named(name: str) -> list[str]:
    """Return the workload or the kernel of one size that has a name, or a kernel's sizes."""
    return [task for task in (*WORKLOADS, *CASES) if name in (task, task.partition(" ")[0])]


def run(plan: Plan, tell: Tell) -> dict[str, Any]:
    """Measure and return the results, ready for JSON."""
    found: dict[str, Any] = {
        "format": FORMAT,
        "machine": machine.describe(),
        "device": plan.device,
        "quick": plan.quick,
        "peers_missing": contenders.peers(plan.device)[1] if plan.peers else [],
        "rounds": [],
    }
    for name in found["peers_missing"]:
        tell(f"{name} takes no part: its library is not installed (python -m pip install -e '.[peers]')")
    for threads in plan.threads:
        found["rounds"].append(_round(plan, threads, tell))
    if not plan.only:
        found["scaling"] = scaling.measure(plan.backends, max(plan.threads), plan.quick, tell)
    return found


def _round(plan: Plan, threads: int, tell: Tell) -> dict[str, Any]:
    tell(f"limits of this machine, {threads} thread{'s' * (threads > 1)}")
    limits = measure(threads, plan.device)
    kernels, workloads = _suites(plan, threads, limits, tell)
    names = contenders.ours(plan.backends) + (contenders.peers(plan.device)[0] if plan.peers else [])
    repetitions = QUICK_REPETITIONS if plan.quick else REPETITIONS
    with Contest(names, threads, plan.device, tell) as contest:
        description = contest.describe()
        results = [contest.hold(task, repetitions[kind_of(task)]) for task in plan.tasks]
    if not plan.quick:
        tell("limits once more")
        limits = higher(limits, measure(threads, plan.device))
    limits = with_best_product(limits, results)
    return {
        "threads": threads,
        "limits": asdict(limits),
        "contenders": description,
        "kernels": [refreshed(row, limits) for row in kernels],
        "workloads": workloads,
        "contest": [asdict(result) for result in results],
        "ratios": [asdict(ratio) for result in results for ratio in ratios.ratios_of(result)],
        "verdicts": [verdict for result in results for verdict in verdicts(result, limits)],
    }


def _suites(plan: Plan, threads: int, limits: Limits, tell: Tell) -> tuple[suite.Rows, suite.Rows]:
    """Measure the backends by themselves: rows of kernels, and of workloads."""
    if plan.only:
        return [], []
    tell("suites of kernels and workloads")
    return suite.run(plan.backends, threads, plan.device, plan.quick, limits)


def with_best_product(limits: Limits, results: Sequence[Result]) -> Limits:
    """Raise the limit of products to the best that any contender reached."""
    rates = [
        CASES[result.task].work.flops / min(seconds)
        for result in results
        if result.task.startswith("matmul ")
        for seconds in result.seconds.values()
        if seconds
    ]
    return replace(limits, sgemm=max([limits.sgemm, *rates]))


def refreshed(row: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Return a row of the suite of kernels with its share of limits that were not final when it was measured."""
    work = WORK[row["kernel"]](*row["shape"])
    return {**row, "fraction": limits.fraction(work, row["seconds"])}


def verdicts(result: Result, limits: Limits) -> list[dict[str, Any]]:
    """Return one row for each backend of ours: its time, the best peer, their ratio, its share of the limit."""
    rows = []
    for ratio in ratios.decisive(result):
        seconds = ratios.middle(result.seconds[ratio.ours])
        share = limits.fraction(CASES[result.task].work, seconds) if result.kind == "kernel" else None
        row = {
            "task": result.task,
            "threads": result.threads,
            "per": result.per,
            "ours": ratio.ours,
            "seconds": seconds,
            "against": ratio.against,
            "against_seconds": ratios.middle(result.seconds[ratio.against]),
            "ratio": ratio.median,
            "low": ratio.low,
            "high": ratio.high,
            "share": share,
            "disputed": ratio.ours in result.disputed,
        }
        rows.append({**row, **_against_target(row)})
    return rows


def _against_target(row: dict[str, Any]) -> dict[str, Any]:
    """Compare with the target; ratios only where a peer took part, since targets speak of peers."""
    target = TARGETS.get((row["ours"], row["task"]))
    if target is None or row["disputed"]:
        return {"wanted_ratio": None, "wanted_share": None, "met": None}
    ratio = None if ratios.is_ours(row["against"]) else row["ratio"]
    met = target.met(ratio, row["share"])
    return {"wanted_ratio": target.ratio, "wanted_share": target.share, "met": met}

"""From repetitions to ratios, verdicts and regressions: arithmetic that a wrong figure would hide behind."""

import math
from dataclasses import replace

import pytest

from benchmarks import check, command, ratios
from benchmarks.contest import Result
from benchmarks.kernels.work import WORK, Work
from benchmarks.limits import Limits, higher
from benchmarks.targets import TARGETS, Target
from nnx.errors import NnxError, UnknownNameError

LIMITS = Limits(
    threads=1,
    sgemm=200e9,
    multiply_add=250e9,
    bandwidth={"L1": 500e9, "L2": 200e9, "L3": 100e9, "DRAM": 50e9},
    in_place={"L1": 600e9, "L2": 400e9, "L3": 150e9, "DRAM": 40e9},
    capacity={"L1": 48e3, "L2": 1e6, "L3": 32e6},
)


def _result(task="W1", kind="workload", **seconds):
    named = {name.replace("__", ":").replace("_", "-"): values for name, values in seconds.items()}
    return Result(task, kind, "step", 1, seconds=named)


def test_a_slow_spell_that_hits_both_sides_of_a_turn_cancels():
    ours, theirs = [1.0, 10.0, 1.0], [2.0, 20.0, 2.0]
    assert ratios.paired(ours, theirs) == (2.0, 2.0, 2.0)


def test_ratio_is_the_median_over_turns_with_its_quartiles():
    assert ratios.paired([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 100.0]) == (3.0, 2.0, 4.0)


def test_one_turn_gives_a_ratio_without_spread():
    assert ratios.paired([2.0], [3.0]) == (1.5, 1.5, 1.5)


def test_turns_that_are_missing_on_one_side_are_an_error_not_a_shifted_pairing():
    with pytest.raises(ValueError, match="zip"):
        ratios.paired([1.0, 1.0], [2.0])


def test_best_peer_is_the_fastest_that_did_the_same_work():
    result = _result(nnx__numba=[1.0], torch=[3.0], cheat=[0.1], jax_scan=[2.0])
    result.disputed = {"cheat": 0.5}
    assert ratios.best_peer(result) == "jax-scan"
    assert [(ratio.against, ratio.median) for ratio in ratios.decisive(result)] == [("jax-scan", 2.0)]


def test_backends_are_compared_with_the_first_of_them_where_no_peer_took_part():
    result = _result(nnx__numpy=[4.0], nnx__numba=[1.0])
    assert {ratio.ours: ratio.median for ratio in ratios.decisive(result)} == {"nnx:numpy": 1.0, "nnx:numba": 4.0}


def test_a_contender_that_failed_halfway_is_left_out():
    result = _result(nnx__numba=[1.0], torch=[])
    assert ratios.best_peer(result) is None


def test_targets_count_only_against_peers():
    alone = command.verdicts(_result(nnx__numpy=[4.0], nnx__numba=[1.0]), LIMITS)
    assert [row["met"] for row in alone] == [None, None]
    among_peers = command.verdicts(_result(nnx__numpy=[2.0], nnx__numba=[1.0], torch=[1.6]), LIMITS)
    assert {row["ours"]: row["met"] for row in among_peers} == {"nnx:numpy": False, "nnx:numba": True}


def test_a_backend_that_computed_something_else_meets_no_target():
    result = _result(nnx__numba=[1.0], torch=[100.0])
    result.disputed = {"nnx:numba": 0.3}
    (row,) = command.verdicts(result, LIMITS)
    assert row["disputed"]
    assert row["met"] is None


@pytest.mark.parametrize(
    ("target", "ratio", "share", "met"),
    [
        (Target(1.5), 1.5, None, True),
        (Target(1.5), 1.49, None, False),
        (Target(1.0, 0.8), 2.0, 0.79, False),
        (Target(1.0, 0.8), None, 0.9, None),
        (Target(), 5.0, 1.0, None),
    ],
)
def test_a_target_is_met_when_all_that_it_asks_for_is_known_and_reached(target, ratio, share, met):
    assert target.met(ratio, share) is met


def test_every_target_names_a_task_that_is_measured():
    tasks = set(command.Plan((), "cpu", (1,), True, False).tasks)
    assert {task for _, task in TARGETS} <= tasks


@pytest.mark.parametrize(
    ("footprint", "level"), [(0, "L1"), (48e3, "L1"), (48e3 + 1, "L2"), (32e6, "L3"), (32e6 + 1, "DRAM")]
)
def test_arrays_live_on_the_fastest_level_that_holds_them(footprint, level):
    assert LIMITS.level(footprint) == level


def test_adam_moves_28_bytes_per_parameter_in_place():
    work = WORK["adam"](1_000_000)
    assert (work.bytes, work.footprint, work.in_place) == (28e6, 16e6, True)
    assert LIMITS.fraction(work, 28e6 / 150e9) == pytest.approx(1.0)


def test_a_product_is_limited_by_operations_and_a_thin_one_by_bytes():
    assert LIMITS.fastest(WORK["matmul"](1024, 1024, 1024)) == pytest.approx(2 * 1024**3 / 200e9)
    thin = WORK["matmul"](1_000_000, 1, 1)
    assert LIMITS.fastest(thin) == pytest.approx(thin.bytes / 100e9)


def test_the_limit_of_products_is_the_best_that_any_contender_reached():
    result = _result("matmul 256x256x256", "kernel", nnx__numba=[1e-3], torch=[1e-4])
    raised = command.with_best_product(LIMITS, [result])
    assert raised.sgemm == pytest.approx(2 * 256**3 / 1e-4)
    assert command.with_best_product(LIMITS, []).sgemm == LIMITS.sgemm


def test_of_two_measurements_of_limits_the_better_counts_level_by_level():
    rates = {**LIMITS.bandwidth, "L3": 120e9, "DRAM": 30e9}
    both = higher(LIMITS, replace(LIMITS, sgemm=210e9, bandwidth=rates))
    assert both.sgemm == 210e9
    assert both.bandwidth == {**LIMITS.bandwidth, "L3": 120e9}
    assert both.in_place == LIMITS.in_place


def test_a_kernel_without_extent_is_no_work():
    assert WORK["adam"](0) == Work(0.0, 0.0, 0.0, True)


def _stored(ratio, against="torch", task="W1", spread=0.0):
    row = {"task": task, "threads": 1, "ours": "nnx:numba", "against": against, "high": ratio + spread}
    return {"rounds": [{"verdicts": [{**row, "ratio": ratio}], "ratios": [{**row, "median": ratio}]}]}


def test_a_ratio_that_fell_beyond_the_margin_is_a_regression_and_a_smaller_fall_is_not():
    fallen, compared = check.regressions(_stored(1.5), _stored(2.0), margin=0.2)
    assert compared == 1
    assert [str(regression) for regression in fallen] == [
        "W1, 1 thread: nnx:numba was 2.00 times as fast as torch, now 1.50"
    ]
    assert check.regressions(_stored(1.7), _stored(2.0), margin=0.2) == ([], 1)


def test_a_median_that_fell_within_its_own_spread_is_no_regression():
    assert check.regressions(_stored(1.5, spread=0.2), _stored(2.0), margin=0.2) == ([], 1)


def test_a_ratio_to_a_peer_that_is_no_longer_the_best_is_still_compared():
    now = _stored(9.0, against="jax-scan")
    now["rounds"][0]["ratios"].append(
        {**now["rounds"][0]["ratios"][0], "against": "torch", "median": 1.0, "high": 1.1}
    )
    fallen, _ = check.regressions(now, _stored(2.0), margin=0.2)
    assert [regression.against for regression in fallen] == ["torch"]


def test_nothing_to_compare_is_an_error_not_a_pass():
    with pytest.raises(NnxError, match="no ratio in common"):
        check.regressions(_stored(1.0, task="W2"), _stored(1.0), margin=0.2)


def test_a_nan_ratio_does_not_pass_for_a_good_one():
    fallen, _ = check.regressions(_stored(math.nan), _stored(2.0), margin=0.2)
    assert len(fallen) == 1


def test_a_kernels_name_means_all_of_its_sizes_and_an_unknown_one_is_refused() -> None:
    tasks = command.Plan((), "cpu", (1,), True, False, only=("W2", "matmul")).tasks
    assert tasks[0] == "W2"
    assert len(tasks) > 2
    assert all(task.startswith("matmul ") for task in tasks[1:])
    with pytest.raises(UnknownNameError, match=r"Known: 'matmul .* others"):
        command.Plan((), "cpu", (1,), True, False, only=("matmull",))

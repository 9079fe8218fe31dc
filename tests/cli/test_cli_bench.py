import importlib
import json

import pytest
from support.benchmark_results import sample

import benchmarks.command
from nnx.checkout import load_benchmarks
from nnx.errors import OptionError

module = importlib.import_module("nnx.cli.bench")  # the package holds the command of that name


@pytest.fixture
def measured(monkeypatch):
    """Let a run measure nothing and find what the list's last element says."""
    plans, found = [], sample()

    def run(plan, tell):
        tell("measuring")
        plans.append(plan)
        return found

    monkeypatch.setattr(benchmarks.command, "run", run)
    return plans, found


def test_bench_writes_results_and_shows_ratios_with_their_targets(run_nnx, measured):
    result = run_nnx("bench", "--quick", "--backend", "numba", "--peers", "--out", "found.json")
    assert result.exit_code == 0
    assert "2.50" in result.stdout
    assert "met: 2x" in result.stdout
    assert "computed something else" in result.stdout
    (plan,) = measured[0]
    assert (plan.backends, plan.threads, plan.peers, plan.quick, plan.device) == (
        ("numba",),
        (1,),
        True,
        True,
        "cpu",
    )
    written = run_nnx("bench", "--json", "--out", "again.json")
    assert json.loads(written.stdout)["format"] == 1


def test_check_passes_against_itself_and_exits_1_when_a_ratio_fell(run_nnx, measured, tmp_path):
    run_nnx("bench", "--out", "before.json")
    same = run_nnx("bench", "--check", "--against", "before.json")
    assert same.exit_code == 0
    assert "2 ratios compared, 0 fell by more than 20%" in same.stdout
    for row in measured[1]["rounds"][0]["ratios"]:
        row.update(median=0.7 * row["median"], high=0.7 * row["high"])
    slower = run_nnx("bench", "--check", "--against", "before.json")
    assert slower.exit_code == 1
    assert "slower: W2, 1 thread: nnx:numba was 2.50 times as fast as jax-scan, now 1.75" in slower.stdout
    assert run_nnx("bench", "--check", "--against", "before.json", "--margin", "0.4").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["before.json"]  # a check replaces nothing


@pytest.mark.usefixtures("measured")
def test_report_is_written_beside_the_results(run_nnx, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing draws the report")
    assert run_nnx("bench", "--out", "r.json", "--report", "r.html").exit_code == 0
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_outside_a_source_checkout_one_line_says_where_the_benchmarks_are(
    run_nnx, complaint, monkeypatch, tmp_path
):
    monkeypatch.setattr("nnx.checkout.ROOT", tmp_path)
    result = run_nnx("bench", "--quick")
    assert "part of the source checkout" in complaint(result)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("--backend", "nunba"), "Did you mean 'numba'?"),
        (("--threads", "4096"), "the cores of this process, got 4096"),
        (("--out", "no/such/folder.json"), "--out must lie in a folder that exists"),
        (("--margin", "0.1"), "--against and --margin belong to --check"),
        (("--check", "--against", "none.json"), "There are no results in 'none.json'"),
    ],
)
def test_mistakes_are_found_before_anything_is_measured(run_nnx, complaint, measured, arguments, wrong):
    assert wrong in complaint(run_nnx("bench", *arguments))
    assert measured[0] == []


def test_a_gpu_is_not_measured_beside_processors(monkeypatch):
    monkeypatch.setattr(module.registry, "get", lambda name: name)
    checkout = load_benchmarks(*module.PARTS)
    with pytest.raises(OptionError, match="measured alone"):
        module._plan(checkout, False, ["cupy", "numba"], False, None, ())
    plan = module._plan(checkout, False, ["cupy"], True, None, ())
    assert (plan.device, plan.threads) == ("cuda", (checkout["environment"].cores(),))


def test_bench_measures_only_what_is_named(run_nnx, measured):
    assert run_nnx("bench", "--only", "W5", "--only", "W7", "--out", "some.json").exit_code == 0
    (plan,) = measured[0]
    assert plan.tasks == ["W5", "W7"]


def test_part_of_a_run_does_not_replace_the_stored_results(run_nnx, measured):
    result = run_nnx("bench", "--only", "W5")
    assert result.exit_code == 2
    assert "--only needs --out or --check" in result.stderr
    assert measured[0] == []


def test_bench_names_the_workload_that_is_nearest_to_an_unknown_one(run_nnx):
    result = run_nnx("bench", "--only", "W55", "--out", "some.json")
    assert result.exit_code == 2
    assert "Did you mean 'W5'?" in result.stderr

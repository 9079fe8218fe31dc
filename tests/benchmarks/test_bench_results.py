"""Results on disk, the README's table, and the report."""

import base64
import json
import re
import subprocess
import sys

import pytest
from support.benchmark_results import sample

from benchmarks import environment, figures, report, results, scaling, table
from nnx.errors import FileFormatError


def test_results_survive_writing_and_reading_with_digits_that_a_clock_has(tmp_path):
    path = tmp_path / "cpu.json"
    path.write_text(results.dump({**sample(), "seconds": 0.123456789}), encoding="utf-8")
    assert results.read(path)["seconds"] == 0.12346
    assert results.read(path)["rounds"][0]["verdicts"][0]["ratio"] == 2.5


def test_a_peer_that_diverged_does_not_cost_the_results_of_an_hour():
    text = results.dump({"losses": [float("nan"), 1.0], "disputed": {"torch": float("inf")}, "shape": (2, 3)})
    assert json.loads(text) == {"losses": [None, 1.0], "disputed": {"torch": None}, "shape": [2, 3]}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "is not JSON"), ("[]", "holds no benchmark results"), ('{"format": 0, "rounds": []}', "format 1")],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, text, complaint):
    path = tmp_path / "cpu.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=complaint):
        results.read(path)


def test_missing_results_say_how_to_get_them(tmp_path):
    with pytest.raises(FileFormatError, match=r"`nnx bench --peers --out .*none.json` would measure some"):
        results.read(tmp_path / "none.json")


def test_quick_results_do_not_replace_full_ones():
    assert results.default_path("cpu", quick=True) != results.default_path("cpu", quick=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.5 s"), (0.0283, "28.3 ms"), (6.9e-7, "690 ns"), (7.31e-6, "7.31 us"), (0.0, "0 ns")],
)
def test_times_have_three_digits_and_a_fitting_unit(value, text):
    assert table.seconds(value) == text


def test_table_has_a_row_per_undisputed_workload_and_names_the_machine():
    text = table.markdown(sample())
    assert "| W2 | 1 | numba | 28 ms per epoch | jax-scan | 70 ms | **2.50** (2.40 to 2.60) |" in text
    assert "| numpy |" not in text
    assert "Test <CPU>, 2 cores, avx2; Python 3.11.7, numpy 2.4.6." in text


def test_table_replaces_only_what_stands_between_the_markers(tmp_path):
    stored, readme = tmp_path / "cpu.json", tmp_path / "README.md"
    stored.write_text(results.dump(sample()), encoding="utf-8")
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    table.rewrite(readme, stored)
    once = readme.read_text(encoding="utf-8")
    assert once.startswith(f"before\n{table.BEGIN}\n| Workload")
    assert once.endswith(f"{table.END}\nafter\n")
    assert "old" not in once
    table.rewrite(readme, stored)
    assert readme.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("text", ["", table.BEGIN, f"{table.END} {table.BEGIN}", (table.BEGIN + table.END) * 2])
def test_a_readme_without_its_markers_is_refused(text):
    with pytest.raises(FileFormatError, match="must hold"):
        table.replaced(text, "table")


def test_the_readme_has_its_markers():
    text = (environment.ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{table.BEGIN}\nanother table\n{table.END}" in table.replaced(text, "another table")


def test_curves_cross_where_logarithmic_lines_do():
    ((size, seconds),) = figures.crossings([(1, 1.0), (100, 100.0)], [(1, 10.0), (100, 10.0)])
    assert size == pytest.approx(10)
    assert seconds == pytest.approx(10)


def test_parallel_touching_and_disjoint_curves_do_not_cross():
    assert figures.crossings([(1, 1.0), (2, 2.0)], [(1, 2.0), (2, 4.0)]) == []
    assert figures.crossings([(1, 1.0), (2, 2.0), (3, 1.0)], [(1, 2.0), (2, 2.0), (3, 2.0)]) == []
    assert figures.crossings([(1, 1.0)], [(2, 2.0)]) == []


def test_report_is_one_page_that_needs_nothing_else_and_escapes_names():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing draws the report")
    page = report.page(sample())
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert [base64.b64decode(text)[:4] for text in pictures] == [b"<svg"] * 2
    assert "Test &lt;CPU&gt;" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "computed something else" in page


def test_report_draws_what_was_measured_and_no_empty_picture():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing draws the report")
    found = sample()
    found["rounds"][0].update(kernels=[], workloads=[], verdicts=[])
    assert report.page(found).count("<img") == 0
    found["rounds"][0]["workloads"] = sample()["rounds"][0]["workloads"]
    assert report.page(found).count("<img") == 1


def test_report_of_some_workloads_alone_has_no_part_on_scaling():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing draws the report")
    found = sample()
    del found["scaling"]
    assert "Cost as work grows" in report.page(sample())
    assert "Cost as work grows" not in report.page(found)


def test_backends_of_others_have_colours_of_their_own():
    names = ["numpy", "mine", "yours"]
    assert len({figures.colour(name, names) for name in names}) == 3


def test_deviation_is_that_from_proportional_time():
    rows = [{"examples": 10, "seconds": 1.0}, {"examples": 20, "seconds": 2.0}, {"examples": 40, "seconds": 5.0}]
    assert scaling.deviation(rows) == pytest.approx(0.25)


def test_scaling_of_a_small_run_needs_the_memory_it_should():
    measured = scaling._ask("epochs", "numpy", "100000", "1")
    assert measured["seconds"] > 0
    # pages are counted, and the allocator keeps some that were freed: some MB beside 28
    assert measured["bytes"] == pytest.approx(measured["required"], rel=0.25)


def test_suite_of_kernels_reports_rates_and_shares_of_limits(tmp_path):
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed: no suites")
    limits, found = tmp_path / "limits.json", tmp_path / "found.json"
    rates = {"L1": 5e11, "L2": 2e11, "L3": 1e11, "DRAM": 5e10}
    room = {"L1": 48e3, "L2": 1e6, "L3": 3e7}
    held = {
        "threads": 1,
        "sgemm": 2e11,
        "multiply_add": 0.0,
        "bandwidth": rates,
        "in_place": rates,
        "capacity": room,
    }
    limits.write_text(json.dumps({"cpu": held}), encoding="utf-8")
    options = ["--bench-quick", "--bench-backend=numpy", f"--bench-limits={limits}", f"--benchmark-json={found}"]
    command = [sys.executable, "-m", "pytest", "benchmarks/test_kernels.py", "-k", "adam and 10000-", *options]
    env = environment.clean(1)
    done = subprocess.run(command, cwd=environment.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (entry,) = json.loads(found.read_text(encoding="utf-8"))["benchmarks"]
    row = entry["extra_info"]
    assert row["level"] == "L2"
    assert row["bytes_per_second"] == pytest.approx(280_000 / row["seconds"])
    assert row["fraction"] == pytest.approx(row["bytes_per_second"] / 2e11)


def test_suites_refuse_settings_that_change_what_is_measured():
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed: no suites")
    command = [sys.executable, "-m", "pytest", "benchmarks", "--collect-only"]
    env = {**environment.clean(1), "OPENBLAS_CORETYPE": "Haswell"}
    done = subprocess.run(command, cwd=environment.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "OPENBLAS_CORETYPE in the environment: it would change what is measured" in done.stderr

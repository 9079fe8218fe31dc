import io
import re
import sys

from support.small_experiments import RUN, Toy, experiment

from nnx.cli.progress import show_progress
from nnx.experiments import EXPERIMENTS
from nnx.experiments.execution.keeping import Kept
from nnx.experiments.execution.running import carry_out, make_plan


def test_progress_elsewhere_than_on_a_terminal_is_some_lines_that_count_what_was_kept(run_nnx, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "toy", experiment({"first": Toy()}))
    assert run_nnx(*RUN, "--seeds", "1").stderr == "toy on generic:numpy: 1 run of 1 row x 1 seed\n"
    kept, begun, *lines = run_nnx(*RUN, "--seeds", "101").stderr.splitlines()
    assert kept.startswith("1 of 101 runs were kept")
    assert begun == "toy on generic:numpy: 100 runs of 1 row x 101 seeds"
    assert [line.split(",")[0] for line in lines] == [f"{10 * tenth + 1} of 101 runs" for tenth in range(1, 10)]
    assert all(re.fullmatch(r".* runs, about \d+:\d\d left", line) for line in lines)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_shows_each_row_and_all_of_them(tmp_path, monkeypatch):
    toy = experiment({"first [x]": Toy(), "second": Toy()})
    carry_out(make_plan(toy, toy.rows[:1], "generic:numpy", 2, Kept(tmp_path)), 1)
    plan = make_plan(toy, toy.rows, "generic:numpy", 4, Kept(tmp_path))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "70")
    with show_progress(plan) as ended:
        begun = plan.runs[1]
        assert begun.row.name == "second"
        ended(begun)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).splitlines()
    lines = [" ".join(re.sub("[━╸╺]", "", line).split()) for line in shown if line.strip()]
    assert lines[-3].startswith("all runs 3/8 ")
    assert lines[-2:] == ["first [x] 2/4", "second 1/4"]
    assert max(map(len, shown)) <= 70

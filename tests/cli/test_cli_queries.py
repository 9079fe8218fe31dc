import json
import os
import subprocess
import sys

import pytest

import nnx
from nnx import conformance
from nnx.conformance import Failure, Report


def _run_process(*arguments, **environment):
    code = "from nnx.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)


def test_version_is_that_of_the_package(run_nnx):
    assert run_nnx("--version").stdout == f"nnx {nnx.__version__}\n"


@pytest.mark.parametrize(
    "command", [(), ("demo",), ("train",), ("predict",), ("backends",), ("check",), ("bench",), ("data", "list")]
)
def test_help_shows_examples_that_begin_with_the_command(run_nnx, command):
    result = run_nnx(*command, "--help")
    assert result.exit_code == 0
    assert f"nnx {' '.join(command)}".strip() in result.stdout.split("Examples:")[1]


def test_usage_names_arguments_without_braces_that_look_like_a_choice(run_nnx):
    for command, arguments in (("train", "DATASET"), ("predict", "MODEL IMAGE..."), ("check", "BACKEND")):
        (usage,) = (line for line in run_nnx(command, "--help").stdout.splitlines() if "Usage:" in line)
        assert usage.strip() == f"Usage: nnx {command} [OPTIONS] {arguments}"


def test_tables_have_no_blanks_at_the_ends_of_lines(run_nnx, monkeypatch):
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        for words in (("backends",), ("data", "list"), ("example", "list")):
            lines = run_nnx(*words).stdout.splitlines()
            assert lines == [line.rstrip() for line in lines]
            assert max(map(len, lines)) <= int(columns)


def test_unknown_command_suggests_the_nearest(run_nnx, complaint):
    result = run_nnx("trian")
    assert complaint(result) == "error: No such command 'trian'. Did you mean 'train'? Try 'nnx --help'."
    assert result.exit_code == 2


def test_backends_json_tells_why_one_is_not_usable(run_nnx, monkeypatch):
    def fail():
        raise nnx.errors.BackendUnavailableError("absent", "It is not installed.", "Install it.")

    monkeypatch.setitem(nnx.registry._registered, "absent", fail)
    found = {info["name"]: info for info in json.loads(run_nnx("backends", "--json").stdout)}
    assert {"numpy", "numba", "cupy", "absent"} <= set(found)
    assert all(list(info) == ["name", "available", "reason", "device"] for info in found.values())
    assert found["numpy"]["available"] is True
    assert found["numpy"]["device"]
    absent = {"name": "absent", "available": False, "reason": "It is not installed. Install it.", "device": ""}
    assert found["absent"] == absent
    assert "It is not installed. Install it." in run_nnx("backends").stdout


def test_data_list_and_fetch_find_what_ships(run_nnx, complaint):
    listed = {entry["name"]: entry for entry in json.loads(run_nnx("data", "list", "--json").stdout)}
    assert listed["digits"]["place"] == "built in"
    assert set(listed) == set(nnx.datasets.names())
    (path,) = json.loads(run_nnx("data", "fetch", "digits", "--json").stdout)["files"]
    assert path.endswith("digits.h5")
    assert run_nnx("data", "fetch", "digits").stdout == f"{path}\n"
    assert "Did you mean 'mnist'?" in complaint(run_nnx("data", "fetch", "mnits"))


def test_check_of_a_sound_kernel_passes(run_nnx):
    result = run_nnx("check", "generic:numpy", "--kernel", "increment", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["failed"] == 0 < report["passed"]


def test_check_that_fails_shows_what_is_wrong_and_exits_1(run_nnx, monkeypatch):
    def fail(backend, progress=None, kernels=None):
        del progress, kernels
        return Report(backend.name, 3, [Failure("softmax float32", "y[0] is 1, not 2")], 0.5)

    monkeypatch.setattr(conformance, "check_backend", fail)
    shown, machine = run_nnx("check", "generic:numpy"), run_nnx("check", "generic:numpy", "--json")
    assert (shown.exit_code, machine.exit_code) == (1, 1)
    assert "y[0] is 1, not 2" in shown.stdout
    assert "3 checks passed, 1 failed" in shown.stdout
    assert json.loads(machine.stdout)["failures"] == [{"name": "softmax float32", "message": "y[0] is 1, not 2"}]


def test_check_of_an_unknown_kernel_is_a_wrong_option(run_nnx, complaint):
    result = run_nnx("check", "generic:numpy", "--kernel", "sofmax")
    assert "Did you mean 'softmax'?" in complaint(result)
    assert result.exit_code == 2


def test_real_process_keeps_results_and_notes_apart(tmp_path):
    result = _run_process(
        "train", "digits", "--layers", "8", "--epochs", "1", "--json", "--save", str(tmp_path / "m.h5")
    )
    assert result.returncode == 0
    assert json.loads(result.stdout)["epochs"] == 1
    assert result.stderr == ""


def test_real_process_says_a_mistake_in_one_line_without_colour():
    result = _run_process("train", "digits", "--backend", "nunba", NO_COLOR="1")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: Unknown backend 'nunba'. Did you mean 'numba'?")
    assert result.stderr.count("\n") == 1


def test_importing_nnx_does_not_load_the_command_line():
    code = "import sys, nnx; print([name for name in ('typer', 'rich', 'nnx.cli') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "[]\n"

"""Every backend passes the conformance kit, and the kit covers the whole interface and reports readably."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from nnx import Backend
from nnx.conformance import Report, check_backend, checks
from nnx.conformance.case import InPlace, Output
from nnx.conformance.cases import CASES
from nnx.errors import OptionError, UnknownNameError
from nnx.interface.arrays import Arrays
from nnx.interface.generic import GenericBackend

SUBJECTS = list(dict.fromkeys(check.subject for check in checks()))
KERNELS = {
    name
    for family in Backend.__mro__
    if issubclass(family, Arrays) and family not in (Arrays, Backend)
    for name in vars(family)
    if not name.startswith("_")
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_backend_conforms(backend: Backend, subject: str) -> None:
    report = check_backend(backend, kernels=[subject])
    assert report.ok, str(report)


def test_every_kernel_of_the_interface_has_cases() -> None:
    assert {case.kernel for case in CASES} == KERNELS


def test_every_destination_of_every_kernel_is_compared() -> None:
    """A case that passes None or an input where a kernel writes would hide that destination."""
    compared: dict[str, set[str]] = {}
    for case in CASES:
        arguments = case.arguments(case.dtypes[0])
        names = {name for name, a in arguments.items() if isinstance(a, Output | InPlace)}
        compared.setdefault(case.kernel, set()).update(names)
    assert compared["linear_backward"] == {"dz", "dx", "dw", "db"}
    assert compared["batch_norm"] == {"running_mean", "running_var", "y", "mean", "rstd"}
    assert compared["conv2d_backward"] == {"dz", "dx", "dw", "db"}
    assert compared["lstm"] == {"y", "gates", "cells", "h_last", "c_last"}
    assert compared["lstm_backward"] == {"dxw", "du", "dh0", "dc0"}
    assert compared["gru_backward"] == {"dxw", "dhu", "du", "db", "dh0"}
    assert compared["adam"] == {"p", "m", "v"}
    assert all(compared.values())


def test_check_names_are_unique_so_that_each_can_be_selected() -> None:
    repeated = [name for name, count in Counter(check.name for check in checks()).items() if count > 1]
    assert not repeated


def test_unknown_kernel_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"'sofmax'.*Did you mean 'softmax'"):
        checks(["sofmax"])
    with pytest.raises(OptionError, match=r"kernels must name at least one kernel, or be None for all, got \[\]"):
        check_backend("generic:numpy", kernels=[])


class _Broken(GenericBackend):
    """A backend with one kernel that is wrong and one that raises."""

    def batch_norm_backward(self, *arguments: object) -> None:
        super().batch_norm_backward(*arguments)
        if arguments[5] is not None:
            arguments[5][-1:] *= 2

    def increment(self, _counter: object) -> None:
        raise ValueError("no counting today")


@pytest.fixture(scope="module")
def broken_report() -> Report:
    return check_backend(_Broken(np, "broken"), kernels=["batch_norm_backward", "increment", "sgd"])


def test_report_collects_all_failures_and_counts_the_rest(broken_report: Report) -> None:
    assert not broken_report.ok
    total = len(checks(["batch_norm_backward", "increment", "sgd"]))
    assert broken_report.passed + len(broken_report.failures) == total
    assert broken_report.passed > len(checks(["sgd"])) - 1


def test_failure_names_kernel_dtype_shape_place_and_values(broken_report: Report) -> None:
    wrong = [failure.message for failure in broken_report.failures if "(257, 32)" in failure.message]
    assert len(wrong) == 2
    pattern = (
        "batch_norm_backward float32 (257, 32): dx differs from the reference by ",
        " times the tolerance at [256, ",
        ": got ",
        ", expected ",
    )
    assert all(part in wrong[0] for part in pattern), wrong[0]


def test_exception_of_a_kernel_is_reported_as_its_failure(broken_report: Report) -> None:
    assert any("ValueError: no counting today" in failure.message for failure in broken_report.failures)


def test_progress_is_told_every_check() -> None:
    seen: list[tuple[str, int, int]] = []
    check_backend(Backend.from_namespace(np), lambda *told: seen.append(told), ["increment"])
    assert [done for _, done, _ in seen] == list(range(len(checks(["increment"]))))


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["--backend", "generic:numpy", "--kernel", "increment"], 0, "passed"),
        (["--backend", "numpy", "--backend", "generic:array_api_strict", "--kernel", "increment"], 0, "passed"),
        (["--backend", "nonsense"], 2, "Unknown backend 'nonsense'"),
        (["--kernel", "nonsense"], 2, "Unknown subject of a check 'nonsense'"),
    ],
)
def test_kit_runs_under_pytest(arguments: list[str], code: int, shown: str, tmp_path: object) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "nnx.conformance.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--pyargs", "nnx.conformance", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert shown in done.stdout

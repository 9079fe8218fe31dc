"""The pytest-benchmark suites, run in a clean process; their extra info comes back as rows."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.limits import Limits
from nnx.errors import NnxError

Rows = list[dict[str, Any]]


def run(backends: Sequence[str], threads: int, device: str, quick: bool, limits: Limits) -> tuple[Rows, Rows]:
    """Return the rows of the suite of kernels and of that of workloads.

    Raises:
        NnxError: pytest-benchmark is not installed, or a benchmark failed.
    """
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise NnxError(
            "The suites need pytest-benchmark, which is not installed: python -m pip install -e '.[bench]'."
        )
    with tempfile.TemporaryDirectory() as folder:
        results, given = Path(folder) / "results.json", Path(folder) / "limits.json"
        given.write_text(json.dumps({device: asdict(limits)}), encoding="utf-8")
        command = [sys.executable, "-c", _PROGRAM, str(threads), *_arguments(backends, quick, given, results)]
        env = environment.clean(threads, device)
        done = subprocess.run(command, env=env, cwd=environment.ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not results.exists():
            raise NnxError(f"The suites failed:\n{_failures(done.stdout)}{done.stderr}")
        found = [entry["extra_info"] for entry in json.loads(results.read_text("utf-8"))["benchmarks"]]
    return [row for row in found if "kernel" in row], [row for row in found if "workload" in row]


_PROGRAM = """
import sys
from benchmarks import environment
environment.pin(int(sys.argv[1]))
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


def _arguments(backends: Sequence[str], quick: bool, limits: Path, results: Path) -> list[str]:
    options = ["--bench-quick"] if quick else []
    chosen = [f"--bench-backend={name}" for name in backends]
    paths = [f"--bench-limits={limits}", f"--benchmark-json={results}"]
    return ["benchmarks", "-q", "-p", "no:cacheprovider", "--benchmark-quiet", *options, *chosen, *paths]


def _failures(output: str) -> str:
    lines = output.splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(("E ", "FAILED", "ERROR"))) or output

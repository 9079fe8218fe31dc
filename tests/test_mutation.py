"""The command that makes faults in nnx works: it tells those that the tests notice from those that they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(os.name == "nt", reason="the command needs a system that can fork")
def test_faults_that_tests_notice_are_told_from_those_that_they_do_not():
    pytest.importorskip("mutmut", reason="the faults are made by mutmut: pip install 'nnx-framework[test]'")
    command = [sys.executable, "-m", "tests.mutation", "nnx/random.py", "--only", "0", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("0: survived, line ")
    assert "\n-Floats = NDArray[np.float64]\n+Floats = None\n" in done.stdout
    assert "| nnx/random.py | 2 | 1 | 0 | 1 | 50.0% |" in done.stdout

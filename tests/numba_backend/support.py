"""Programs in processes of their own, and numbers to compute with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import nnx

ROOT = Path(nnx.__path__[0]).parent


def start(program: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Run a program on the copied package in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    kept |= {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", program], env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def outcome(process: subprocess.Popen[str]) -> list[str]:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output.split()


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

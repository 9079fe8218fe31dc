"""What is part of the source checkout only: the benchmarks."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from nnx.errors import NnxError

ROOT = Path(__file__).resolve().parent.parent


def has_benchmarks() -> bool:
    """Whether this nnx was imported from a source checkout."""
    return (ROOT / "benchmarks" / "contest.py").exists()


def load_benchmarks(*names: str) -> dict[str, ModuleType]:
    """Import modules of the benchmarks, by name.

    Raises:
        NnxError: this nnx was not imported from a source checkout.
    """
    if not has_benchmarks():
        raise NnxError(
            "The benchmarks are part of the source checkout, not of the installed package: get the sources, "
            "run `python -m pip install -e '.[bench]'` there, and call this again."
        )
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return {name: importlib.import_module(f"benchmarks.{name}") for name in names}

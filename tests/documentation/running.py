"""Runs the program of a page in a process of its own: python -m tests.documentation.running PAGE.

It writes what each block prints as a JSON list; pictures and other files land in the working folder.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.documentation.pages import blocks_of

ROOT = Path(__file__).parents[2]


def printed_by(page: Path, folder: Path) -> list[str]:
    """Run a page's program in a folder; return what each block printed.

    Raises:
        AssertionError: the program failed; the message is its traceback.
    """
    paths = [str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")]
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "80"}
    surroundings.pop("NNX_BACKEND", None)
    command = [sys.executable, "-m", "tests.documentation.running", str(page)]
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def run(page: Path) -> list[str]:
    """Run the blocks in order, in one namespace; warnings are errors."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    warnings.simplefilter("error")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
    for number, block in enumerate(blocks_of(page.read_text(encoding="utf-8")), 1):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(block.code, f"{page.name}, block {number}", "exec"), names)
        printed.append(out.getvalue())
    return printed


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))

"""Commands that mpiexec has started several times over: one of them speaks for all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nnx.distributed import launched_ranks, open_group


def joins_others() -> bool:
    """Return whether this process is the one that prints and writes files; silence it if it is not.

    Raises:
        MissingLibraryError, BackendError: there are several, but they cannot hear each other.
    """
    if launched_ranks() == 1 or open_group().leads:
        return True
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # until the process ends
    return False

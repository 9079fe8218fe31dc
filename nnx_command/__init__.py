"""What the command `nnx` runs first: a package of its own, since to import anything of `nnx` takes a while."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line; Ctrl-C ends it with one line, also while libraries are still being imported."""
    try:
        from nnx.cli import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)

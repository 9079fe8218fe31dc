"""All commands: loaded when asked for, and their exceptions turned into exit codes."""

from __future__ import annotations

import errno
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from nnx.cli.loading import Places
from nnx.cli.output import note
from nnx.cli.usage import UsageError, offer_only
from nnx.errors import NnxError, OptionError, UnknownNameError

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class Commands(TyperGroup):
    """All commands of nnx; their mistakes read as one line on stderr, without a traceback."""

    def __init__(self, **options: Any) -> None:
        """Take the options of typer, which knows of no commands."""
        super().__init__(**options)
        self.commands: Any = Places()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `offer_only`."""
        offer_only(ctx)
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Parse the command line, run the command and exit with its code."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except UsageError as error:
            _report_usage(error)
            code = USAGE
        except typer.Abort:  # what a Ctrl-C becomes that comes before the command itself runs
            note("interrupted")
            code = INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors that nnx raises on purpose become exit codes."""
        try:
            return super().invoke(ctx)
        except NnxError as error:
            note(f"error: {error}")
            raise typer.Exit(USAGE if isinstance(error, OptionError | UnknownNameError) else FAILED) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone; typer ends silently
                raise
            note(f"error: {error}")
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as error:
            note(str(error) or "interrupted")
            raise typer.Exit(INTERRUPTED) from error


def _report_usage(error: Any) -> None:
    if not error.format_message():  # nothing but `nnx` was typed: typer raises this to show the help
        error.show()
        return
    text = error.format_message().strip()
    hint = f" Try '{error.ctx.command_path} --help'." if error.ctx else ""
    note(f"error: {text}{'' if text.endswith(('.', '?')) else '.'}{hint}")

"""The messages of nnx's loggers, on stderr: `nnx --log-level info train mnist`."""

from __future__ import annotations

import logging
import sys

import typer

from nnx.cli.values import OneOf, UsageError


class Levels(OneOf):
    """The names of levels."""

    def __call__(self, typed: str) -> str:
        """See `Text`."""
        if typed not in self.names:
            raise UsageError(f"--log-level must be one of {', '.join(self.names)}, got {typed!r}.")
        return typed


LEVELS = Levels(("debug", "info", "warning", "error"))


class Notes(logging.Handler):
    """Prints messages to what is stderr at that moment: a progress bar goes on below, silenced ranks are silent."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        print(self.format(record), file=sys.stderr)


def show_messages(context: typer.Context, level: str) -> None:
    """Show the messages of a level and of those above it until the command has ended."""
    logger, handler, before = logging.getLogger("nnx"), Notes(), logging.getLogger("nnx").level
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level.upper())

    def end() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)

    context.call_on_close(end)

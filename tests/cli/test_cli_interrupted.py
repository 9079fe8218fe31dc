"""Ctrl-C before a command has begun ends it with one line, as it does later."""

from __future__ import annotations

import pytest

from nnx.cli import app
from nnx.cli.usage import Command


def test_an_interruption_while_options_are_read_is_one_line(monkeypatch, capsys):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Command, "parse_args", interrupt)
    with pytest.raises(SystemExit) as ended:
        app(["backends"], prog_name="nnx")
    assert ended.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted"

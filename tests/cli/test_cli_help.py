"""Every command shows how it is used, by command lines that are right."""

import re
import shlex

import pytest
import typer

from nnx.cli import app


def commands_below(command, words=("nnx",)):
    """Yield every command with the words that call it."""
    yield words, command
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from commands_below(command.get_command(None, name), (*words, name))


COMMANDS = dict(commands_below(typer.main.get_command(app)))


def examples_of(command):
    """Return the command lines of a command's help, without what a shell does with them."""
    _, _, listed = command.help.partition("Examples:")
    lines = [line.partition(" > ")[0].strip() for line in listed.splitlines() if line.strip()]
    return [shlex.split(line[line.index("nnx ") :], comments=True) for line in lines]


def called_by(words):
    """Return the command that a line calls, and the words behind its name; options in front of it are nnx's own."""
    while words[1].startswith("--"):
        (option,) = (param for param in COMMANDS[words[0],].params if words[1] in param.opts)
        words = [words[0], *words[2 if option.is_flag else 3 :]]
    depth = max(count for count in (1, 2, 3) if tuple(words[:count]) in COMMANDS)
    return COMMANDS[tuple(words[:depth])], words[depth:]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_examples_of_it(words):
    lines = examples_of(COMMANDS[words])
    assert lines
    assert all(tuple(line[: len(words)]) == words for line in lines)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_examples_of_every_command_name_options_and_arguments_that_exist(words):
    for line in examples_of(COMMANDS[words]):
        command, rest = called_by(line)
        assert not hasattr(command, "list_commands"), line  # a group does nothing by itself
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= known
        context = command.make_context(None, [*rest], resilient_parsing=True)
        needed = [param.name for param in command.params if param.required]
        assert context.args == []  # no word is left over
        assert "--schema" in rest or all(context.params[name] is not None for name in needed), line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_does(words):
    for param in COMMANDS[words].params:
        assert param.help, param.name
        assert re.search(r"[.]$", param.help), param.help

"""The schema for editors and what `nnx train --config` takes are one thing."""

import json
import tomllib
from pathlib import Path

import pytest
import typer

from nnx.cli import app
from nnx.cli.training import Task
from nnx.cli.usage import UsageError
from nnx.errors import NnxError, OptionError, UnknownNameError

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "train.json"

VALUES = {
    "whole numbers": ("1", "3", "0", "-1", "3.0", "2.5", "1e2", "18446744073709551615", "18446744073709551616"),
    "numbers": ("0.0", "0.5", "0.999", "1.0", "-0.1", "1e-300"),
    "texts": (
        "''",
        "'3'",
        "'full'",
        "'relu'",
        "'adam'",
        "'he'",
        "'Adam'",
        "'numpy'",
        "'x.svg'",
        "'x.h5'",
        "'.svg'",
    ),
    "texts of numbers": ("'20,7,5'", "' 20 , 7 '", "'20,'", "'0'", "'020'", "'-3'", "' 32 '"),
    "others": ("true", "false", "1979-05-27", "{}", "[]", "[8, 4]", "[8, 0]", "[8.0]", "['8']", "[[8]]", "[true]"),
}
"""Values of TOML. What the machine decides is left aside: which folders, engines and amounts of memory there are;
and infinities and NaN, which JSON does not have, so that a schema cannot speak of them."""

TOGETHER = (
    "",
    "epochs = 2\niterations = 2",
    "iterations = 2",
    "patience = 2",
    "patience = 2\nvalidation-split = 0.0",
    "patience = 2\nvalidation-split = 0.1",
    "epochs = 2\nlearnin-rate = 1",
    "batch_size = 2",
    "config = 'other.toml'",
    "schema = true",
    "help = true",
    "dataset = 'digits'",
)


class TrainingError(NnxError):
    """Every option was taken."""


@pytest.fixture
def schema(run_nnx):
    return json.loads(run_nnx("train", "--schema").stdout)


@pytest.fixture
def taken(monkeypatch, tmp_path):
    """Tell whether a file of options is taken."""

    def end(*_arguments):
        raise TrainingError("all options are fine")

    monkeypatch.setattr(Task, "run", end)
    command, path = typer.main.get_command(app).commands["train"], tmp_path / "run.toml"

    def take(text):
        path.write_text(text)
        try:
            command.main(["digits", "--config", str(path)], prog_name="nnx train", standalone_mode=False)
        except TrainingError:
            return True
        except (UsageError, OptionError, UnknownNameError):  # those that end nnx with exit code 2
            return False
        pytest.fail(f"{text!r} neither trains nor is refused")

    return take


def disagreements(schema, taken, texts):
    from jsonschema import Draft7Validator

    validator = Draft7Validator(schema)
    return [text for text in texts if validator.is_valid(tomllib.loads(text)) != taken(text)]


@pytest.mark.parametrize("sort", VALUES)
def test_the_schema_takes_and_refuses_the_values_that_the_command_does(schema, taken, sort):
    pytest.importorskip("jsonschema", reason="checking files against a schema needs jsonschema")
    names = sorted(schema["properties"])
    files = {"backend", "save", "csv", "checkpoint"}  # of which a schema knows only that they are texts
    texts = [
        f"{name} = {value}"
        for name in names
        for value in VALUES[sort]
        if name not in files or not value.startswith("'")
    ]
    assert disagreements(schema, taken, texts) == []


def test_the_schema_takes_and_refuses_what_options_are_together(schema, taken):
    pytest.importorskip("jsonschema", reason="checking files against a schema needs jsonschema")
    assert disagreements(schema, taken, TOGETHER) == []


def test_the_schema_is_one_and_takes_its_own_defaults(schema):
    jsonschema = pytest.importorskip("jsonschema", reason="checking a schema needs jsonschema")
    jsonschema.Draft7Validator.check_schema(schema)
    defaults = {name: about["default"] for name, about in schema["properties"].items() if "default" in about}
    assert {"layers", "batch-size", "seed", "json"} <= set(defaults)
    jsonschema.validate(defaults, schema)


def test_the_schema_names_every_option_that_help_does(run_nnx, schema):
    shown = run_nnx("train", "--help").stdout
    assert all(f"--{name} " in shown for name in schema["properties"])
    listed = {word for word in shown.partition("Options")[2].split() if word.startswith("--")}
    assert listed - {"--config", "--schema", "--help"} == {f"--{name}" for name in schema["properties"]}
    assert all(about["description"] for about in schema["properties"].values())


def test_the_schema_in_the_documentation_is_what_the_command_prints(run_nnx):
    assert SCHEMA.read_text() == run_nnx("train", "--schema").stdout, (
        "nnx train --schema > docs/schemas/train.json makes it anew"
    )

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nnx
from nnx.datasets import Dataset, Series
from nnx.examples import EXAMPLES


@pytest.fixture
def small_series(monkeypatch):
    months = np.arange("1990-01", "1995-01", dtype="datetime64[M]")
    season = 1 + 0.3 * np.sin(np.arange(60) * np.pi / 6)
    series = Series("airline", months, 100 * season * 1.01 ** np.arange(60))
    monkeypatch.setattr(nnx.datasets, "airline", lambda: series)


def test_list_shows_every_example_and_its_data(run_nnx):
    listed = json.loads(run_nnx("example", "list", "--json").stdout)
    assert [entry["name"] for entry in listed] == list(EXAMPLES)
    assert listed[0] == {
        "name": "mnist-cnn",
        "title": "CNN that reads handwritten digits",
        "dataset": "mnist",
        "epochs": 3,
        "seconds": EXAMPLES["mnist-cnn"].seconds,
        "source": "nnx/examples/mnist_cnn.py",
    }
    package = Path(nnx.__file__).parent.parent
    assert all((package / entry["source"]).is_file() for entry in listed)
    table = run_nnx("example", "list").stdout
    assert all(name in table for name in EXAMPLES)


@pytest.mark.usefixtures("small_series")
def test_json_has_figures_notes_tables_and_text_and_nothing_else(run_nnx):
    result = run_nnx(
        "example", "run", "airline_gru", "--epochs", "2", "--seed", "3", "--backend", "numpy", "--json"
    )
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert list(report) == ["figures", "notes", "tables", "text"]
    assert report["figures"]["backend"] == "numpy"
    errors, forecasts = report["tables"].values()
    assert {row["forecast"]: row["rmse"] for row in errors}["baseline, last year repeated"] > 0
    assert [row["month"] for row in forecasts][::23] == ["1993-01", "1994-12"]
    assert report["text"] == ""


@pytest.mark.usefixtures("small_series")
def test_table_shows_every_month_beside_its_forecasts(run_nnx):
    shown = run_nnx("example", "run", "airline-lstm", "--epochs", "1", "--backend", "numpy").stdout
    assert "nnx example run airline-lstm" in shown
    assert sum(line.startswith(("network, ", "baseline, ")) for line in shown.splitlines()) == 4
    assert "in thousands of passengers" in shown
    assert "the network does not beat the baseline" in shown  # after a single epoch
    assert shown.splitlines()[-1] == "Source: nnx/examples/airline.py"
    assert sum(line.startswith(("1993-", "1994-")) for line in shown.splitlines()) == 24


@pytest.mark.usefixtures("small_series")
def test_output_fits_a_narrow_terminal(run_nnx, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run_nnx("example", "run", "airline-lstm", "--epochs", "1", "--backend", "numpy").stdout
    assert max(map(len, shown.splitlines())) <= 80


def test_saved_example_reads_a_picture(run_nnx, monkeypatch, tmp_path):
    (x, y), test = nnx.datasets.digits()
    digits = Dataset("mnist", (x[:64], y[:64]), test, tuple("0123456789"))
    enlarged = [(part[0].repeat(2, axis=1).repeat(2, axis=2), part[1]) for part in digits]
    monkeypatch.setattr(nnx.datasets, "mnist", lambda: Dataset("mnist", *enlarged, digits.classes))
    options = ("--epochs", "1", "--backend", "numpy", "--save", "mnist.h5")
    shown = run_nnx("example", "run", "mnist-cnn", *options).stdout
    assert "Model: mnist.h5" in shown
    assert "blind guess, always '1'" in shown
    assert "Conv2D" in shown
    Image.new("L", (16, 16)).save(tmp_path / "digit.png")
    (found,) = json.loads(run_nnx("predict", "mnist.h5", "digit.png", "--json").stdout)
    assert found["name"] in digits.classes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("airline-lstn",), "Did you mean 'airline-lstm'?"),
        (("airline-lstm", "--backend", "nunba"), "Did you mean 'numba'?"),
        (("airline-lstm", "--epochs", "0"), "--epochs"),
        (("airline-lstm", "--save", "nowhere/m.h5"), "make 'nowhere' first"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_trained(run_nnx, complaint, arguments, said):
    result = run_nnx("example", "run", *arguments)
    assert said in complaint(result)
    assert result.exit_code == 2


def test_help_shows_how_to_run_one(run_nnx):
    for command in ("list", "run"):
        result = run_nnx("example", command, "--help")
        assert result.exit_code == 0
        assert f"nnx example {command}" in result.stdout.split("Examples:")[1]


def test_training_on_a_set_without_images_names_those_that_have_some(run_nnx, complaint):
    result = run_nnx("train", "shakespeare")
    assert "labelled images is needed (cats, " in complaint(result)
    assert result.exit_code == 2

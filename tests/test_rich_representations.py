"""What notebooks show of models, histories and findings."""

from __future__ import annotations

import base64
import math
import re

import pytest
from support.pages import Reader

import nnx
from nnx.difference import Difference, Part


def make_model() -> nnx.Sequential:
    return nnx.Sequential([nnx.Dense(3, "tanh"), nnx.Dense(1)], dtype="float64").compile("mean_squared_error")


def pictures(markup: str) -> list[str]:
    return [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", markup)]


def test_a_model_shows_what_its_summary_says():
    model = make_model()
    model.build((2,))
    cells = Reader(model._repr_html_()).cells
    assert cells == [
        ["layer", "output shape", "parameters"],
        ["0 Dense(3, activation='tanh')", "(N, 3)", "9"],
        ["1 Dense(1)", "(N, 1)", "4"],
    ]
    assert f"13 parameters, float64, on {model.backend.name}" in model._repr_html_()


def test_a_model_that_is_not_built_shows_its_layers():
    reader = Reader(make_model()._repr_html_())
    assert reader.cells == [["layer"], ["0 Dense(3, activation='tanh')"], ["1 Dense(1)"]]
    assert "not built yet" in "".join(reader.text)


def test_a_history_shows_last_and_best_values_and_a_curve_of_each_quantity():
    history = nnx.History(
        {
            "loss": [0.9, 0.4, 0.5],
            "val_loss": [0.9, math.nan, 0.7],
            "accuracy": [0.5, 0.8, 0.7],
            "learning_rate": [0.1, 0.1, 0.05],
        },
        "it was <enough>",
    )
    markup = history._repr_html_()
    reader = Reader(markup)
    assert reader.cells == [
        ["measurement", "last", "best", "in epoch"],
        ["loss", "0.5", "0.4", "2"],
        ["val_loss", "0.7", "0.7", "3"],
        ["accuracy", "0.7", "0.8", "2"],
        ["learning_rate", "0.05", "", ""],
    ]
    assert "History of 3 epochs; stopped: it was <enough>" in "".join(reader.text)
    loss, accuracy = pictures(markup)
    assert loss.count("<polyline") == 2
    assert accuracy.count("<polyline") == 1


@pytest.mark.parametrize(
    "history", [nnx.History(), nnx.History({"loss": []}), nnx.History({"loss": [math.nan], "mine": [math.inf]})]
)
def test_a_history_without_a_finite_number_shows_no_picture(history):
    assert pictures(history._repr_html_()) == []
    assert f"History of {history.epochs} epoch" in history._repr_html_()


def test_names_of_measurements_are_shown_as_they_are_and_not_without_end():
    named = {"loss": [1.0], "<script>alert(1)</script>": [2.0], **{f"m{n}": [3.0] for n in range(1000)}}
    markup = nnx.History(named)._repr_html_()
    assert "<script" not in markup
    assert "<script>alert(1)</script>" in "".join(Reader(markup).text)
    assert Reader(markup).cells[-1][0] == "and 942 more"


def test_a_difference_shows_where_engines_part():
    parts = (Part(0, 0, "batch", "take_rows", "y", 0.0), Part(0, 1, "layer 0 forward", "linear", "y", 5.0))
    reader = Reader(Difference(("a", "<b>"), parts, 4.0)._repr_html_())
    assert "a and <b> part in step 0, layer 0 forward: y of linear by 5 ulps" in "".join(reader.text)
    assert reader.cells[1:] == [["layer 0 forward", "linear", "0", "y", "5"]]
    alike = Difference(("a", "b"), parts[:1], 4.0)._repr_html_()
    assert "<table" not in alike
    assert "agree within 4 ulps" in alike


def test_a_report_on_gradients_shows_the_worst_of_each_parameter():
    model = make_model()
    cells = Reader(nnx.check_gradients(model, [[0.0, 1.0]], [[2.0]])._repr_html_()).cells
    assert cells[0] == ["parameter", "slopes", "off by at most"]
    assert {row[0] for row in cells[1:]} == set(model.get_weights())
    assert all(row[1] == "3" and float(row[2]) < 1e-7 for row in cells[1:])


def test_what_notebooks_show_has_no_style_sheet_and_no_colours_of_its_own():
    model = make_model()
    model.build((2,))
    for markup in (model._repr_html_(), nnx.History({"loss": [1.0, 0.5]})._repr_html_()):
        assert "color" not in markup
        assert {tag for tag, _ in Reader(markup).tags}.isdisjoint({"style", "script", "svg", "link"})

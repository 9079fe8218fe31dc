"""The pictures that experiments share show what was measured, and say which run they are of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import nnx
from nnx.experiments.choosing import best_row, measured, typical
from nnx.experiments.experiment import Results, Row, Settings
from nnx.experiments.pictures import accuracies, confusions, cost_curves, curves, mistakes
from nnx.experiments.result import Curve, Result
from nnx.experiments.training import AFTER, TEST, TRAIN
from nnx.experiments.training import confusions as counted

DIGITS = nnx.datasets.digits().test[1]


def _result(test: float, predictions: np.ndarray = DIGITS) -> Result:
    figures = {TRAIN: 1.0, TEST: test, AFTER: 0.05}
    return Result(figures, {"cost": Curve([0, 10, 20], [0.7, 0.3, 0.05])}, counted(DIGITS, predictions, 10))


def _results(**tests: Sequence[float]) -> Results:
    return {row: [_result(test) for test in values] for row, values in tests.items()}


def _words(picture) -> str:
    """Return all that is written in a picture."""
    from matplotlib.text import Text

    return " | ".join(text.get_text() for text in picture.figure.findobj(Text))


ROWS = (
    Row("zeros", Settings(), {TRAIN: 0.6555, TEST: 0.34, AFTER: 0.64}),
    Row("He", Settings(), {TEST: 0.72}),
    Row("leaky", Settings()),
)


def test_the_typical_run_is_one_that_was_measured_the_lower_of_two_and_the_first_of_several():
    results = _results(He=[0.8, 0.7, 0.6, 0.7], zeros=[0.34])
    assert (typical("He", results).seed, typical("zeros", results).seed) == (1, 0)
    assert typical("He", _results(He=[0.8, 0.6])).seed == 1
    assert typical("He", results).result is results["He"][1]


def test_the_best_row_is_by_its_median_not_by_its_luckiest_seed():
    assert best_row(_results(lucky=[0.5, 0.5, 0.9], steady=[0.6, 0.6, 0.6])) == "steady"
    assert measured(_results(He=[0.5, 0.7]), "He", TEST) == [0.5, 0.7]


def test_costs_are_drawn_for_every_row_that_was_run_and_marked_only_where_published():
    picture = cost_curves(ROWS, _results(He=[0.7, 0.72], leaky=[0.6, 0.7]))
    words = _words(picture)
    assert "He" in words
    assert "leaky" in words
    assert "zeros" not in words  # published, but not run
    assert "published" not in words + picture.caption  # no cost was, of these rows
    assert "median over 2 seeds" in picture.caption
    marked = cost_curves(ROWS, _results(zeros=[0.34, 0.34], leaky=[0.6, 0.7]))
    assert "published values of 'cost after'" in marked.caption
    assert "published" in _words(marked)


def test_a_single_run_is_not_called_a_median():
    results = _results(He=[0.7])
    for picture in (cost_curves(ROWS, results), accuracies(ROWS, results)):
        assert "median" not in picture.caption
        assert "a single run" in picture.caption


def test_accuracies_show_each_row_and_only_the_marks_that_were_published():
    picture = accuracies(ROWS, _results(He=[0.7, 0.72], leaky=[0.6]))
    words = _words(picture)
    assert all(name in words for name in ("He", "leaky", TRAIN, TEST))
    assert "zeros" not in words
    assert "published" in picture.caption
    assert "published" not in accuracies(ROWS, _results(leaky=[0.6])).caption


def test_rows_without_a_curve_are_left_out_of_its_picture():
    with_it = Result({}, {"validation accuracy": Curve([1, 2], [0.5, 0.9])})
    results = {"He": [with_it], "leaky": [Result({})]}
    picture = curves(ROWS, results, "validation accuracy", title="Validation", name="")
    assert "leaky" not in _words(picture)
    assert picture.name == "validation-accuracy-curves"


def test_confusions_and_mistakes_say_which_run_they_are_of_and_show_its_mistakes():
    wrong = DIGITS.copy()
    wrong[:3] = (DIGITS[:3] + 1) % 10
    run = typical("He", {"He": [_result(0.9), _result(0.8, wrong), _result(0.7)]})
    table, sheet = confusions(run, "digits"), mistakes(run, "digits")
    for picture in (table, sheet):
        assert "'He' from seed 1" in picture.caption
        assert ": 80 %." in picture.caption
    assert "3 of 360 test images" in sheet.caption
    shown = [axes for axes in sheet.figure.axes if axes.images]
    assert len(shown) == 3
    assert all(str(DIGITS[index]) in axes.get_xlabel() for index, axes in enumerate(shown))


def test_a_run_without_mistakes_has_a_sheet_that_says_so():
    sheet = mistakes(typical("He", _results(He=[1.0])), "digits")
    assert "0 of 360 test images" in sheet.caption
    assert not [axes for axes in sheet.figure.axes if axes.images]


@pytest.mark.parametrize("draw", [cost_curves, accuracies])
def test_pictures_have_names_that_can_be_files(draw):
    name = draw(ROWS, _results(He=[0.7])).name
    assert name.replace("-", "").isalpha()
    assert name == name.lower()

"""The pictures that experiments share show what was measured, and say which run they are of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import nnx
from nnx.experiments.choosing import best_row, measured, paired, typical
from nnx.experiments.experiment import Quantity, Results, Row, Settings
from nnx.experiments.pictures import accuracies, confusions, cost_curves, curves, lines_said, mistakes
from nnx.experiments.result import Curve, Result
from nnx.experiments.training import AFTER, TEST, TRAIN
from nnx.experiments.training import confusions as counted

DIGITS = nnx.datasets.digits().test[1]


def _result(test: float, predictions: np.ndarray = DIGITS, seed: int = 0) -> Result:
    figures = {TRAIN: 1.0, TEST: test, AFTER: 0.05}
    return Result(figures, {"cost": Curve([0, 10, 20], [0.7, 0.3, 0.05])}, counted(DIGITS, predictions, 10), seed)


def _results(**tests: Sequence[float]) -> Results:
    return {row: [_result(test, seed=seed) for seed, test in enumerate(values)] for row, values in tests.items()}


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


def test_a_run_is_named_by_its_seed_though_others_before_it_failed():
    run = typical("He", {"He": [_result(0.6, seed=2), _result(0.7, seed=5), _result(0.8, seed=6)]})
    assert run.seed == 5
    assert "'He' from seed 5" in confusions(run, "digits").caption


def test_runs_are_paired_by_seeds_that_all_rows_have():
    full, failed = _results(He=[0.1, 0.2, 0.3])["He"], [_result(0.6, seed=2), _result(0.5, seed=0)]
    assert paired({"He": full, "leaky": failed}, ["He", "leaky"], TEST) == {0: (0.1, 0.5), 2: (0.3, 0.6)}
    assert not paired({"He": full, "leaky": [_result(0.5, seed=9)]}, ["He", "leaky"], TEST)


def test_captions_tell_a_run_at_the_median_from_one_next_to_it():
    assert (
        "of the median test accuracy of its row: 70.0 %"
        in confusions(typical("He", _results(He=[0.7, 0.7])), "digits").caption
    )
    beside = confusions(typical("He", _results(He=[0.7, 0.72])), "digits", Quantity(TEST, 0, 100, " %"))
    assert "its test accuracy, 70 %, is next to the median of its row, 71 %." in beside.caption
    alone = confusions(typical("He", _results(He=[0.7])), "digits")
    assert "The only run of 'He' from seed 0: test accuracy 70.0 %." in alone.caption


def test_only_some_of_many_mistakes_are_shown_and_the_caption_says_so():
    sheet = mistakes(typical("He", {"He": [_result(0.0, (DIGITS + 1) % 10)]}), "digits")
    assert "It told 360 of 360 test images wrong; the first 24 of them are shown" in sheet.caption
    assert len([axes for axes in sheet.figure.axes if axes.images]) == 24


def test_rows_of_different_numbers_of_runs_are_over_so_many_seeds():
    assert "median over 1 to 3 seeds" in accuracies(ROWS, _results(He=[0.7], leaky=[0.6, 0.7, 0.8])).caption


def test_captions_speak_of_bands_only_where_they_are_drawn():
    runs = [([0, 1], [1.0, 0.5]), ([0, 1], [1.0, 0.4])]
    assert "the band around it" in lines_said({str(row): runs for row in range(3)})
    many = lines_said({str(row): runs for row in range(4)}, "splits")
    assert many == (
        "Each line is the median over 2 splits. Bands are left out: more than 3 would cover one another."
    )
    assert lines_said({str(row): runs[:1] for row in range(9)}) == "Each line is a single run."


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
    run = typical("He", {"He": [_result(0.9), _result(0.8, wrong, 1), _result(0.7, seed=2)]})
    table, sheet = confusions(run, "digits"), mistakes(run, "digits")
    for picture in (table, sheet):
        assert "'He' from seed 1" in picture.caption
        assert ": 80.0 %." in picture.caption
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

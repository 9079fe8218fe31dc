"""Median and range over the seeds, and how a published value stands to them."""

import math

import numpy as np
import pytest
from support.experiment_reports import ACCURACY, COST, STEPS, Still, experiment, results

from nnx.experiments.experiment import Quantity, Row
from nnx.experiments.result import Result
from nnx.experiments.summary import Cell, judge, shown, summarise

FREE = Quantity("share", 1)


def cell_of(quantity: Quantity, *values: float, published: float | None = None) -> Cell:
    """Return the cell of one row whose seeds measured these values."""
    row = Row("row", Still(), {} if published is None else {quantity.name: published})
    found = {"row": [Result({quantity.name: value}) for value in values]}
    ((line),) = summarise(experiment(rows=(row,), quantities=(quantity,)), found)
    return line.cells[0]


@pytest.mark.parametrize(
    ("quantity", "low", "high", "published", "verdict"),
    [
        (ACCURACY, 0.62, 0.72, 0.72, "within"),
        (ACCURACY, 0.62, 0.72, 0.62, "within"),
        (ACCURACY, 0.74, 0.80, 0.72, "better"),
        (ACCURACY, 0.62, 0.70, 0.72, "not reached"),
        (COST, 0.04, 0.05, 0.06, "better"),
        (COST, 0.07, 0.08, 0.06, "not reached"),
        (FREE, 0.2, 0.3, 0.1, "outside"),
        (FREE, 0.2, 0.3, 0.4, "outside"),
        (COST, 0.04, 0.05, None, ""),
        (Quantity("seconds", 1, better="low", comparable=False), 2.0, 3.0, 45.0, ""),
    ],
)
def test_a_published_value_is_judged_by_the_direction_that_is_better(quantity, low, high, published, verdict):
    assert judge(quantity, low, high, published) == verdict


@pytest.mark.parametrize(("low", "verdict"), [(0.6449, "within"), (0.6451, "not reached")])
def test_what_looks_alike_as_shown_is_within_the_range(low, verdict):
    assert judge(COST, low, 0.7, 0.64) == verdict


def test_one_seed_is_a_range_of_one_value():
    assert cell_of(COST, 0.0649, published=0.06).verdict == "within"
    assert cell_of(COST, 0.0651, published=0.06).verdict == "not reached"


@pytest.mark.parametrize("quantity", [ACCURACY, COST])
def test_nothing_that_is_not_a_number_reaches_a_published_value(quantity):
    cell = cell_of(quantity, math.nan, math.nan, published=0.5)
    assert cell.verdict == "not reached"
    assert shown(cell) == "not a number"


def test_a_seed_without_a_number_does_not_hide_the_others_and_is_counted():
    cell = cell_of(COST, math.nan, 0.3, 0.1, published=0.2)
    assert (cell.median, cell.low, cell.high, cell.verdict) == (0.2, 0.1, 0.3, "within")
    assert shown(cell) == "0.20 (0.10 to 0.30), 2 of 3 seeds"


def test_a_seed_that_did_not_measure_a_quantity_is_counted():
    (line, _) = summarise(experiment(), results())
    assert [shown(cell) for cell in line.cells] == ["70 % (66 to 72 %)", "0.06, 2 of 3 seeds"]


def test_a_cost_without_bounds_is_shown_and_not_reached():
    cell = cell_of(STEPS, 90.0, math.inf, published=80)
    assert shown(cell) == "inf (90 to inf)"
    assert cell.verdict == "outside"


def test_a_row_lacks_what_it_did_not_measure_and_one_never_run_has_no_line():
    lines = summarise(experiment(), results())
    assert [line.name for line in lines] == ["a | b", "<i>_c_</i> & d"]
    assert lines[0].cell(STEPS) is None
    assert lines[1].cell(ACCURACY) is None


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.64,), "0.64"),
        ((0.638, 0.641, 0.643), "0.64"),
        ((0.64, 0.64, 0.65), "0.64 (0.64 to 0.65)"),
        ((0.6, 0.7), "0.65 (0.60 to 0.70)"),
    ],
)
def test_a_range_is_written_only_if_one_can_see_it(values, text):
    assert shown(cell_of(COST, *values)) == text


def test_a_value_of_numpy_is_rounded_as_it_is_written():
    # in binary a little below 2.675: written 2.67; NumPy's own rounding, which multiplies first, makes it 2.68
    value = np.float64(2.675)
    assert COST.show(value) == "2.67"
    assert judge(COST, value, value, 2.68) == "better"
    assert cell_of(COST, value, published=2.67).verdict == "within"

"""The loop and every engine compute the same number, and what is said of their times follows from them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnx.experiments import vectorization
from nnx.experiments.execution.running import rows_on
from nnx.experiments.experiment import Results
from nnx.experiments.result import Curve, Result
from nnx.experiments.vectorization import (
    DIGITS,
    ENGINES,
    EXPERIMENT,
    LISTS,
    LOOP,
    TIME,
    TIMES,
    DotProduct,
    LoopOverArrays,
    LoopOverLists,
    OnEngine,
    right_digits,
    vectors,
)

LENGTHS = (1, 10, 1000)


def measured(time: float, ratio: float, curve: tuple[float, ...]) -> list[Result]:
    return [Result({TIME: time, TIMES: ratio, DIGITS: 15.0}, {TIME: Curve(LENGTHS, curve)})]


def results(engine: tuple[float, ...], ratio: float = 1000.0) -> Results:
    return {
        LOOP: measured(0.1, 1.0, (1e-6, 1e-5, 1e-3)),
        LISTS: measured(0.02, 5.0, (2e-7, 2e-6, 2e-4)),
        "numpy": measured(1e-4, ratio, engine),
    }


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectorization, "_ROUND", 1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_engines_products_are_right_to_the_rounding_of_a_sum(dtype: str, backend_name: str) -> None:
    check_product(OnEngine(dtype, 1000, LENGTHS), backend_name, dtype)


@pytest.mark.parametrize("kind", [LoopOverArrays, LoopOverLists])
def test_loops_products_are_right_to_the_rounding_of_a_sum(kind: type[DotProduct]) -> None:
    check_product(
        kind("float32", 1000, LENGTHS), "numpy", "float64"
    )  # the loops add in float64 whatever they are given


def check_product(settings: DotProduct, backend: str, computed_in: str) -> None:
    figures = settings.run(3, backend).figures
    # each of the terms, which are all positive, is rounded at most once per addition: error <= length * eps * sum
    assert figures[DIGITS] >= -math.log10(settings.length * float(np.finfo(computed_in).eps))
    assert figures[TIME] > 0


def test_engine_is_faster_than_the_loop_on_long_vectors() -> None:
    figures = OnEngine("float32", 200_000, (1,)).run(0, "numpy").figures
    assert figures[TIMES] > 5  # hundreds, on a machine at rest


def test_curve_holds_every_length() -> None:
    curve = LoopOverLists(length=10, lengths=LENGTHS).run(0, "numpy").curves[TIME]
    assert tuple(curve.steps) == LENGTHS
    assert curve.values[-1] > curve.values[0] > 0  # a thousand numbers take longer than one


def test_seeds_draw_other_numbers_that_the_dtype_can_hold() -> None:
    first, second = vectors(100, 0, "float32"), vectors(100, 1, "float32")
    assert (first != second).any()
    assert (first.astype(np.float32) == first).all()
    assert first.dtype == np.float64


def test_right_digits_of_an_exact_value_are_those_of_float64() -> None:
    assert right_digits(2.0, 2.0) == pytest.approx(53 * math.log10(2))
    assert right_digits(2.002, 2.0) == pytest.approx(3)


def test_engines_that_are_not_named_are_left_out() -> None:
    named = {row.name for row in rows_on(EXPERIMENT, "numpy")}
    assert named == {LOOP, LISTS, "numpy", "numpy, float32"}


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(400, "less than"), (600, "about"), (1900, "about"), (2100, "more than")]
)
def test_published_ratio_is_about_met_within_a_factor_of_two(ratio: float, verdict: str) -> None:
    sentence = next(vectorization.notes(results((1e-6, 1e-6, 1e-6), ratio)))
    assert (
        sentence == f"numpy is {ratio} times as fast as the loop over arrays: {verdict} the published 1000 times."
    )


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ((1e-6, 1e-6, 1e-6), "from 10 numbers on"),
        ((1e-8, 1e-5, 1e-5), "from 1,000 numbers on"),  # one lucky short vector decides nothing
        ((1e-8, 1e-8, 1e-8), "from 1 numbers on"),
        ((1e-6, 1e-5, 1e-3), "not faster than the loop over lists at the longest"),
    ],
)
def test_break_even_is_the_length_from_which_on_the_engine_is_always_faster(
    engine: tuple[float, ...], said: str
) -> None:
    *_, sentence = vectorization.notes(results(engine))
    assert said in sentence


def test_picture_has_a_line_for_each_loop_and_engine_on_logarithmic_axes() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    (picture,) = vectorization.pictures(results((1e-6, 1e-6, 1e-6)))
    (axes,) = picture.figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    labels = [text.get_text() for legend in picture.figure.legends for text in legend.get_texts()]
    assert labels[:3] == [LOOP, LISTS, "numpy"]


def test_every_bundled_engine_has_a_row_of_its_own() -> None:
    assert [row.backend for row in EXPERIMENT.rows if row.name in ENGINES] == list(ENGINES)

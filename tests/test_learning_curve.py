import math
import xml.etree.ElementTree as ElementTree

import pytest

from nnx.errors import DataError
from nnx.history import History
from nnx.learning_curve import BOTTOM, LEFT, RIGHT, TOP, Axis, Curve, draw_learning_curves

NAMESPACE = "{http://www.w3.org/2000/svg}"


def _draw(*curves, title="Loss"):
    return ElementTree.fromstring(draw_learning_curves(curves, title))


def _points(line):
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def test_a_falling_loss_is_a_falling_line_inside_the_frame():
    (line,) = _draw(Curve("training", [0.9, 0.7, 0.4, 0.3])).iter(f"{NAMESPACE}polyline")
    x, y = zip(*_points(line), strict=True)
    assert list(x) == sorted(x)
    assert list(y) == sorted(y)  # pixels are counted from the top
    assert (x[0], x[-1]) == (LEFT, RIGHT)
    assert all(TOP <= value <= BOTTOM for value in y)


def test_labels_from_outside_cannot_break_the_picture():
    picture = _draw(Curve("<b>&", [1.0, 2.0]), title='a < b & "c"')
    words = [text.text for text in picture.iter(f"{NAMESPACE}text")]
    assert {"<b>&", 'a < b & "c"'} <= set(words)


def test_losses_of_many_magnitudes_get_a_logarithmic_axis_and_say_so():
    picture = _draw(Curve("training", [1.0, 0.1, 0.01]))
    words = [text.text for text in picture.iter(f"{NAMESPACE}text")]
    assert "loss (logarithmic)" in words
    assert {"1", "0.1", "0.01"} <= set(words)
    (line,) = picture.iter(f"{NAMESPACE}polyline")
    (_, first), (_, middle), (_, last) = _points(line)
    assert middle - first == pytest.approx(last - middle, abs=0.2)


def test_curves_on_top_of_one_another_can_all_be_seen():
    lines = list(_draw(*(Curve(str(group), [1.0, 0.5], group) for group in range(3))).iter(f"{NAMESPACE}polyline"))
    widths = [float(line.get("stroke-width")) for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert len({line.get("stroke") for line in lines}) == 3


def test_one_epoch_is_drawn_as_a_point_and_many_are_thinned_out_but_keep_the_last():
    assert len(list(_draw(Curve("training", [0.5])).iter(f"{NAMESPACE}circle"))) == 1
    (line,) = _draw(Curve("training", [1.0 + 1 / epoch for epoch in range(1, 50_001)])).iter(f"{NAMESPACE}polyline")
    assert len(_points(line)) < 1100
    assert _points(line)[-1][0] == RIGHT


def test_epochs_without_a_finite_loss_are_left_out():
    (line,) = _draw(Curve("training", [1.0, math.nan, 0.5])).iter(f"{NAMESPACE}polyline")
    assert len(_points(line)) == 2
    with pytest.raises(DataError, match="at least one finite number"):
        _draw(Curve("training", [math.inf]))


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize(
    ("low", "high"),
    [(0.01, 1.0), (0.31, 3.3), (5.0, 120.0), (1.0, 20.0), (1.0, 1e5), (1e-9, 1e4), (5e-324, 1.7e308)],
)
def test_numbers_beside_an_axis_are_few_round_and_within_it(low, high, logarithmic):
    ticks = Axis(low, high, 0, 100, logarithmic).ticks()
    assert 3 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)


EXTREMES = [
    [1e308, -1e308],
    [1.7e308, -1.7e308, 0.0],
    [1.7e308, 1.7e308],
    [-1.7e308],
    [5e-324, 1e308],
    [5e-324, 1e-323],
    [5e-324],
    [0.0, 1e-320],
    [0.0, 1e-302],
    [1e16, 1e16 + 2],
    [1e-308, 1e-300],
]


@pytest.mark.parametrize("values", EXTREMES, ids=str)
def test_whatever_finite_numbers_a_run_measured_there_is_a_picture_of_them(values):
    picture = _draw(Curve("training", values), Curve("validation", [*values, math.inf]))
    for line in picture.iter(f"{NAMESPACE}polyline"):
        assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in _points(line))
    assert "nan" not in ElementTree.tostring(picture, "unicode")
    assert History({"loss": values})._repr_html_().count("<img") == 1

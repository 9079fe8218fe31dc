"""Pictures show the numbers they were given."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from support.pictures import drawn_texts

import nnx
from nnx import History, plots
from nnx.errors import ShapeError
from nnx.plots.lines import logarithmic_numbers
from nnx.plots.weights import MOST_ROWS, condensed


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def band_of(figure: Figure) -> dict[float, tuple[float, float]]:
    """Return the lowest and the highest value of the first band at each of its steps."""
    (outline,) = next(
        found for found in figure.axes[0].collections if isinstance(found, PolyCollection)
    ).get_paths()
    steps = {float(step) for step in outline.vertices[:, 0]}
    values = {step: outline.vertices[outline.vertices[:, 0] == step, 1] for step in steps}
    return {step: (float(found.min()), float(found.max())) for step, found in sorted(values.items())}


def test_a_history_shows_loss_and_accuracy_with_validation_dashed() -> None:
    history = History({"loss": [0.7, 0.5], "val_loss": [0.8, 0.6], "accuracy": [0.5, 1.0], "seconds": [1.0, 1.0]})
    figure = history.plot(title="A run")
    loss, accuracy = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    assert [list(line.get_ydata()) for line in loss.get_lines()] == [[0.7, 0.5], [0.8, 0.6]]
    assert [list(line.get_xdata()) for line in loss.get_lines()] == [[1, 2], [1, 2]]
    assert [line.get_linestyle() for line in loss.get_lines()] == ["-", "--"]
    assert len(accuracy.get_lines()) == 1
    assert legend_of(figure) == ["training", "validation"]
    assert figure.get_suptitle() == "A run"


def test_a_history_shows_what_callbacks_measured_three_panels_to_a_row() -> None:
    nan = float("nan")
    own = {"val_f1": [nan, 0.5], "f1": [0.4, 0.6], "val_gap": [0.1, 0.1], "none": [nan, nan]}
    figure = plots.history({"val_f1": own.pop("val_f1"), "loss": [0.7, 0.5], "learning_rate": [0.1, 0.1], **own})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "f1", "gap"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 2, 1]
    assert figure.axes[0].get_position().y0 == figure.axes[2].get_position().y0
    four = plots.history({name: [0.1, 0.2] for name in ("loss", "f1", "gap", "kappa")})
    assert four.axes[3].get_position().y1 < four.axes[0].get_position().y0


def test_epochs_without_a_finite_value_are_left_out_and_the_others_keep_their_number() -> None:
    (line,) = plots.history({"loss": [0.7, np.nan, np.inf, 0.1]}).axes[0].get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 4], [0.7, 0.1])


def test_a_band_covers_what_the_runs_cover_at_each_step() -> None:
    stopped, thinned, late = ([0, 1, 2], [1.0, 0.8, 0.6]), ([0, 4], [0.5, 0.1]), ([3, 4], [0.2, 0.3])
    figure = plots.learning_curves({"row": [stopped, thinned, late]}, logarithmic=False)
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(line.get_ydata(), [0.75, 0.6, 0.45, 0.2, 0.2])
    expected = {0: (0.5, 1.0), 1: (0.4, 0.8), 2: (0.3, 0.6), 3: (0.2, 0.2), 4: (0.1, 0.3)}
    assert {step: pytest.approx(ends) for step, ends in expected.items()} == band_of(figure)


def test_bands_are_left_out_where_more_than_three_would_cover_one_another() -> None:
    runs = [([0, 1], [1.0, 0.9]), ([0, 1], [1.0, 0.5]), ([0, 1], [1.0, 0.8])]
    figure = plots.learning_curves({str(index): runs for index in range(4)})
    assert not figure.axes[0].collections
    assert [list(line.get_ydata()) for line in figure.axes[0].get_lines()] == [[1.0, 0.8]] * 4
    assert legend_of(figure) == ["0", "1", "2", "3", "median"]
    few = plots.learning_curves({**{str(index): runs for index in range(3)}, "single": runs[:1]})
    assert len(few.axes[0].collections) == 3


def test_whiskers_show_on_bars_of_any_colour() -> None:
    figure = plots.accuracy_bars({"a": {name: [0.4, 0.6] for name in "xyz"}})
    behind = [found for found in figure.axes[0].collections if to_hex(found.get_color()[0]) == "#ffffff"]
    assert len(behind) == 6  # of each whisker, its line and its ends


def test_a_single_run_has_no_band_and_no_word_of_one() -> None:
    figure = plots.learning_curves({"row": [([0, 1], [1.0, 0.5])]})
    assert not figure.axes[0].collections
    assert legend_of(figure) == ["row"]


def test_runs_may_be_histories_of_which_the_quantity_is_taken() -> None:
    runs = [History({"loss": [1.0], "accuracy": [0.5, 0.6]}), History({"accuracy": [0.7, 0.8]})]
    figure = plots.learning_curves({"many": runs, "one": runs[0]}, quantity="accuracy")
    many, one = figure.axes[0].get_lines()
    np.testing.assert_allclose(many.get_ydata(), [0.6, 0.7])
    assert (list(one.get_xdata()), list(one.get_ydata())) == ([1, 2], [0.5, 0.6])


@pytest.mark.parametrize(
    ("values", "quantity", "asked", "scale"),
    [
        ([1.0, 0.01], "loss", None, "log"),
        ([1.0, 0.06], "loss", None, "linear"),
        ([1.0, 0.0], "loss", None, "linear"),
        ([1.0, 0.01], "train accuracy", None, "linear"),
        ([1.0, 0.01], "loss", False, "linear"),
        ([1.0, 0.9], "loss", True, "log"),
    ],
)
def test_the_axis_is_logarithmic_where_that_helps_or_as_asked(values, quantity, asked, scale) -> None:
    figure = plots.learning_curves({"row": [([0, 1], values)]}, quantity=quantity, logarithmic=asked)
    assert figure.axes[0].get_yscale() == scale
    assert ("logarithmic" in figure.axes[0].get_ylabel()) == (scale == "log")


@pytest.mark.parametrize(("low", "high"), [(0.69, 0.7), (0.003, 1.0), (0.5, 3.0), (1e-12, 1e3), (1e-90, 1e90)])
def test_a_logarithmic_axis_has_a_readable_number_of_round_numbers(low: float, high: float) -> None:
    numbers = logarithmic_numbers(low, high)
    assert 2 <= len(numbers) <= 11
    assert all(low <= number <= high and float(f"{number:.3g}") == pytest.approx(number) for number in numbers)


def test_published_values_are_marked_at_their_height_and_beside_one_another_where_close() -> None:
    curves = {name: [([0, 1], [0.7, 0.1])] for name in ("a", "b", "c")}
    figure = plots.learning_curves(curves, published={"a": 0.9, "b": 0.11, "c": 0.11})
    marks = figure.axes[0].get_lines()[3:]
    assert [list(mark.get_ydata()) for mark in marks] == [[0.9], [0.11], [0.11]]
    assert marks[0].get_xdata() == marks[1].get_xdata() < marks[2].get_xdata()
    assert all(mark.get_xdata()[0] > 1 for mark in marks)  # right of the axes
    assert figure.axes[0].get_ylim()[1] > 0.9
    assert {mark.get_marker() for mark in marks} == {line.get_marker() for line in figure.axes[0].get_lines()[:3]}


def test_curves_differ_without_their_colours() -> None:
    figure = plots.learning_curves({str(index): [([0, 1], [1, index])] for index in range(12)})
    looks = {(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].get_lines()}
    assert len(looks) == 12
    for one, other in itertools.pairwise(figure.axes[0].get_lines()):
        assert one.get_marker() != other.get_marker()
        assert one._dash_pattern != other._dash_pattern


def test_bars_reach_to_the_median_and_whiskers_from_the_lowest_to_the_highest() -> None:
    measured = {"zeros": {"test": [0.34]}, "He": {"train": [1.0, 0.9, 0.98], "test": [0.7, 0.74]}}
    figure = plots.accuracy_bars(measured, published={"He": {"test": 0.72}})
    axes = figure.axes[0]
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([0.34, 0.72, 0.98])
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[0.7, 0.74], [0.72], [0.9, 1.0]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["zeros", "He"]
    assert [text.get_text() for text in axes.texts] == ["34.0 %", "72.0 %", "98.0 %"]
    assert legend_of(figure) == ["test, median", "train, median", "lowest to highest", "published"]
    assert len({patch.get_hatch() for patch in axes.patches}) == 2
    assert axes.get_xlim() == (0, 1)


def test_bars_of_single_runs_claim_no_range() -> None:
    figure = plots.accuracy_bars({"a": {"test": [0.5]}})
    assert not figure.axes[0].get_lines()
    assert legend_of(figure) == ["test"]


def test_histograms_show_shares_of_each_label_in_the_same_intervals() -> None:
    weights = {"few": {"1": [0.0, 1.0]}, "many": {"1": np.linspace(0, 2, 50), "2": [[3.0]]}}
    figure = plots.weight_histograms(weights)
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["1", "2"]
    few, many = (patch.get_data() for patch in first.patches[1::2])
    assert few.values.sum() == pytest.approx(1)
    assert many.values.sum() == pytest.approx(1)
    np.testing.assert_array_equal(few.edges, many.edges)
    assert (few.edges[0], few.edges[-1]) == (0, 2)
    (only,) = (patch.get_data() for patch in second.patches[1::2])
    assert only.edges[0] < 3 < only.edges[-1]
    assert legend_of(figure) == ["few", "many"]


def test_differences_are_second_minus_first_on_scales_that_are_white_at_zero() -> None:
    first, second = {"a": [[1.0, 2.0], [3.0, 4.0]], "b": [[0.0]]}, {"a": [[1.0, 2.5], [2.0, 4.0]], "b": [[0.0]]}
    figure = plots.weight_differences(first, second)
    panel, equal = (axes.images[0] for axes in figure.axes if axes.images)
    np.testing.assert_array_equal(panel.get_array(), [[0.0, 0.5], [-1.0, 0.0]])
    assert panel.get_clim() == (-1, 1)
    assert equal.get_clim() == (-1, 1)
    assert np.all(np.array(panel.cmap(0.5)[:3]) > 0.95)
    assert "second − first" in figure.get_supxlabel()


def test_a_large_layer_shows_its_largest_differences_in_their_place() -> None:
    difference = np.zeros((784, 20))
    difference[700, 3], difference[2, 19] = -5.0, 4.0
    shown = condensed(difference)
    assert len(shown) <= MOST_ROWS
    rows, columns = np.nonzero(shown)
    assert sorted(zip(rows * 784 / len(shown), columns, shown[rows, columns], strict=True)) == [
        (pytest.approx(2, abs=3), 19, 4.0),
        (pytest.approx(700, abs=3), 3, -5.0),
    ]
    figure = plots.weight_differences({"a": 0 * difference}, {"a": difference})
    assert figure.axes[0].get_ylim() == (783.5, -0.5)
    assert "neighbours" in figure.get_supxlabel()


def test_a_confusion_matrix_writes_every_count_in_a_shade_that_contrasts() -> None:
    counts = [[90, 5, 5], [0, 0, 0], [1, 2, 0]]
    axes = plots.confusion_matrix(np.array(counts, np.float32), ["a", "b", "c"]).axes[0]
    assert [int(text.get_text()) for text in axes.texts] == list(itertools.chain(*counts))
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.9, 0.05, 0.05], [0, 0, 0], [1 / 3, 2 / 3, 0]])
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    for text, share in zip(axes.texts, np.ravel(axes.images[0].get_array()), strict=True):
        cell = np.array(axes.images[0].cmap(float(share))[:3])
        ink = np.array([int(to_hex(text.get_color())[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        assert contrast(cell, ink) > 4.5  # what WCAG 2.1 asks of small text


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    def luminance(colour: np.ndarray) -> float:
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_figures_contrast_with_every_shade(share: float) -> None:
    total = 10**6
    axes = plots.confusion_matrix([[round(share * total), round((1 - share) * total)], [0, 1]], ["a", "b"]).axes[0]
    ink = np.array([int(to_hex(axes.texts[0].get_color())[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    assert contrast(np.array(axes.images[0].cmap(float(share))[:3]), ink) > 4.5


def test_the_sheet_shows_the_first_mistakes_and_says_how_many_there_are() -> None:
    images = np.linspace(0, 1, 5)[:, None, None, None] * np.ones((5, 4, 4, 1))
    figure = plots.misclassified(images, [0, 1, 2, 0, 1], [0, 2, 0, 1, 1], ["a", "b", "c"], most=2)
    assert [axes.get_xlabel() for axes in figure.axes] == ["b → c", "c → a"]
    assert [float(axes.images[0].get_array().max()) for axes in figure.axes] == [0.25, 0.5]
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    (said,) = [words for words, _, _ in drawn_texts(figure) if "misclassified" in words]
    assert said == "3 of 5 images are misclassified, the first 2 of them here: true → predicted class"


def test_a_sheet_without_mistakes_says_so() -> None:
    figure = plots.misclassified(np.zeros((2, 4, 4, 3)), [0, 1], [0, 1], ["a", "b"])
    assert [words for words, _, _ in drawn_texts(figure)] == ["None of 2 images is misclassified."]


def test_dollar_signs_and_underscores_in_names_are_shown_as_they_are() -> None:
    figure = plots.learning_curves({"_a_ $x$": [([0, 1], [1.0, 0.5])]}, quantity="$\\beta$", title="$5 or $6")
    shown = {words.replace("\\$", "$") for words, _, _ in drawn_texts(figure)}
    assert {"_a_ $x$", "$\\beta$", "$5 or $6"} <= shown
    assert all(not text.replace("\\$", "").count("$") for text, _, _ in drawn_texts(figure))


def test_read_only_and_strided_arrays_are_drawn_like_others() -> None:
    weights = np.arange(24.0).reshape(4, 6)
    strided = np.repeat(np.repeat(weights, 2, axis=0), 2, axis=1)[::2, ::2]
    strided.flags.writeable = False
    figure = plots.weight_differences({"a": np.zeros((4, 6))}, {"a": strided})
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), weights)
    images = np.asfortranarray(np.random.default_rng(0).random((3, 8, 8, 3)))
    images.flags.writeable = False
    figure = plots.misclassified(images, [0, 0, 0], [0, 1, 0], ["a", "b"])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), images[1])


def test_biases_are_one_row_with_nothing_said_of_inputs():
    before = {"weight": np.zeros((3, 4)), "bias": np.zeros(4)}
    bias = np.array([0.5, -1.0, 0.0, 0.25])
    figure = plots.weight_differences(before, {"weight": np.ones((3, 4)), "bias": bias})
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == ["weight (3 × 4)", "bias (4)"]
    drawn = panels["bias (4)"]
    np.testing.assert_array_equal(drawn.images[0].get_array(), bias[None])
    assert drawn.get_xlabel() == "output"
    assert drawn.get_ylabel() == ""
    assert not len(drawn.get_yticks())


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_a_flat_list_of_costs_is_one_run_at_the_steps_1_2_3(kind):
    figure = plots.learning_curves({"mine": kind([0.7, 0.5, 0.4]), "other": [([1, 2], [0.9, 0.8])]})
    mine, other = figure.axes[0].lines[:2]
    np.testing.assert_array_equal(mine.get_xydata(), [[1, 0.7], [2, 0.5], [3, 0.4]])
    np.testing.assert_array_equal(other.get_xydata(), [[1, 0.9], [2, 0.8]])
    assert not figure.axes[0].collections  # a list of costs is not taken for so many runs, which would have a band


def test_arrays_of_a_backend_are_drawn_as_they_are() -> None:
    weights = nnx.get_backend("generic:array_api_strict").asarray(np.array([[1.0, 2.0]]), "float64")
    assert not isinstance(weights, np.ndarray)
    image = plots.weight_differences({"a": [[0.0, 0.0]]}, {"a": weights}).axes[0].images[0]
    np.testing.assert_array_equal(image.get_array(), [[1.0, 2.0]])


def test_confusions_are_counted_as_the_matrix_draws_them():
    counts = nnx.plots.confusion_counts([2, 0, 2, 2], [2, 1, 0, 2], ["a", "b", "c"])
    assert counts.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 2]]
    with pytest.raises(ShapeError, match=r"predictions must have shape \(4,\)"):
        nnx.plots.confusion_counts([2, 0, 2, 2], [2], ["a", "b", "c"])

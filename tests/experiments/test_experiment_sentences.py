"""Sentences about results follow from the results."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnx.experiments import sentences
from nnx.experiments.experiment import Quantity, Row, Settings
from nnx.experiments.result import Result
from nnx.experiments.summary import summarise

ACCURACY = Quantity("test accuracy", 0, 100, " %", "high")
COST, BEFORE = Quantity("cost", 2, better="low"), Quantity("before")


def _results(**rows):
    return {
        name: [Result({"test accuracy": value}, seed=seed) for seed, value in enumerate(values)]
        for name, values in rows.items()
    }


def _lines(published, **measured):
    row = Row("He", Settings(), published)
    results = {
        "He": [Result(dict(zip(measured, values, strict=True))) for values in zip(*measured.values(), strict=True)]
    }
    return summarise(SimpleNamespace(rows=(row,), quantities=(ACCURACY, COST, BEFORE)), results)


def _answers(*taken, accuracy=0.7):
    """Return the result of a run that took so many examples for each class."""
    return Result({"test accuracy": accuracy}, arrays={"confusions": np.diag(np.array(taken))})


def test_published_values_are_counted_and_those_beside_the_range_named():
    published = {"test accuracy": 0.72, "cost": 0.06, "before": 0.68}
    said = list(
        sentences.standing(_lines(published, **{"test accuracy": [0.6, 0.8]}, cost=[0.01, 0.02], before=[0.7, 0.8]))
    )
    assert said == [
        "Published values within the range of the runs here: 1 of 3.",
        "Better than published in every run: cost of 'He'.",
        "Neither better nor worse than published, but beside it in every run: before of 'He'.",
    ]


def test_rows_that_do_not_reach_the_same_published_values_are_named_together():
    published = {"test accuracy": 0.9, "cost": 0.06}
    rows = [Row(name, Settings(), published) for name in ("wide, 20", "deep", "good")]
    results = {row.name: [Result({"test accuracy": 0.6, "cost": 0.2})] for row in rows}
    results["good"] = [Result({"test accuracy": 0.9, "cost": 0.2})]
    experiment = SimpleNamespace(rows=rows, quantities=(ACCURACY, COST))
    *_, said = sentences.standing(summarise(experiment, results))
    assert said == (
        "Not as good as published in any run: test accuracy and cost of 'wide, 20' and 'deep'; cost of 'good'."
    )


def test_nothing_is_said_of_published_times_of_another_machine():
    time = replace(COST, comparable=False)
    experiment = SimpleNamespace(rows=(Row("He", Settings(), {"cost": 1.0}),), quantities=(time,))
    assert not list(sentences.standing(summarise(experiment, {"He": [Result({"cost": 0.5})]})))


def test_nothing_is_said_of_published_values_where_there_are_none():
    assert not list(sentences.standing(_lines({}, **{"test accuracy": [0.6]})))
    assert not list(sentences.reached([Row("He", Settings())], _results(He=[0.6]), ACCURACY))


def test_runs_reach_what_was_published_if_they_do_as_shown():
    rows = [Row("He", Settings(), {"test accuracy": 0.72}), Row("not run", Settings(), {"test accuracy": 0.5})]
    (said,) = sentences.reached(rows, _results(He=[0.7199999, 0.70, 0.74]), ACCURACY)
    assert said.endswith(": 2 of 3 of 'He' (72 %).")


def test_rows_that_share_the_best_median_as_shown_are_all_named_and_not_ranked_by_luck():
    (tied,) = sentences.best(_results(one=[0.5, 0.75], two=[0.5625, 0.6875], three=[0.25, 0.5]), ACCURACY)
    assert tied == "The highest median test accuracy, 62 %, is that of 'one' and 'two'."
    assert not list(sentences.best(_results(alone=[0.6, 0.7]), ACCURACY))


def test_luck_is_counted_in_all_pairs_with_the_next_best_and_ties_are_told():
    _, said = sentences.best(_results(worst=[0.1, 0.1], lead=[0.5, 0.7], next=[0.5, 0.6]), ACCURACY)
    # 0.5 is equal to 0.5 and below 0.6, 0.7 is above both
    assert said == (
        "Of all pairs of a run of 'lead' and one of the next best: better than 'next' in 50 %, equal in 25 %, "
        "worse in 25 %."
    )


def test_single_runs_have_no_medians_and_no_pairs():
    (said,) = sentences.best(_results(one=[0.5], two=[0.7]), ACCURACY)
    assert said == "The highest test accuracy, 70 %, is that of 'two'."


def test_networks_that_say_the_same_to_everything_are_counted():
    results = {"dead": [_answers(5, 0), _answers(3, 2), _answers(5, 0)], "fine": [_answers(1, 4)]}
    (said,) = sentences.one_answer(results, ("non-cat", "cat"))
    assert said.endswith("'non-cat': 2 of 3 of 'dead'.")
    assert not list(sentences.one_answer({"fine": [_answers(1, 4)]}, ("non-cat", "cat")))


def test_what_one_test_example_is_worth_follows_from_their_number():
    (said,) = sentences.few_examples({"He": [_answers(20, 30), _answers(20, 30, accuracy=0.72)]}, ACCURACY)
    assert said.startswith("One of 50 test examples is 2 points of the test accuracy.")
    assert "give or take 6 points" in said  # sqrt(0.71 * 0.29 / 50) = 0.064


@pytest.mark.parametrize("accuracies", [[0.7], [0.7, 0.7]])
def test_where_nothing_ranges_nothing_is_said_of_chance(accuracies):
    results = {"He": [_answers(20, 30, accuracy=accuracy) for accuracy in accuracies]}
    assert not list(sentences.few_examples(results, ACCURACY))


def test_differences_of_shares_are_points_and_one_is_one():
    assert [sentences.points(difference) for difference in (0.02, 0.01, -0.001)] == [
        "2 points",
        "1 point",
        "0 points",
    ]
    assert sentences.points(0.0354, 1) == "3.5 points"


def test_lists_read_as_people_write_them():
    assert [sentences.listed(names) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]
    assert sentences.quoted(["both, 3 and 0.1", "none"]) == "'both, 3 and 0.1' and 'none'"

"""Sentences about results follow from the results."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from nnx.experiments import sentences
from nnx.experiments.experiment import Quantity, Row, Settings
from nnx.experiments.result import Result
from nnx.experiments.summary import summarise

ACCURACY = Quantity("test accuracy", 0, 100, " %", "high")
COST, BEFORE = Quantity("cost", 2, better="low"), Quantity("before")


def _results(**rows):
    return {name: [Result({"test accuracy": value}) for value in values] for name, values in rows.items()}


def _lines(published, **measured):
    row = Row("He", Settings(), published)
    results = {
        "He": [Result(dict(zip(measured, values, strict=True))) for values in zip(*measured.values(), strict=True)]
    }
    return summarise(SimpleNamespace(rows=(row,), quantities=(ACCURACY, COST, BEFORE)), results)


def _answers(*taken):
    """Return the result of a run that took so many examples for each class."""
    return Result({"test accuracy": 0.7}, arrays={"confusions": np.diag(np.array(taken))})


def test_published_values_are_counted_and_those_beside_the_range_named():
    published = {"test accuracy": 0.72, "cost": 0.06, "before": 0.68}
    said = list(
        sentences.standing(_lines(published, **{"test accuracy": [0.6, 0.8]}, cost=[0.01, 0.02], before=[0.7, 0.8]))
    )
    assert said[0].startswith("Of 3 published values, of single runs, 1 lie within")
    assert said[1] == "Better than published, whatever the seed: He, cost (0.06 published, 0.01 to 0.02 here)."
    assert said[2].endswith("nor worse: He, before (0.68 published, 0.70 to 0.80 here).")
    assert len(said) == 3


def test_a_published_value_that_no_seed_reaches_is_named():
    said = list(sentences.standing(_lines({"test accuracy": 0.9}, **{"test accuracy": [0.6, 0.8]})))
    assert said[1:] == [
        "Not as good as published, whatever the seed: He, test accuracy (90 % published, 60 % to 80 % here)."
    ]


def test_nothing_is_said_of_published_values_where_there_are_none():
    assert not list(sentences.standing(_lines({}, **{"test accuracy": [0.6]})))
    assert not list(sentences.reached([Row("He", Settings())], _results(He=[0.6]), ACCURACY))


def test_runs_reach_what_was_published_if_they_do_as_shown():
    rows = [Row("He", Settings(), {"test accuracy": 0.72}), Row("not run", Settings(), {"test accuracy": 0.5})]
    (said,) = sentences.reached(rows, _results(He=[0.7199999, 0.70, 0.74]), ACCURACY)
    assert said.endswith(": 2 of 3 of He (72 %).")


def test_rows_that_share_the_best_median_are_all_named_and_luck_is_counted_in_pairs():
    tied, luck = sentences.best(_results(one=[0.5, 0.75], two=[0.5625, 0.6875], three=[0.25, 0.5625]), ACCURACY)
    assert tied == "The highest median test accuracy, 62 %, is that of one and two."
    # two is above 0.5 twice and never above 0.75; three is above 0.5 once: 2 and 1 of the 4 pairs
    assert luck.endswith("one run of one and one of another row, it loses 50 % to two and 25 % to three.")
    assert not list(sentences.best(_results(alone=[0.6]), ACCURACY))


def test_networks_that_say_the_same_to_everything_are_counted():
    results = {"dead": [_answers(5, 0), _answers(3, 2), _answers(5, 0)], "fine": [_answers(1, 4)]}
    (said,) = sentences.one_answer(results, ("non-cat", "cat"))
    assert said.endswith("'non-cat': 2 of 3 of dead.")
    assert not list(sentences.one_answer({"fine": [_answers(1, 4)]}, ("non-cat", "cat")))


def test_what_one_test_example_is_worth_follows_from_their_number():
    (said,) = sentences.few_examples({"He": [_answers(20, 30)]}, ACCURACY)
    assert "there are 50 test examples: one of them is 2 %" in said
    assert "give or take 6 %" in said  # sqrt(0.7 * 0.3 / 50) = 0.065


def test_lists_read_as_people_write_them():
    assert [sentences.listed(names) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]

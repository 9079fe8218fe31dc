"""The experiments that train on MNIST: what is set aside, when training ends, and batch norm with its mistakes."""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import fields, replace

import pytest
from support.mnist_runs import made_up, runs
from threadpoolctl import threadpool_limits

import nnx
from nnx.datasets import Dataset
from nnx.experiments import pictures, training
from nnx.experiments.mnist import baseline as mnist_baseline
from nnx.experiments.mnist import batchnorm as mnist_batchnorm
from nnx.experiments.mnist import l2 as mnist_l2
from nnx.experiments.mnist import report as mnist_report
from nnx.experiments.mnist.common import (
    EPOCHS,
    HIGHEST,
    SECONDS,
    TEST,
    TRAIN,
    VALIDATION,
    Digits,
    Stopping,
    divided,
)
from nnx.experiments.mnist.norms import (
    ByVariance,
    LeftOutAtPrediction,
    OwnStatistics,
    PerExample,
    Unscaled,
    WithoutGradient,
)
from nnx.measurement import Measurement

EXPERIMENTS = [module.EXPERIMENT for module in (mnist_baseline, mnist_batchnorm, mnist_l2)]
FAST = "numba" if nnx.registry.describe("numba").available else "numpy"
NORMS = (Unscaled, WithoutGradient, OwnStatistics, LeftOutAtPrediction, ByVariance, PerExample)


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Some of the small digits that ship with nnx, in place of those of MNIST."""
    (x, y), (x_test, y_test) = shipped = nnx.datasets.digits()
    data = Dataset("mnist", (x[:700], y[:700]), (x_test[:60], y_test[:60]), shipped.classes)
    for module in (training, pictures):
        monkeypatch.setattr(module, "load", lambda _: data)
    return data


@pytest.mark.parametrize(
    ("experiment", "published", "rows"),
    [
        (EXPERIMENTS[0], (1.0, 0.975, 0.972, 45), mnist_baseline.READINGS),
        (
            EXPERIMENTS[1],
            (0.66, 0.64, 0.636, 92),
            ["before, stopped as published", "before, 1 % rule", "before", "after"],
        ),
        (EXPERIMENTS[2], (1.0, 0.979, 0.974, 103), ["lambda 0.1, stopped as published", "lambda 0.1"]),
    ],
    ids=[experiment.name for experiment in EXPERIMENTS],
)
def test_published_values_stand_beside_every_reading_of_the_published_settings(experiment, published, rows):
    expected = dict(zip((TRAIN, VALIDATION, TEST, SECONDS), published, strict=True))
    assert {row.name: dict(row.published) for row in experiment.rows if row.published} == dict.fromkeys(
        rows, expected
    )


def test_rows_are_trained_as_published_but_for_what_their_name_says():
    usual = Digits()
    assert (usual.dataset, usual.hidden, usual.activation, usual.init) == ("mnist", (20, 7, 5), "relu", "he")
    assert (usual.batch_size, usual.epochs, usual.validation_split, usual.l2) == (128, 200, 0.2, 0)
    assert usual.optimizer == nnx.SGD(0.009)
    changed = {
        row.name: [
            item.name for item in fields(usual) if getattr(row.settings, item.name) != getattr(usual, item.name)
        ]
        for experiment in EXPERIMENTS
        for row in experiment.rows
    }
    alike = {name for name, options in changed.items() if not options}  # the norm is an option of its own
    narrow = {row for row, without in mnist_batchnorm.MISTAKES.items() if without == mnist_batchnorm.WITHOUT}
    assert alike == {"all 200 epochs", "lambda 0", "after", "without", *narrow}
    faster = mnist_batchnorm.FASTER
    assert changed[f"without, {faster}"] == changed[f"left out at prediction, {faster}"]
    assert (
        changed[f"without, {faster}"]
        == changed[mnist_baseline.WIDER_AND_FASTER]
        == ["hidden", "optimizer", "epochs"]
    )
    assert {name for name, options in changed.items() if options == ["hidden"]} == {
        *("20-20-20 units", "128-20-10 units"),
        *("without, 128-20-10 units", "after, 128-20-10 units", "left out at prediction, 128-20-10 units"),
    }
    assert all(len(changed[name]) == 1 for name in mnist_baseline.CHANGES)
    assert changed["before, 1 % rule"] == ["batch_norm", "stopping"]
    assert changed["lambda 0.1, stopped as published"] == ["l2", "stopping"]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_settings_can_be_sent_to_other_processes_and_are_told_apart_by_their_repr(experiment):
    settings = [row.settings for row in experiment.rows]
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert len({repr(one) for one in settings}) == len(settings)


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_row_runs_on_every_backend_and_its_report_is_drawn_and_written(experiment, backend_name):
    results = {
        row.name: [replace(row.settings, epochs=2).run(seed, backend_name) for seed in (0, 1)]
        for row in experiment.rows
    }
    shown = {quantity.name for quantity in experiment.quantities}
    assert all(shown <= run.figures.keys() for runs in results.values() for run in runs)
    names = [picture.name for picture in experiment.pictures(results)]
    right_and_wrong = ["validation-error-right", "validation-error-mistakes"]
    assert names == [
        *(right_and_wrong if experiment.name == "mnist-batchnorm" else ["validation-error"]),
        "validation-accuracy-until-ended",
        "accuracies",
        "confusions",
        "mistakes",
    ]
    said = list(experiment.notes(results))
    readings = sum(bool(row.published) for row in experiment.rows)
    assert said[0].startswith("One run was published: train accuracy, validation accuracy and test accuracy")
    assert f"compared in {readings} readings" in said[0]
    assert said[0].endswith(f"of {3 * readings} comparisons.")  # its time on another machine is not compared
    assert all(sentence.endswith(".") for sentence in said)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_a_report_of_one_row_says_nothing_of_the_others(experiment):
    row = experiment.rows[1].name
    said = " ".join(experiment.notes({row: [made_up(0.5)]}))
    assert not [other.name for other in experiment.rows if f"'{other.name}'" in said and other.name != row]


def test_what_is_set_aside_is_what_fit_sets_aside_by_validation_split(digits, backend_name):
    (x, y), held_out = divided(digits.train, 0.2, seed=3)
    assert (len(x), len(held_out[0])) == (560, 140)
    histories = []
    for examples, options in ((digits.train, {"validation_split": 0.2}), ((x, y), {"validation_data": held_out})):
        model = Digits().network(10, x.shape[1:], 3, backend_name)
        histories.append(model.fit(*examples, epochs=2, batch_size=128, progress=False, **options))
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert histories[0][name] == histories[1][name]


@pytest.mark.usefixtures("digits")
def test_training_ends_after_so_many_looks_without_a_rise(backend_name):
    # 5 steps are an epoch; at a rate of 0 nothing rises after the first look
    still = Digits(optimizer=nnx.SGD(0.0), stopping=Stopping(every=2, patience=3))
    result = still.run(0, backend_name)
    assert result.figures[EPOCHS] == 8 / 5
    curve = result.curves[VALIDATION]
    assert curve.steps == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert len(set(curve.values)) == 1
    assert result.curves["cost"].steps == [0, 1, 1.6]


@pytest.mark.usefixtures("digits")
def test_a_small_gain_does_not_count_under_a_rule_that_asks_for_more(backend_name):
    strict = Digits(optimizer=nnx.SGD(0.05), epochs=4, stopping=Stopping(every=1, patience=1, min_delta=1.0))
    assert strict.run(0, backend_name).figures[EPOCHS] == 2 / 5


@pytest.mark.usefixtures("digits")
def test_a_stopped_network_is_measured_as_it_was_when_stopped(backend_name):
    settings = Digits(optimizer=nnx.SGD(1.0), epochs=20, stopping=Stopping(every=1, patience=4))
    result = settings.run(1, backend_name)
    values = result.curves[VALIDATION].values
    assert result.figures[EPOCHS] < 20
    assert result.figures[VALIDATION] == values[-1]
    assert result.figures[HIGHEST] == max(values)
    assert max(values) > values[-1]  # the best before was not put back


@pytest.mark.usefixtures("digits")
def test_seconds_leave_out_the_looks_of_a_rule(monkeypatch):
    measure = Measurement.measure

    def slow(measurement):
        time.sleep(0.2)
        return measure(measurement)

    monkeypatch.setattr(Measurement, "measure", slow)
    settings = Digits(optimizer=nnx.SGD(0.0), stopping=Stopping(every=1, patience=10))
    start = time.perf_counter()
    figures = settings.run(0, "numpy").figures  # 11 steps, a look after each
    assert figures[SECONDS] < time.perf_counter() - start - 12 * 0.2


def test_no_rule_could_stop_at_a_value_that_no_moment_reached():
    results = {"a": [made_up(0.90, highest=0.95)], "b": [made_up(0.93)]}
    (said,) = mnist_report.ceiling(results, ("a", "b", "not run"), 0.975)
    assert "In all 2 runs of 'a' and 'b'" in said
    assert "is 95.0 %: ending them at the best moment would not" in said
    (said,) = mnist_report.ceiling(results, ("a",), 0.95)
    assert "best moment" not in said


def test_notes_of_the_baseline_name_the_change_that_matters_and_what_reaches():
    results = {
        "all 200 epochs": [made_up(0.93)],
        "Adam, 0.001": [made_up(0.94)],
        "128-20-10 units": [made_up(0.96)],
        "128-20-10 units, learning rate 0.1": [made_up(0.976), made_up(0.978)],
    }
    said = " ".join(mnist_baseline.notes(results))
    assert "that of 'Adam, 0.001' (94.0 %) and '128-20-10 units' (96.0 %)" in said
    assert "The highest of these: '128-20-10 units'." in said
    assert "is reached by: '128-20-10 units, learning rate 0.1' (97.7 %)." in said
    assert "No row has a median" in " ".join(mnist_baseline.notes({"all 200 epochs": [made_up(0.93)]}))


def test_runs_that_a_rule_ends_are_drawn_to_their_ends_and_no_median_of_them():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    rows = [row for row in mnist_baseline.ROWS if row.name == mnist_baseline.ONE_PER_CENT_RULE]
    results = {rows[0].name: [made_up(0.5, epochs=2.0), made_up(0.7, epochs=4.0)]}
    (picture,) = mnist_report.until_ended(rows, results)
    axes = picture.figure.axes[0]
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 1]
    assert [line.get_xdata()[-1] for line in lines] == [2.0, 4.0]


def test_errors_are_drawn_beside_the_published_ones_so_that_the_best_are_told_apart():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pictures cannot be drawn")
    rows = [row for row in mnist_batchnorm.ROWS if row.name == "before"]
    (picture,) = mnist_report.errors(rows, {"before": runs(0.94, 0.95)})
    axes = picture.figure.axes[0]
    assert axes.get_yscale() == "log"
    drawn = [value for line in axes.get_lines() for value in line.get_ydata()]
    assert pytest.approx(0.36) in drawn  # 64 % were published
    assert pytest.approx(0.055) in drawn


def test_notes_of_l2_say_from_which_lambda_the_gap_shrinks():
    results = {
        "lambda 0": [made_up(0.93, train=0.97)],
        "lambda 0.1": [made_up(0.93, train=0.968)],
        "lambda 1": [made_up(0.93, train=0.945)],
        "lambda 10": [made_up(0.80, train=0.80)],
    }
    said = " ".join(mnist_l2.notes(results))
    assert "4.0 points above that on the validation part without a penalty" in said
    assert "3.8 points with 'lambda 0.1', 1.5 points with 'lambda 1' and 0.0 points with 'lambda 10'" in said
    assert "from 'lambda 1' on" in said
    assert "takes 0.00070 % from every weight" in said  # 0.009 * 0.1 / 128
    assert "No lambda here" in " ".join(
        mnist_l2.notes({name: results[name] for name in ("lambda 0", "lambda 0.1")})
    )


@pytest.mark.skipif(
    not os.environ.get("NNX_DATA"), reason="NNX_DATA is not set: the digits of MNIST cannot be read"
)
def test_on_real_digits_a_wider_network_is_past_the_bottleneck_after_two_epochs():
    rows = {row.name: replace(row.settings, epochs=2) for row in mnist_baseline.ROWS}
    with threadpool_limits(1):  # two threads of BLAS that wait for each other on a busy machine take minutes
        narrow, wide = (rows[name].run(0, FAST) for name in ("all 200 epochs", mnist_baseline.WIDER_AND_FASTER))
    assert narrow.figures[VALIDATION] < 0.85
    assert wide.figures[VALIDATION] > 0.93

import csv
import json
import xml.etree.ElementTree as ElementTree

import pytest

import nnx
from nnx.datasets import download
from nnx.errors import DatasetUnavailableError

SMALL = ("--layers", "16", "--epochs", "2", "--backend", "generic:numpy")


def test_json_is_the_only_thing_on_stdout_and_has_the_promised_keys(run_nnx):
    result = run_nnx("train", "digits", *SMALL, "--json")
    report = json.loads(result.stdout)
    promised = {"backend", "train_accuracy", "test_accuracy", "cost_before", "cost_after", "epochs", "seconds"}
    assert result.exit_code == 0
    assert promised <= set(report)
    assert report["backend"] == "generic:numpy"
    assert report["epochs"] == 2
    assert report["cost_after"] < report["cost_before"]


def test_training_reaches_what_such_a_network_reaches(run_nnx):
    options = ("--optimizer", "adam", "--learning-rate", "0.01", "--epochs", "10", "--backend", "generic:numpy")
    report = json.loads(run_nnx("train", "digits", *options, "--json").stdout)
    assert report["test_accuracy"] > 0.93


def test_a_network_for_which_there_is_no_memory_is_refused_in_one_sentence(run_nnx, complaint):
    result = run_nnx("train", "digits", "--layers", "1000000000", "--backend", "numpy")
    assert result.exit_code == 1
    assert "1.weight, of shape (64, 1000000000) and 238.4 GiB as float32, needs" in complaint(result)


def test_same_seed_gives_the_same_numbers_and_another_seed_others(run_nnx):
    costs = [
        json.loads(run_nnx("train", "digits", *SMALL, "--seed", seed, "--json").stdout)["cost_after"]
        for seed in (1, 1, 2)
    ]
    assert costs[0] == costs[1] != costs[2]


@pytest.mark.parametrize(("batch_size", "iterations", "epochs"), [("full", 3, 3), ("719", 3, 2), ("100", 16, 2)])
def test_iterations_are_rounded_up_to_whole_epochs(run_nnx, batch_size, iterations, epochs):
    options = ("--layers", "", "--batch-size", batch_size, "--iterations", iterations, "--backend", "generic:numpy")
    report = json.loads(run_nnx("train", "digits", *options, "--json").stdout)
    assert report["epochs"] == epochs
    assert report["iterations"] >= iterations


def test_table_for_people_has_no_colour_codes_when_it_is_not_shown_on_a_terminal(run_nnx):
    result = run_nnx("train", "digits", *SMALL)
    assert "test accuracy" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr


def test_files_that_were_written_are_named_below_the_table(run_nnx):
    result = run_nnx("train", "digits", *SMALL, "--save", "model.h5", "--curve", "curve.svg")
    assert result.stdout.splitlines()[-2:] == ["Model: model.h5", "Learning curve: curve.svg"]


def test_all_outputs_are_written_whole_and_agree_with_the_report(run_nnx, tmp_path):
    outputs = ("--save", "model.h5", "--csv", "log.csv", "--curve", "curve.svg")
    extra = ("--validation-split", "0.2", "--batch-norm", "--dropout", "0.1", "--l2", "0.1")
    report = json.loads(run_nnx("train", "digits", *SMALL, *outputs, *extra, "--json").stdout)
    model = nnx.load(tmp_path / "model.h5", backend="generic:numpy")
    _, test = nnx.datasets.digits()
    assert model.evaluate(*test)["accuracy"] == report["test_accuracy"]
    assert model.metadata["classes"] == list("0123456789")
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["val_loss"]) > 0
    assert ElementTree.parse(tmp_path / "curve.svg").getroot().tag.endswith("svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.svg", "log.csv", "model.h5"]


def test_patience_ends_training_and_says_so(run_nnx):
    options = ("--layers", "8", "--learning-rate", "0", "--validation-split", "0.2", "--patience", "2")
    result = run_nnx("train", "digits", *options, "--epochs", "50", "--backend", "generic:numpy", "--json")
    assert json.loads(result.stdout)["epochs"] == 3
    assert "Ended after 3 epochs: val_loss" in result.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("digits", "--layers", "20,seven"), "--layers must be whole numbers separated by commas"),
        (("digits", "--layers", "20,0"), "--layers must be whole numbers"),
        (("digits", "--batch-size", "all"), "--batch-size must be a whole number of at least 1, or full"),
        (("digits", "--activation", "rleu"), "Did you mean 'relu'?"),
        (("digits", "--init", "hee"), "Did you mean 'he'?"),
        (("digits", "--optimizer", "adan"), "Did you mean 'adam'?"),
        (("digits", "--backend", "nunba"), "Did you mean 'numba'?"),
        (("digtis",), "Did you mean 'digits'?"),
        (("digits", "--dtype", "float16"), "--dtype must be float32 or float64, got 'float16'."),
        (("digits", "--dropout", "1"), "--dropout must be a number in [0, 1), got '1'."),
        (("digits", "--dropout", "nan"), "--dropout must be a number in [0, 1), got 'nan'."),
        (("digits", "--learning-rate", "fast"), "--learning-rate must be a number of at least 0, got 'fast'."),
        (("digits", "--l2", "inf"), "--l2 must be a number of at least 0, got 'inf'."),
        (("digits", "--epochs", "2.5"), "--epochs must be a whole number of at least 1, got '2.5'."),
        (("digits", "--seed", "-1"), "--seed must be a whole number from 0 to 18446744073709551615, got '-1'."),
        (("digits", "--validation-split", "1.5"), "--validation-split must be a number in [0, 1)"),
        (("digits", "--patience", "3"), "give --validation-split too"),
        (("digits", "--epochs", "1", "--iterations", "1"), "exclude each other"),
        (("digits", "--epochs", "-1"), "--epochs"),
        (("digits", "--layer", "3"), "No such option: --layer"),
        ((), "Missing argument 'DATASET'. Try 'nnx train --help'."),
        (("digits", "--save", "nowhere/model.h5"), "make 'nowhere' first"),
        (("digits", "--csv", "."), "--csv must name a file, got the folder"),
    ],
)
def test_wrong_option_is_one_line_and_exit_code_2(run_nnx, complaint, options, expected):
    result = run_nnx("train", *options)
    assert expected in complaint(result)
    assert result.exit_code == 2


def test_unavailable_backend_tells_the_reason_in_one_line(run_nnx, complaint, monkeypatch):
    def fail():
        raise nnx.errors.BackendUnavailableError("cupy", "No CUDA device was found.", "Plug one in.")

    monkeypatch.setitem(nnx.registry._registered, "absent", fail)
    result = run_nnx("train", "digits", "--backend", "absent")
    assert complaint(result).endswith("No CUDA device was found. Plug one in.")
    assert result.exit_code == 1


def test_missing_data_set_tells_where_to_put_it(run_nnx, complaint, monkeypatch, tmp_path):
    def refuse(file, target):
        del target
        raise DatasetUnavailableError(f"{file.urls[0]}: no network")

    monkeypatch.setattr(download, "download", refuse)
    monkeypatch.setenv("NNX_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = run_nnx("train", "mnist")
    assert "set NNX_DATA to a folder that holds " in complaint(result)
    assert result.exit_code == 1


def test_diverging_training_is_an_error_and_writes_no_model(run_nnx, complaint, tmp_path):
    result = run_nnx("train", "digits", *SMALL, "--learning-rate", "1e30", "--save", "model.h5")
    assert "Lower the learning rate" in complaint(result)
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_interrupted_training_exits_130_with_one_line(run_nnx, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(nnx.Sequential, "fit", interrupt)
    result = run_nnx("train", "digits")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_a_kept_run_goes_on_and_ends_as_the_whole_one(run_nnx):
    options = ("train", "digits", "--layers", "8", "--dropout", "0.2", "--backend", "generic:numpy", "--json")
    whole = run_nnx(*options, "--epochs", "4")
    run_nnx(*options, "--epochs", "2", "--checkpoint", "run.h5")
    again = run_nnx(*options, "--epochs", "4", "--checkpoint", "run.h5")
    first, second = json.loads(whole.stdout), json.loads(again.stdout)
    assert second["cost_after"] == first["cost_after"]
    assert second["epochs"] == 4


def test_a_finished_run_that_is_started_again_says_so(run_nnx):
    command = ("train", "digits", *SMALL, "--epochs", "2", "--checkpoint", "run.h5")
    assert run_nnx(*command).stderr == ""
    assert run_nnx(*command).stderr == "went on after epoch 2 of 2: nothing left to train.\n"
    assert run_nnx(*command[:-3], "3", *command[-2:]).stderr == "went on after epoch 2 of 3.\n"


def test_memory_that_ends_during_training_is_one_line_and_the_same_command_goes_on(run_nnx, complaint, monkeypatch):
    def swell(_callback, run, _epoch, _logs):
        if run.history.epochs == 2:
            raise MemoryError("Unable to allocate 9.1 GiB")

    command = ("train", "digits", *SMALL, "--epochs", "3", "--checkpoint", "run.h5")
    with monkeypatch.context() as patch:
        patch.setattr("nnx.cli.training._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        patch.setattr(nnx.callbacks.Checkpoint, "on_epoch_end", swell)
        result = run_nnx(*command)
    assert "ran out of memory: Unable to allocate 9.1 GiB. The model has done 2 of 3 epochs. " in complaint(result)
    assert "The run stands in 'run.h5' as it was last saved" in result.stderr
    assert result.exit_code == 1
    assert run_nnx(*command).stderr == "went on after epoch 1 of 3.\n"


def test_an_interruption_before_training_says_so(run_nnx, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(nnx.Sequential, "evaluate", interrupt)
    result = run_nnx("train", "digits", *SMALL)
    assert (result.exit_code, result.stderr) == (130, "interrupted before training began\n")


def test_two_outputs_in_one_file_are_refused(run_nnx, complaint, tmp_path):
    result = run_nnx("train", "digits", *SMALL, "--save", "r.h5", "--checkpoint", tmp_path / "r.h5")
    assert result.exit_code == 2
    assert "--save and --checkpoint must name different files" in complaint(result)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_network_is_refused_in_a_sentence(run_nnx, complaint):
    options = ("--epochs", "1", "--backend", "generic:numpy", "--checkpoint", "run.h5")
    run_nnx("train", "digits", "--layers", "8", *options)
    refused = run_nnx("train", "digits", "--layers", "9", *options)
    assert refused.exit_code == 2
    assert "its layers[1].options.units is 8, that of this one 9" in complaint(refused)

"""What newcomers give in place of what is asked for, and that they are told what to give."""

from __future__ import annotations

import datetime
import importlib.util
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import nnx

X, Y = np.ones((3, 2)), np.array([0, 1, 0])
SEXES, AGES = ["male", "female", "male"], [22.0, 38.0, 26.0]


def refusal(x: Any, y: Any = Y) -> str:
    model = nnx.Sequential([nnx.Dense(2)], seed=1).compile("softmax_cross_entropy")
    with pytest.raises((nnx.errors.DtypeError, nnx.errors.DataError)) as caught:
        model.fit(x, y, epochs=1, progress=False)
    return str(caught.value)


@pytest.fixture(params=["pandas", "polars"])
def tables(request):
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


def test_the_column_of_a_table_that_holds_texts_is_named(tables):
    said = refusal(tables.DataFrame({"Age": AGES, "Sex": SEXES}))
    assert "column 'Sex' holds texts, such as 'male'; encode them as numbers" in said
    assert "it holds texts, such as 'male';" in refusal(X, tables.Series(SEXES))


def test_the_column_of_a_table_that_holds_dates_is_named(tables):
    days = [datetime.datetime(2020, 1, day) for day in (1, 2, 3)]
    for table in ({"Age": AGES, "When": days}, {"When": days}):
        said = refusal(tables.DataFrame(table))
        assert "column 'When' holds dates" in said
        assert "such as the days since the first date" in said


def test_the_column_of_a_table_that_holds_nan_is_named(tables):
    said = refusal(tables.DataFrame({"Fare": AGES, "Age": [1.0, 2.0, np.nan]}))
    assert "first in row 2, column 'Age';" in said


def test_missing_values_of_a_table_are_called_so():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    ages = pandas.array([1, None, 3], "Int64").astype(object)
    assert "column 'Age' holds missing values, such as <NA>;" in refusal(pandas.DataFrame({"Age": ages}))


def test_a_query_is_to_be_collected():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    assert "give x.collect()." in refusal(polars.DataFrame({"Age": AGES}).lazy())


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("e.h5", "open it by h5py.File('e.h5') and give one of its datasets, such as file['x']"),
        (Path("e.npy"), "give np.load('e.npy')"),
        ("mnist", "if it is a path, read it"),
    ],
)
def test_a_path_is_to_be_opened(path, says):
    assert says in refusal(path)


def test_of_an_open_file_a_dataset_is_to_be_given():
    with h5py.File("e.h5", "w", driver="core", backing_store=False) as file:
        file["images"] = X
        assert "such as file['x']; it holds ['images']." in refusal(file)
        assert "such as group['y']" in refusal(file["images"], file.create_group("deep"))
    assert "it is closed" in refusal(file)


def told(error: type[Exception], call: Any) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="onnx is not installed")
def test_a_file_of_the_other_format_names_the_function_that_reads_it(tmp_path):
    model = nnx.Sequential([nnx.Dense(2)], seed=1, input_shape=(3,)).compile("mean_squared_error")
    model.save(tmp_path / "m.h5")
    model.export_onnx(tmp_path / "m.onnx")
    assert "nnx.onnx.load reads it" in told(nnx.errors.FileFormatError, lambda: nnx.load(tmp_path / "m.onnx"))
    assert "nnx.load reads" in told(nnx.errors.FileFormatError, lambda: nnx.onnx.load(tmp_path / "m.h5"))
    for name in ("n.h5", "n.txt"):
        said = told(nnx.errors.OptionError, lambda name=name: model.export_onnx(tmp_path / name))
        assert "Give 'n.onnx'." in said
        assert not (tmp_path / name).exists()


def test_an_open_number_of_steps_is_to_be_any_number():
    said = told(nnx.errors.OptionError, lambda: nnx.Sequential([nnx.LSTM(3)], input_shape=(None, 3)))
    assert "recurrent layers take all" in said


def test_a_data_set_is_indexed_as_it_is_unpacked():
    dataset = nnx.datasets.digits()
    assert [dataset[place] for place in range(len(dataset))] == list(dataset)


@pytest.mark.parametrize("given", ["tensorboard", 3])
def test_callbacks_that_are_no_list_are_shown_whole(given):
    model = nnx.Sequential([nnx.Dense(2)], seed=1).compile("softmax_cross_entropy")
    said = told(nnx.errors.OptionError, lambda: model.fit(X, Y, epochs=1, callbacks=given))
    assert f"got {given!r}." in said


def test_one_layer_is_no_layers():
    assert repr(nnx.Sequential([nnx.Dense(2)])) == "<Sequential of 1 layer, not built>"


def test_a_layer_in_place_of_an_activation_is_to_be_named():
    said = told(nnx.errors.UnknownNameError, lambda: nnx.Dense(3, nnx.Activation("relu")))
    assert said.endswith("Give the name 'relu'.")


@pytest.mark.parametrize("device", ["gpu", "cuda", "CUDA:0"])
def test_a_device_in_place_of_a_backend_suggests_the_one_that_runs_there(device):
    assert "Did you mean 'cupy'?" in told(nnx.errors.UnknownNameError, lambda: nnx.set_backend(device))


def test_a_history_without_validation_says_so():
    history = nnx.History({"loss": [0.5]})
    assert "Nothing was validated" in told(nnx.errors.UnknownNameError, lambda: history["val_loss"])
    history.append({"val_loss": 0.5})
    assert "Nothing was" not in told(nnx.errors.UnknownNameError, lambda: history["val_accuracy"])

"""Weights go to safetensors files and back unchanged; anything else is refused, and changes nothing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import safetensors.numpy

import nnx
from nnx.errors import (
    DataError,
    FileFormatError,
    MissingLibraryError,
    NotBuiltError,
    OptionError,
    ShapeError,
    UnknownNameError,
)


def make(seed: int = 0, backend: str = "numpy", dtype: str = "float32") -> nnx.Sequential:
    layers = [nnx.Dense(4, "relu"), nnx.BatchNorm(), nnx.Dense(2)]
    return nnx.Sequential(layers, seed=seed, input_shape=(3,), backend=backend, dtype=dtype)


@pytest.fixture
def written(tmp_path):
    make(1).save_weights(tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_weights_come_back_as_they_were(backend, tmp_path):
    first, second = make(1, backend), make(2, backend)
    first.save_weights(tmp_path / "weights.safetensors")
    second.load_weights(tmp_path / "weights.safetensors")
    for name, values in first.get_weights().items():
        np.testing.assert_array_equal(second.get_weights()[name], values)


def test_the_file_is_what_the_library_reads(written):
    found = safetensors.numpy.load_file(written)
    assert {name: values.dtype for name, values in found.items()} == dict.fromkeys(
        make().get_weights(), np.dtype("float32")
    )


def test_weights_of_another_precision_are_taken(written):
    model = make(dtype="float64")
    model.load_weights(written)
    np.testing.assert_array_equal(model.get_weights()["0.weight"], make(1).get_weights()["0.weight"])


def change(path, **arrays) -> None:
    held = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file(
        {name: array for name, array in {**held, **arrays}.items() if array is not None}, path
    )


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"0.weigth": np.zeros((3, 4), "f4")}, UnknownNameError, "Did you mean '0.weight'"),
        ({"0.bias": None}, FileFormatError, "expected weights named '0.bias' too"),
        ({"0.bias": np.zeros(5, "f4")}, ShapeError, r"0\.bias"),
        ({"0.bias": np.full(4, np.nan, "f4")}, DataError, r"0\.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(written, arrays, error, message):
    change(written, **arrays)
    model = make(2)
    before = model.get_weights()
    with pytest.raises(error, match=message):
        model.load_weights(written)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize("contents", [b"", b"\xff" * 64, b"\x02" + bytes(7) + b"{}trailing"])
def test_other_files_are_refused(tmp_path, contents):
    (tmp_path / "other").write_bytes(contents)
    with pytest.raises(FileFormatError, match="it is no safetensors file, or damaged"):
        make().load_weights(tmp_path / "other")


def test_a_truncated_file_is_refused(written):
    written.write_bytes(written.read_bytes()[:-1])
    with pytest.raises(FileFormatError, match="it is no safetensors file, or damaged"):
        make().load_weights(written)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(FileFormatError, match="there is no such file"):
        make().load_weights(tmp_path / "absent")
    with pytest.raises(OptionError, match="must lie in a folder that exists"):
        make().save_weights(tmp_path / "absent" / "weights")
    with pytest.raises(NotBuiltError, match="no weights yet"):
        nnx.Sequential([nnx.Dense(2)]).save_weights(tmp_path / "weights")


@pytest.mark.parametrize("name", ["w.h5", "w.HDF5", "w.npz", "w.pt", "w.keras"])
def test_an_ending_that_says_another_format_is_refused_with_one_that_does_not(tmp_path, name):
    with pytest.raises(OptionError, match=rf"of another format, got '.*{name}'\. Give 'w\.safetensors'\.$"):
        make().save_weights(tmp_path / name)
    assert not list(tmp_path.iterdir())
    make().save_weights(tmp_path / "w.3")  # an ending of no format: a number, say
    make().load_weights(tmp_path / "w.3")


def test_a_missing_library_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'nnx-framework\[safetensors\]'"):
        make().save_weights(tmp_path / "weights")


def test_a_negative_variance_is_refused_in_weights_and_in_the_files_of_models(tmp_path):
    model = nnx.Sequential([nnx.BatchNorm()], input_shape=(2,), backend="numpy")
    before = model.get_weights()
    wrong = {**before, "0.running_var": np.array([1.0, -0.5])}
    with pytest.raises(DataError, match=r"weight '0\.running_var' must be at least 0, got -0\.5"):
        model.set_weights(wrong)
    np.testing.assert_array_equal(model.get_weights()["0.running_var"], before["0.running_var"])
    model.store.named()["0.running_var"][...] = wrong["0.running_var"]
    model.save(tmp_path / "model.h5")
    with pytest.raises(FileFormatError, match=r"0\.running_var holds a value that it cannot have"):
        nnx.load(tmp_path / "model.h5")


def test_weights_that_are_whole_numbers_are_refused(tmp_path):
    from safetensors.numpy import save_file

    model = nnx.Sequential([nnx.Dense(1)], input_shape=(2,), backend="numpy")
    whole = {name: values.astype(np.int32) for name, values in model.get_weights().items()}
    save_file(whole, tmp_path / "whole.safetensors")
    with pytest.raises(FileFormatError, match=r"expected weights of floating point, got '0\.\w+' of int32"):
        model.load_weights(tmp_path / "whole.safetensors")


@pytest.mark.parametrize("weights", [[], "0.weight", None])
def test_weights_are_a_dictionary_by_name(weights):
    with pytest.raises(OptionError, match="weights must be a dictionary of arrays by name"):
        nnx.Sequential([nnx.Dense(1)], input_shape=(2,), backend="numpy").set_weights(weights)

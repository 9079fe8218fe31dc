"""`nnx diff` shows where two engines part, and says by its exit code whether they do."""

import json

import pytest

import nnx

OPTIONS = ("--layers", "8", "--batch-norm", "--epochs", "1", "--backend", "generic:numpy", "--save", "model.h5")


@pytest.fixture
def model(run_nnx):
    assert run_nnx("train", "digits", *OPTIONS).exit_code == 0
    return "model.h5"


def test_engines_that_agree_are_said_to_and_the_exit_code_is_0(run_nnx, model):
    result = run_nnx("diff", model, "numpy", "numba", "--steps", "2")
    assert result.exit_code == 0
    assert "numpy and numba agree within 1000 ulps" in result.stdout
    assert "layer 2 backward" in result.stdout


def test_a_difference_beyond_the_tolerance_is_named_and_the_exit_code_is_1(run_nnx, model):
    result = run_nnx("diff", model, "numpy", "numba", "--tolerance", "0", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["first"]["ulps"] > 0
    assert report["engines"] == ["numpy", "numba"]
    assert {"place", "kernel", "array", "parameter", "step", "call", "ulps"} == set(report["worst"][0])


def test_the_picture_is_written(run_nnx, model, tmp_path):
    assert run_nnx("diff", model, "numpy", "numpy", "--plot", "difference.svg").exit_code == 0
    assert (tmp_path / "difference.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numpy", "numbat"), "Did you mean 'numba'?"),
        (("numpy", "numba", "--dataset", "cat"), "Did you mean 'cats'?"),
        (("numpy", "numba", "--steps", "0"), "--steps must be a whole number"),
        (("numpy", "numba", "--plot", "picture.txt"), "--plot must end in .png, .svg or .pdf"),
        (("numpy", "numba", "--plot", "absent/picture.png"), "must lie in a folder that exists"),
    ],
)
def test_mistakes_are_one_sentence(run_nnx, complaint, model, arguments, message):
    result = run_nnx("diff", model, *arguments)
    assert result.exit_code == 2
    assert message in complaint(result)


def test_a_model_that_does_not_say_its_data_needs_them_named(run_nnx, complaint, tmp_path):
    model = nnx.Sequential([nnx.Dense(2)], input_shape=(3,), backend="numpy").compile("mean_squared_error")
    model.save(tmp_path / "bare.h5")
    assert "--dataset must name the data" in complaint(run_nnx("diff", "bare.h5", "numpy", "numba"))

"""`nnx export`: a saved model becomes an ONNX file, or one line says why not."""

from __future__ import annotations

import json

import numpy as np

import nnx


def save(path, layers, shape):
    model = nnx.Sequential(layers, input_shape=shape, backend="numpy")
    model.save(path)
    return model


def test_a_saved_model_becomes_a_file_that_predicts_the_same(run_nnx, tmp_path):
    model = save(tmp_path / "m.h5", [nnx.LSTM(3), nnx.Dense(2)], (4, 2))
    shown = run_nnx("export", "m.h5", "m.onnx", "--lengths", "--json")
    assert json.loads(shown.stdout) == {"file": "m.onnx", "bytes": (tmp_path / "m.onnx").stat().st_size}
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    np.testing.assert_array_equal(nnx.onnx.load(tmp_path / "m.onnx", "numpy").predict(x), model.predict(x))


def test_what_cannot_be_written_is_one_line_and_no_file(run_nnx, complaint, tmp_path):
    save(tmp_path / "m.h5", [nnx.Dense(2)], (3,))
    shown = run_nnx("export", "m.h5", "m.onnx", "--lengths")
    assert shown.exit_code == 2
    assert "lengths=True needs a model of sequences" in complaint(shown)
    assert not (tmp_path / "m.onnx").exists()

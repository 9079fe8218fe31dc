"""Every layer, with options drawn, is predicted by onnxruntime as by nnx, and comes back from its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import nnx
from nnx.interface import FUSED
from nnx.layers import LAYERS
from tests.onnx_files.runtimes import predict, reference, require_close, require_round_trip, unsettle
from tests.properties.subjects import Shape, Subject, drawn_layers, subject_of

EXAMPLES = 6
quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # every example writes its file anew
)


def model_of(subject: Subject) -> nnx.Sequential:
    return unsettle(nnx.Sequential([subject.layer], input_shape=subject.shape, backend="numpy"))


def inputs_of(subject: Subject, rows: int) -> np.ndarray:
    random = np.random.default_rng(rows)
    if subject.vocabulary is not None:
        return random.integers(0, subject.vocabulary, (rows, *subject.shape))
    return random.standard_normal((rows, *subject.shape)).astype("float32")


def test_every_layer_is_tried() -> None:
    assert drawn_layers() >= set(LAYERS)


@pytest.mark.parametrize("name", sorted(drawn_layers()))
@quick
@given(data=some.data())
def test_onnxruntime_predicts_what_nnx_predicts(name: str, data: some.DataObject, tmp_path: Path) -> None:
    subject, path = subject_of(data, name, {}), tmp_path / "m.onnx"
    model = model_of(subject)
    model.export_onnx(path)
    for rows in (1, 4):
        x = inputs_of(subject, rows)
        require_close(predict(path, x=x), model.predict(x), conditioned(subject))
    require_round_trip(model, path, x)


def conditioned(subject: Subject) -> float:
    """Return how far programs may part: normalising two nearly equal numbers divides rounding by their spread."""
    names = [type(layer).__name__ for layer in getattr(subject.layer, "layers", [subject.layer])]
    return 1e-3 if "LayerNorm" in names and subject.shape[-1] < 8 else 2e-5


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([nnx.Dense(4, "elu", alpha=0.3), nnx.BatchNorm(), nnx.Dense(2, "leaky_relu")], (3,)),
        ([nnx.Conv2D(3, 2, padding="same"), nnx.LayerNorm(), nnx.Activation("gelu"), nnx.Flatten()], (4, 4, 2)),
        ([nnx.LSTM(3, return_sequences=True), nnx.GRU(4), nnx.Dense(2, "softmax")], (5, 2)),
        ([nnx.Residual([nnx.Dense(3, "silu")])], (6, 3)),
    ],
    ids=["dense", "images", "sequences", "residual"],
)
def test_models_of_float64_are_files_of_float64(layers: list[nnx.Layer], shape: Shape, tmp_path: Path) -> None:
    """The format's own reference computes them; onnxruntime has many operators in float32 only."""
    path = tmp_path / "m.onnx"
    model = unsettle(nnx.Sequential(layers, dtype="float64", input_shape=shape, backend="numpy"))
    x = np.random.default_rng(0).standard_normal((3, *shape))
    model.export_onnx(path)
    assert require_round_trip(model, path, x).dtype == "float64"
    # the format keeps alpha and eps as float32, which are off by up to 2^-24 of themselves
    require_close(reference(path, x=x), model.predict(x), 1e-7)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU", "Bidirectional"])
@quick
@given(data=some.data())
def test_lengths_mean_the_same_to_onnxruntime(name: str, data: some.DataObject, tmp_path: Path) -> None:
    subject, path = subject_of(data, name, {}), tmp_path / "m.onnx"
    model, x = model_of(subject), inputs_of(subject, 4)
    lengths = np.random.default_rng(1).integers(1, subject.shape[0] + 1, 4)
    model.export_onnx(path, lengths=True)
    expected, got = model.predict(x, lengths=lengths), predict(path, x=x, lengths=lengths.astype("int32"))
    again = nnx.onnx.load(path, "numpy").predict(x, lengths=lengths)
    np.testing.assert_array_equal(again, expected)
    if model.steps_last:  # what stands beyond the lengths means nothing
        beyond = np.arange(subject.shape[0]) >= lengths[:, None]
        expected[beyond] = got[beyond] = 0
    require_close(got, expected)


@pytest.mark.parametrize("activation", FUSED)
def test_every_activation_of_a_simple_network_of_steps_is_written(activation: str, tmp_path: Path) -> None:
    path, x = tmp_path / "m.onnx", np.random.default_rng(0).standard_normal((3, 5, 2)).astype("float32")
    layers = [nnx.Bidirectional(nnx.SimpleRNN(4, activation=activation))]
    model = nnx.Sequential(layers, input_shape=(5, 2), backend="numpy")
    model.export_onnx(path)
    require_close(predict(path, x=x), model.predict(x))
    require_round_trip(model, path, x)


@pytest.mark.parametrize("layer", [nnx.LSTM(3, return_sequences=True), nnx.Dense(3), nnx.LayerNorm()])
def test_sequences_may_have_any_number_of_steps(layer: nnx.Layer, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = nnx.Sequential([layer, nnx.Dense(2)], input_shape=(5, 3), backend="numpy")
    model.export_onnx(path)
    for steps in (1, 9):
        x = np.random.default_rng(0).standard_normal((2, steps, 3)).astype("float32")
        require_close(predict(path, x=x), model.predict(x))
        require_round_trip(model, path, x)


def test_every_backend_reads_what_another_wrote(backend: nnx.Backend, tmp_path: Path) -> None:
    layers = [nnx.Conv2D(3, 2, activation="relu"), nnx.BatchNorm(), nnx.Flatten(), nnx.Dense(2, "tanh")]
    model = unsettle(nnx.Sequential(layers, input_shape=(4, 5, 2), backend=backend))
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype("float32")
    model.export_onnx(tmp_path / "m.onnx")
    require_round_trip(model, tmp_path / "m.onnx", x)
    require_close(nnx.onnx.load(tmp_path / "m.onnx", "numpy").predict(x), model.predict(x))

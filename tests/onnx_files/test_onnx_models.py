"""Whole models: those of the experiments and examples, of nnx and of PyTorch, and what a file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nnx
from nnx.errors import OptionError
from nnx.examples import airline, cats_cnn, mnist_cnn, shakespeare
from nnx.experiments import EXPERIMENTS
from nnx.experiments.training import Training
from tests.onnx_files.runtimes import predict, require_close, require_round_trip, unsettle

EXAMPLES_OF = {"cats": (2, (64, 64, 3)), "cats_vs_dogs": (2, (64, 64, 3)), "mnist": (10, (28, 28, 1))}
"""Classes and shape of an example, by data set."""


def networks() -> dict[str, Training]:
    """Return the different networks of all experiments, each by the experiment and row that has it first."""
    found: dict[str, tuple[str, Training]] = {}
    for name, experiment in EXPERIMENTS.items():
        for row in experiment.rows:
            if isinstance(row.settings, Training):
                kind = repr([row.settings.dataset, list(row.settings.layers(1))])
                found.setdefault(kind, (f"{name}: {row.name}", row.settings))
    return dict(found.values())


NETWORKS = networks()
BY_COMPANY = ("mnist-batchnorm: divided by the variance", "mnist-batchnorm: own statistics")
"""Mistakes that are shown: these predict an example by those predicted with it, which no layer of nnx does."""


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_networks_of_the_experiments_predict_the_same_elsewhere_and_come_back(
    name: str, tmp_path: Path
) -> None:
    settings, path = NETWORKS[name], tmp_path / "m.onnx"
    classes, shape = EXAMPLES_OF[settings.dataset]
    model = settings.network(classes, shape, 1, "numpy")
    if name in BY_COMPANY:
        with pytest.raises(OptionError, match="cannot be exported"):
            model.export_onnx(path)
        return
    x = np.random.default_rng(0).uniform(0, 1, (3, *shape)).astype("float32")
    model.fit(x, np.arange(3) % 2, epochs=1, progress=False)
    model.export_onnx(path)
    # the first layer sums up to 12,288 terms, each rounded by 2^-24 of partial sums that random signs keep small
    require_close(predict(path, x=x), model.predict(x), 1e-4)
    require_round_trip(model, path, x)


def test_the_networks_of_the_examples_predict_the_same_elsewhere_and_come_back(tmp_path: Path) -> None:
    path, random = tmp_path / "m.onnx", np.random.default_rng(0)
    for model, shape, tokens in (
        (mnist_cnn.build(1, 1, "numpy"), (28, 28, 1), None),
        (cats_cnn.build(1, 1, "numpy"), (64, 64, 3), None),
        (airline.build(nnx.LSTM, 1, 1, "numpy"), (12, 1), None),
        (shakespeare.build(65, 1, 1, "numpy"), (20,), 65),
    ):
        model.build(shape)
        numbers = random.standard_normal((3, *shape)).astype("float32")
        x = numbers if tokens is None else random.integers(0, tokens, (3, *shape))
        model.export_onnx(path)
        require_close(predict(path, x=x), model.predict(x), 1e-4)
        require_round_trip(model, path, x)


def test_layers_come_back_as_they_were_written(tmp_path: Path) -> None:
    layers = [
        nnx.Conv2D(4, 3, activation="relu"),
        nnx.MaxPool2D(2),
        nnx.Residual([nnx.Conv2D(4, 3, padding=1), nnx.BatchNorm(eps=0.001), nnx.Activation("elu", alpha=0.3)]),
        nnx.Flatten(),
        nnx.Dropout(0.5),
        nnx.Dense(3, "softmax"),
    ]
    model = unsettle(nnx.Sequential(layers, input_shape=(8, 8, 2), backend="numpy"))
    model.export_onnx(tmp_path / "m.onnx")
    again = nnx.onnx.load(tmp_path / "m.onnx", "numpy")
    written = [layer for layer in layers if not isinstance(layer, nnx.Dropout)]  # predictions drop nothing
    assert repr(again.chain.layers) == repr(written)


def test_a_file_says_what_wrote_it_and_what_goes_in_and_out(tmp_path: Path) -> None:
    model = nnx.Sequential([nnx.LSTM(4, return_sequences=True)], input_shape=(5, 3), backend="numpy")
    model.metadata = {"classes": ["a", "b"]}
    model.export_onnx(tmp_path / "m.onnx", lengths=True)
    message = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(message, full_check=True)
    shown = [
        (item.name, [dim.dim_param or dim.dim_value for dim in item.type.tensor_type.shape.dim])
        for item in (*message.graph.input, *message.graph.output)
    ]
    assert shown == [("x", ["N", "T", 3]), ("lengths", ["N"]), ("y", ["N", "T", 4])]
    assert (message.producer_name, message.producer_version) == ("nnx", nnx.__version__)
    again = nnx.onnx.load(tmp_path / "m.onnx", "numpy")
    assert (again.metadata, again.input_shape) == (model.metadata, (5, 3))


def test_a_model_that_was_read_can_be_trained(tmp_path: Path) -> None:
    layers = [nnx.Dense(4, "relu"), nnx.BatchNorm(), nnx.Dense(2)]
    nnx.Sequential(layers, input_shape=(3,), backend="numpy").export_onnx(tmp_path / "m.onnx")
    model = nnx.onnx.load(tmp_path / "m.onnx").compile("softmax_cross_entropy")
    x = np.random.default_rng(0).standard_normal((20, 3))
    losses = model.fit(x, x[:, 0] > 0, epochs=20, progress=False)["loss"]
    assert losses[-1] < losses[0]


def torch_models() -> dict[str, tuple[Any, tuple[int, ...]]]:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layers = torch.nn

    class Last(layers.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps, self.out = layers.LSTM(3, 4, batch_first=True, bidirectional=True), layers.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.steps(x)[0])

    class Block(layers.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.Sequential(layers.Conv2d(4, 4, 3, padding=1), layers.BatchNorm2d(4), layers.SiLU())

        def forward(self, x: Any) -> Any:
            return torch.relu(x + self.inner(x))

    return {
        "dense": (layers.Sequential(layers.Linear(3, 4), layers.Tanh(), layers.Linear(4, 2)), (3,)),
        "images": (
            layers.Sequential(
                *(layers.Conv2d(2, 4, 3, stride=2), layers.ReLU(), layers.MaxPool2d(2), Block()),
                *(layers.Flatten(), layers.Linear(4 * 2 * 3, 5), layers.LayerNorm(5)),
            ),
            (2, 9, 13),
        ),
        "pooled": (
            layers.Sequential(layers.Conv1d(2, 3, 2), layers.AdaptiveAvgPool1d(1), layers.Flatten()),
            (2, 7),
        ),
        "sequences": (Last(), (6, 3)),
    }


@pytest.mark.parametrize("name", ["dense", "images", "pooled", "sequences"])
@pytest.mark.filterwarnings("ignore")  # PyTorch warns of its own tracing, of kinds of its own
def test_files_of_pytorch_are_read_with_their_axes_told(name: str, tmp_path: Path) -> None:
    import torch

    network, shape = torch_models()[name]
    x, path = torch.randn(3, *shape), tmp_path / "m.onnx"
    options = {
        "input_names": ["in"],
        "output_names": ["out"],
        "dynamic_axes": {"in": {0: "batch"}, "out": {0: "b"}},
    }
    torch.onnx.export(network.eval(), (x,), str(path), dynamo=False, **options)
    model = nnx.onnx.load(path, "numpy")
    axes = model.metadata["onnx"]
    got = model.predict(x.numpy().transpose(axes["input_axes"]))
    require_close(got, network(x).detach().numpy().transpose(axes["output_axes"]))

"""Training on datasets that stay in their file is training on the same examples in a documented order."""

from __future__ import annotations

import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.problems import CLASS_WEIGHT, full_network, measured, weights_of

import nnx
from nnx.callbacks import Checkpoint
from nnx.stored.plan import Plan, Shuffle
from stored.conftest import ROWS, X, Y, in_memory_order

WEIGHT = np.linspace(0.5, 1.5, ROWS)
pytestmark = pytest.mark.usefixtures("small_buffers")


def fit(model: nnx.Sequential, x: Any, y: Any, **options: Any) -> dict[str, list[float]]:
    settings = {"epochs": 2, "batch_size": 8, "sample_weight": WEIGHT, "class_weight": CLASS_WEIGHT, **options}
    return measured(model.fit(x, y, **settings))


@pytest.mark.parametrize(
    ("count", "chunk", "buffer", "batch"),
    [(203, 6, 40, 8), (80, 7, 40, 5), (81, 100, 40, 40), (5, 1, 2, 1), (25, 3, 24, 4)],
)
def test_every_row_comes_once_per_epoch_in_the_order_that_is_documented(
    count: int, chunk: int, buffer: int, batch: int
) -> None:
    plan = Plan(count, chunk, buffer, batch)
    for epoch in (0, 1, 7):
        came = np.concatenate([plan.rows(Shuffle(3, epoch), number) for number in range(plan.buffers)])
        np.testing.assert_array_equal(came, in_memory_order(count, chunk, buffer, batch, 3, epoch))
        np.testing.assert_array_equal(np.sort(came), np.arange(count))
    whole = np.concatenate([plan.rows(None, number) for number in range(plan.buffers)])
    np.testing.assert_array_equal(whole, np.arange(count))


class SlowShuffle(Shuffle):
    """A key that lets the other thread go on wherever it is looked up."""

    def __hash__(self) -> int:
        time.sleep(0)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        time.sleep(0)
        return super().__eq__(other)


def test_two_threads_that_ask_for_different_epochs_get_each_its_own() -> None:
    plan = Plan(40, 3, 16, 8)
    expected = [Plan(40, 3, 16, 8).runs(Shuffle(1, epoch), 0) for epoch in range(60)]

    def ask(first: int) -> bool:
        epochs = [epoch % 60 for epoch in range(first, 2000, 2)]
        return all(plan.runs(SlowShuffle(1, epoch), 0) == expected[epoch] for epoch in epochs)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as threads:
            assert all(threads.map(ask, (0, 1)))
    finally:
        sys.setswitchinterval(before)


def test_in_the_order_of_the_file_it_is_training_on_arrays_bit_for_bit(backend: Any, file: Any) -> None:
    streamed, held = full_network(backend), full_network(backend)
    options = {"shuffle": False, "validation_data": (X, Y)}
    expected = fit(held, X, Y, **options)
    got = fit(streamed, file["x"], file["y"], **{**options, "validation_data": (file["x"], file["y"])})
    assert got == expected
    np.testing.assert_array_equal(weights_of(streamed), weights_of(held))


@pytest.mark.parametrize("eager", [False, True])
def test_the_batches_of_an_epoch_are_those_of_the_documented_order(backend: Any, file: Any, eager: bool) -> None:
    streamed, held = full_network(backend, seed=4), full_network(backend, seed=4)
    fit(streamed, file["x"], file["y"], eager=eager)
    for epoch in (0, 1):
        order = in_memory_order(ROWS, 3, 16, 8, 4, epoch)
        fit(held, X[order], Y[order], shuffle=False, epochs=1, sample_weight=WEIGHT[order])
    np.testing.assert_array_equal(weights_of(streamed), weights_of(held))


def test_what_fits_in_one_buffer_is_trained_on_as_an_array(
    backend: Any, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    streamed, held = full_network(backend), full_network(backend)
    assert fit(streamed, file["x"], file["y"]) == fit(held, X, Y)
    np.testing.assert_array_equal(weights_of(streamed), weights_of(held))


class CrashError(Exception):
    """What ends a run here."""


class CrashingCheckpoint(Checkpoint):
    """Keeps the run after every step, and crashes after one."""

    def __init__(self, path: Path, after: int) -> None:
        super().__init__(path, every=1)
        self.left = after

    def save(self, run: Any) -> None:
        super().save(run)
        self.left -= 1
        if self.left == 0:
            raise CrashError


@pytest.mark.parametrize("after", [1, 2, 11, 12, 15])  # within a buffer, at its end, at that of the epoch, beyond
def test_a_run_that_was_interrupted_goes_on_bit_for_bit(file: Any, tmp_path: Path, after: int) -> None:
    whole, path = full_network("numba"), tmp_path / "run.h5"
    expected = fit(whole, file["x"], file["y"], validation_data=(file["x"], file["y"]))
    options = {"validation_data": (file["x"], file["y"])}
    with pytest.raises(CrashError):
        fit(full_network("numba"), file["x"], file["y"], callbacks=[CrashingCheckpoint(path, after)], **options)
    resumed = full_network("numba")
    got = fit(resumed, file["x"], file["y"], callbacks=[Checkpoint(path, every=1)], resume=path, **options)
    assert got == expected
    np.testing.assert_array_equal(weights_of(resumed), weights_of(whole))


def test_a_run_does_not_go_on_with_other_data(file: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    fit(full_network("numpy"), file["x"], file["y"], callbacks=[Checkpoint(path)])
    file["x"][7] += 1
    with pytest.raises(nnx.errors.OptionError, match="is a run on other examples; give fit the same data"):
        fit(full_network("numpy"), file["x"], file["y"], callbacks=[Checkpoint(path)], resume=path)


def test_a_loss_that_diverges_is_undone_up_to_the_same_step_as_in_memory(file: Any) -> None:
    told, weights = [], []
    for x, y in ((X, Y), (file["x"], file["y"])):
        model = full_network("numpy", "float32", optimizer=nnx.SGD(1e30), l2=0.0)
        with pytest.raises(nnx.errors.DivergenceError) as caught:
            model.fit(x, y, batch_size=8, shuffle=False)
        told.append(str(caught.value))
        weights.append(weights_of(model))
    assert told[0] == told[1]
    np.testing.assert_array_equal(*weights)


class Doubling(nnx.Layer):
    """A layer of a user's own, so that replay is compared with its code."""

    def build(self, builder: Any, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        super().build(builder, input_shape)
        return input_shape

    def forward(self, x: Any, _: Any) -> Any:
        ops = self.ops
        return ops.add(x, x), lambda dy: ops.add(dy, dy)


def test_steps_with_layers_of_ones_own_are_checked_and_come_to_the_same(file: Any) -> None:
    weights = []
    for x, y in ((X, Y), (file["x"], file["y"])):
        layers = [nnx.Dense(8, "relu"), Doubling(), nnx.Dense(3)]
        model = nnx.Sequential(layers, seed=2, dtype="float64", backend="numpy")
        model.compile("softmax_cross_entropy").fit(x, y, batch_size=8, epochs=2, shuffle=False)
        weights.append(weights_of(model))
    np.testing.assert_array_equal(*weights)


def test_sequences_with_padding_count_their_real_steps_alone(backend: Any, file: Any) -> None:
    rng = np.random.default_rng(1)
    x, lengths = rng.normal(size=(ROWS, 5, 2)), rng.integers(1, 6, ROWS)
    file["sequences"], file["rises"] = x, x[..., 0] > 0
    histories, weights = [], []
    for given in ((x, x[..., 0] > 0), (file["sequences"], file["rises"])):
        layers = [nnx.GRU(3, return_sequences=True), nnx.Dense(1)]
        model = nnx.Sequential(layers, seed=1, dtype="float64", backend=backend)
        model.compile("sigmoid_cross_entropy", nnx.Adam(0.01))
        options = {"batch_size": 8, "epochs": 2, "lengths": lengths, "shuffle": False}
        histories.append(measured(model.fit(*given, validation_data=(*given, lengths), **options)))
        weights.append(weights_of(model))
    assert histories[0] == histories[1]
    np.testing.assert_array_equal(*weights)


def test_accuracy_of_padded_sequences_in_a_shuffle_is_that_of_the_examples_that_came(file: Any) -> None:
    rng = np.random.default_rng(1)
    x, lengths = rng.normal(size=(ROWS, 5, 2)), rng.integers(1, 6, ROWS)
    file["sequences"], file["rises"] = x, x[..., 0] > 0
    model = nnx.Sequential([nnx.GRU(3, return_sequences=True), nnx.Dense(1)], seed=1, backend="numpy")
    model.compile("sigmoid_cross_entropy", nnx.SGD(0.0))  # weights stay as they are
    history = model.fit(file["sequences"], file["rises"], batch_size=8, lengths=lengths)
    expected = model.evaluate(x, x[..., 0] > 0, lengths=lengths)
    assert history["accuracy"][0] == pytest.approx(expected["accuracy"], rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "uint8"},
        {"dtype": ">f4"},
        {"dtype": "float16"},
        {"dtype": "int64", "chunks": (7, 4), "compression": "gzip", "shuffle": True},
        {"dtype": "float64", "chunks": (64, 2)},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_what_is_stored_in_other_ways_is_read_as_an_array_of_it_would_be(
    file: Any, options: dict[str, Any]
) -> None:
    whole = np.abs(np.round(X * 3))
    file.create_dataset("other", whole.shape, **options)[...] = whole
    file["labels"] = Y.astype(np.uint8)
    streamed, held = full_network("numpy"), full_network("numpy")
    assert fit(streamed, file["other"], file["labels"], shuffle=False) == fit(held, whole, Y, shuffle=False)
    np.testing.assert_array_equal(weights_of(streamed), weights_of(held))


def test_virtual_datasets_are_read_too(file: Any) -> None:
    layout = h5py.VirtualLayout(X.shape, "float64")
    layout[:50] = h5py.VirtualSource(file["x"])[:50]
    layout[50:] = h5py.VirtualSource(file["x"])[50:]
    joined = file.create_virtual_dataset("joined", layout)
    streamed, held = full_network("numpy"), full_network("numpy")
    assert fit(streamed, joined, Y, shuffle=False) == fit(held, X, Y, shuffle=False)


def test_prediction_and_evaluation_read_piece_by_piece(backend: Any, file: Any) -> None:
    model = full_network(backend)
    x, y = file["x"], file["y"]
    for size in (8, 64, 1024):
        np.testing.assert_array_equal(model.predict(x, batch_size=size), model.predict(X, batch_size=size))
        assert model.evaluate(x, y, batch_size=size) == model.evaluate(X, Y, batch_size=size)
    np.testing.assert_array_equal(model.predict_classes(x), model.predict_classes(X))
    assert model.predict(nnx.datasets.Rows(x, 5, 5)).shape == (0, 3)


def test_memory_holds_buffers_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnx.stored.plan.BUFFER_BYTES", 2**20)
    with h5py.File(tmp_path / "large.h5", "w") as file:
        x = file.create_dataset("x", (2**16, 128), "float32")  # 32 MiB, never written: zeros
        y = file.create_dataset("y", (2**16,), "int64")
        model = nnx.Sequential([nnx.Dense(4)], input_shape=(128,), backend="numpy").compile("softmax_cross_entropy")
        tracemalloc.start()
        model.fit(x, y, batch_size=4096, validation_data=(x, y))
        model.evaluate(x, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2**24  # two buffers each of training, validation and evaluation, and what a step needs

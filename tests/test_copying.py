"""Models copied and pickled: what comes back is the same model, and shares nothing with the first."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import pickletools
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import joblib
import numpy as np
import pytest

import nnx
from nnx import Backend
from nnx.errors import BackendError, BackendUnavailableError, OptionError

X = np.random.default_rng(1).standard_normal((40, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def make(backend: Backend | str | None = None, dtype: str = "float32") -> nnx.Sequential:
    layers = [nnx.Dense(6, bias=False), nnx.BatchNorm(), nnx.Activation("relu"), nnx.Dropout(0.2)]
    residual = nnx.Residual([nnx.Dense(6, "tanh"), nnx.Residual([nnx.Dense(6)])])
    model = nnx.Sequential([*layers, residual, nnx.Dense(3)], seed=7, dtype=dtype, backend=backend)
    return model.compile("softmax_cross_entropy", nnx.Adam(nnx.schedules.Cosine(0.01, 9)), l2=0.1)


def train(model: nnx.Sequential, epochs: int) -> list[float]:
    return model.fit(X, Y, epochs=epochs, batch_size=16, progress=False)["loss"]


def by_pickle(model: nnx.Sequential) -> nnx.Sequential:
    copied: nnx.Sequential = pickle.loads(pickle.dumps(model))
    return copied


def by_joblib(model: nnx.Sequential) -> nnx.Sequential:
    file = BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    copied: nnx.Sequential = joblib.load(file)
    return copied


WAYS = pytest.mark.parametrize(
    "way", [copy.copy, copy.deepcopy, by_pickle, by_joblib], ids=lambda way: way.__name__
)


@WAYS
def test_a_copy_trains_on_bit_for_bit_as_the_model_does(way) -> None:
    model = make()
    train(model, 2)
    model.metadata["classes"] = ["a", "b", "c"]
    copied = way(model)
    assert copied.metadata == model.metadata
    assert train(copied, 2) == train(model, 2)
    for mine, theirs in zip(model.to_host().arrays, copied.to_host().arrays, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_copy_stays_on_the_backend_of_the_model_whatever_is_selected(backend: Backend) -> None:
    model = nnx.Sequential([nnx.Dense(1)], backend=backend).compile("mean_squared_error", nnx.Momentum())
    model.fit(X, X[:, 0], progress=False)
    for way in (copy.deepcopy, by_pickle):
        copied = way(model)
        assert copied.backend is backend
        assert copied.fit(X, Y, progress=False)["loss"] == copy.deepcopy(model).fit(X, Y, progress=False)["loss"]


@WAYS
def test_what_is_done_to_a_copy_leaves_the_model_alone(way) -> None:
    model = make()
    train(model, 1)
    before, copied = model.get_weights(), way(model)
    train(copied, 1)
    copied.metadata["more"] = 1
    assert "more" not in model.metadata
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name])


@WAYS
def test_a_model_that_has_no_weights_yet_can_be_copied(way) -> None:
    model = make()
    copied = way(model)
    assert not copied.built
    assert train(copied, 1) == train(model, 1)
    assert not way(nnx.Sequential([nnx.Dense(1)])).compiled


def test_a_model_keeps_its_dtype_and_a_diverged_one_its_infinities() -> None:
    model = make(dtype="float64")
    train(model, 1)
    model.store.values[...] = np.inf
    copied = by_pickle(model)
    assert copied.dtype == "float64"
    assert np.isinf(copied.get_weights()["0.weight"]).all()


def double(model: nnx.Sequential) -> nnx.Sequential:
    train(model, 1)
    return model


def test_models_go_to_other_processes_and_back() -> None:
    model = make()
    train(model, 1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(double, model).result(120)
    np.testing.assert_array_equal(there.predict(X), double(model).predict(X))


@dataclass(eq=False, repr=False)
class Shift(nnx.Layer):
    """A layer of a user."""

    by: float = 1.0

    def forward(self, x, context):
        del context
        return self.ops.add(x, self.ops.asarray(np.full(x.shape, self.by))), lambda dy: dy


class Unmade(nnx.Layer):
    """A layer of a user that does not tell its options."""

    def __init__(self, by: float) -> None:
        self.by = by


@WAYS
def test_layers_of_ones_own_come_along_with_their_options(way) -> None:
    model = nnx.Sequential([nnx.Residual([Shift(2.5)]), nnx.Dense(1)], input_shape=(3,))
    assert way(model).chain.layers[0].layers[0].by == 2.5
    np.testing.assert_array_equal(way(model).predict(X), model.predict(X))


def test_a_layer_that_cannot_be_made_anew_is_named_before_anything_is_written() -> None:
    with pytest.raises(OptionError, match=r"Unmade cannot be made of what its config\(\) gives.*dataclass"):
        pickle.dumps(nnx.Sequential([nnx.Residual([Unmade(1.0)])]))


def test_a_model_is_copied_whole_or_not_while_another_thread_trains_it() -> None:
    model = make()
    train(model, 1)
    with model.access.exclusively():
        caught: list[BaseException] = []

        def attempt() -> None:
            try:
                copy.deepcopy(model)
            except BackendError as error:
                caught.append(error)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert "half old and half new" in str(caught[0])


def test_a_backend_that_no_name_leads_to_is_shared_by_copies_and_refused_by_pickles() -> None:
    own = Backend.from_namespace(np)
    model = make(own)
    train(model, 1)
    assert copy.deepcopy(model).backend is own
    with pytest.raises(BackendError, match=r"model.to\('numpy'\)"):
        pickle.dumps(model)


def test_a_pickle_of_a_backend_that_is_missing_here_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(make("numpy"))

    def missing(name: str) -> Backend:
        raise BackendUnavailableError(name, "No CUDA device was found.")

    monkeypatch.setattr(nnx.registry, "get", missing)
    with pytest.raises(BackendUnavailableError, match=r"No CUDA device was found. Before pickling, move the model"):
        pickle.loads(pickled)


def test_a_subclass_of_the_model_is_refused_as_what_it_adds_would_be_lost() -> None:
    class Named(nnx.Sequential):
        """A model of a user."""

    with pytest.raises(OptionError, match="Named cannot be copied or pickled"):
        copy.deepcopy(Named([nnx.Dense(1)]))


def test_a_pickle_holds_options_and_values_and_nothing_of_the_backend() -> None:
    model = make("numpy")
    train(model, 1)
    named = {
        str(argument) for code, argument, _ in pickletools.genops(pickle.dumps(model, 2)) if code.name == "GLOBAL"
    }
    modules = {name.split()[0].split(".")[0] for name in named}
    assert modules <= {"nnx", "numpy", "copy_reg", "copyreg", "__builtin__", "builtins", "_codecs"}
    assert not any(name.startswith(("nnx.ops", "nnx.interface", "nnx.parameters")) for name in named)


def test_files_of_models_are_still_read_without_running_code(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(pickle.dumps(make("numpy")))
    with pytest.raises(nnx.errors.FileFormatError):
        nnx.load(path)

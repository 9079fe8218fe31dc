"""One model in several threads: reading at once is safe; changing it under others is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.problems import assert_same_bits, classification, fit_fully, full_network
from support.runs_at_once import ROWS, network, predict

import nnx
from nnx import Backend
from nnx.callbacks import Callback, Logs
from nnx.errors import BackendError, NnxError, ShapeError
from nnx.interface import Array
from nnx.layers import Backward, Context
from nnx.training import Run


class During(Callback):
    """Do something with the model while it is trained, and remember how that went."""

    def __init__(self, action: Callable[[nnx.Sequential], Any]) -> None:
        self.action = action

    def on_epoch_end(self, run: Run, _epoch: int, _logs: Logs) -> None:
        self.action(run.model)


def refused_elsewhere(action: Callable[[nnx.Sequential], Any], said: list[str]) -> Callable[[nnx.Sequential], None]:
    """Return what does the same in another thread, and notes the error of nnx that it gets."""

    def act(model: nnx.Sequential) -> None:
        try:
            action(model)
        except NnxError as error:
            said.append(str(error))

    def start(model: nnx.Sequential) -> None:
        thread = threading.Thread(target=act, args=(model,))
        thread.start()
        thread.join()

    return start


X, Y = classification()
CHANGES: dict[str, Callable[[nnx.Sequential, Path], Any]] = {
    "fit": lambda model, _: model.fit(X, Y),
    "compile": lambda model, _: model.compile("softmax_cross_entropy"),
    "move": lambda model, _: model.to("generic:numpy"),
}
WRITES: dict[str, Callable[[nnx.Sequential, Path], Any]] = {
    "set_weights": lambda model, _: model.set_weights({"0.weight": np.zeros((4, 8))}),
}
READS: dict[str, Callable[[nnx.Sequential, Path], Any]] = {
    "predict": lambda model, _: model.predict(X),
    "predict_classes": lambda model, _: model.predict_classes(X),
    "evaluate": lambda model, _: model.evaluate(X, Y),
    "save": lambda model, folder: model.save(folder / "model.h5"),
    "get_weights": lambda model, _: model.get_weights(),
}


@pytest.mark.parametrize("action", CHANGES | WRITES | READS)
def test_another_thread_is_refused_whatever_it_wants_of_a_model_in_training(tmp_path: Path, action: str) -> None:
    model, alone, said = full_network("numpy"), full_network("numpy"), list[str]()
    act = (CHANGES | WRITES | READS)[action]
    fit_fully(model, 2, callbacks=[During(refused_elsewhere(lambda model: act(model, tmp_path), said))])
    fit_fully(alone, 2)
    assert len(said) == 2
    assert "being trained" in said[0]
    assert "give each thread a model of its own" in said[0]
    assert_same_bits(model, alone)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", READS)
def test_callbacks_read_the_model_that_they_watch(tmp_path: Path, action: str) -> None:
    model, alone = full_network("numpy"), full_network("numpy")
    fit_fully(model, 2, callbacks=[During(lambda model: READS[action](model, tmp_path))])
    fit_fully(alone, 2)
    assert_same_bits(model, alone)


def test_a_callback_may_set_weights() -> None:
    model = full_network("numpy")
    fit_fully(model, 2, callbacks=[During(lambda model: WRITES["set_weights"](model, Path()))])
    np.testing.assert_array_equal(model.get_weights()["0.weight"], np.zeros((4, 8)))


@dataclass(eq=False, repr=False)
class Waiting(nnx.Layer):
    """y = x, once it is told to go on."""

    entered: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        del context
        self.entered.set()
        assert self.go.wait(30)
        return x, lambda dy: dy


@pytest.mark.parametrize("action", CHANGES | WRITES)
def test_a_model_cannot_be_changed_under_a_thread_that_predicts(action: str) -> None:
    waiting = Waiting()
    layers = [nnx.Dense(8), waiting, nnx.Dense(3)]
    model = nnx.Sequential(layers, input_shape=(4,)).compile("softmax_cross_entropy")
    before, change = model.get_weights(), (CHANGES | WRITES)[action]
    with ThreadPoolExecutor(1) as pool:
        prediction = pool.submit(model.predict, X)
        assert waiting.entered.wait(30)
        try:
            with pytest.raises(BackendError, match="This model is being used by another thread"):
                change(model, Path())
            for name, values in model.get_weights().items():
                np.testing.assert_array_equal(values, before[name])
        finally:
            waiting.go.set()
        found = prediction.result()
    np.testing.assert_array_equal(model.predict(X), found)
    change(model, Path())


def test_two_threads_that_begin_to_train_at_the_same_moment_do_not_both_do_it(backend: Backend) -> None:
    model, gate = full_network(backend), threading.Barrier(4)
    alone, done = full_network(backend), list[int]()

    def train(number: int) -> None:
        gate.wait()
        try:
            fit_fully(model, 2)
            done.append(number)
        except BackendError:
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(train, range(4)))
    for _ in done:
        fit_fully(alone, 2)
    assert done
    assert_same_bits(model, alone)


class Moving:
    """Inputs that take so long to read that another thread tries to move the model meanwhile."""

    def __init__(self, model: nnx.Sequential, said: list[str]) -> None:
        self.move = lambda: refused_elsewhere(lambda model: model.to("generic:numpy"), said)(model)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        self.move()
        return np.asarray(X, dtype)


@pytest.mark.parametrize("use", [lambda model, x: model.predict(x), lambda model, x: model.evaluate(x, Y)])
def test_a_model_is_not_moved_while_inputs_are_read_for_it(use: Callable[[nnx.Sequential, Any], Any]) -> None:
    model, said = full_network("numpy"), list[str]()
    use(model, Moving(model, said))
    assert said
    assert all("used by another thread" in sentence for sentence in said)
    assert model.backend.name == "numpy"


@pytest.mark.parametrize(("features", "error"), [(4, None), (5, "was built for examples of shape")])
def test_who_comes_too_late_to_build_a_model_leaves_what_another_thread_has_trained(
    monkeypatch: pytest.MonkeyPatch, features: int, error: str | None
) -> None:
    model, alone = (nnx.Sequential([nnx.Dense(3)]).compile("softmax_cross_entropy") for _ in range(2))
    changing = model.access.changing

    def train_first() -> AbstractContextManager[None]:
        monkeypatch.undo()
        model.fit(X, Y)
        return changing()

    monkeypatch.setattr(model.access, "changing", train_first)  # called once it was found that there are no weights
    with nullcontext() if error is None else pytest.raises(ShapeError, match=error):
        model.build((features,))
    alone.fit(X, Y)
    assert_same_bits(model, alone)


@pytest.mark.usefixtures("many_turns")
@pytest.mark.parametrize("name", ["batch norm", "dropout", "images", "sequences", "own layer"])
def test_eight_threads_predict_by_one_model_in_batches_of_their_own(name: str, backend_name: str) -> None:
    model = network(name, backend_name)
    sizes = [1, 2, 3, 5, 8, 13, 21, 1024]
    expected = [predict(name, model, size) for size in sizes]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(lambda size: predict(name, model, size), sizes), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.usefixtures("many_turns")
def test_streams_of_one_model_go_on_side_by_side_with_predictions_of_ragged_sequences(backend: Backend) -> None:
    model = nnx.Sequential([nnx.LSTM(6, return_sequences=True), nnx.GRU(4)], input_shape=(5, 3), backend=backend)
    draw = np.random.default_rng(1)
    parts = [draw.normal(size=(ROWS, steps, 3)) for steps in (1, 3, 2, 4, 5, 1, 2, 3)]

    def advance(number: int) -> list[Any]:
        stream = model.stream(ROWS)
        return [stream.predict(part) for part in parts[number:]]

    def whole(number: int) -> list[Any]:
        return [model.predict(part, lengths=np.arange(ROWS) % part.shape[1] + 1) for part in parts[number:]]

    calls = [(advance, whole)[number % 2] for number in range(8)]
    expected = [call(number) for number, call in enumerate(calls)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda number: calls[number](number), range(8)))
    for found, wanted in zip(together, expected, strict=True):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_stream_in_use_by_another_thread_is_refused_and_keeps_its_states() -> None:
    waiting = Waiting(go=threading.Event())
    waiting.streams, waiting.steps = True, "kept"
    waiting.go.set()
    model = nnx.Sequential([nnx.SimpleRNN(3, return_sequences=True), waiting], input_shape=(5, 2))
    stream, piece = model.stream(), np.ones((1, 2, 2))
    expected = model.stream().predict(np.ones((1, 4, 2)))
    waiting.go.clear()
    waiting.entered.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stream.predict, piece)
        assert waiting.entered.wait(30)
        try:
            for use in (lambda: stream.predict(piece), stream.reset, lambda: setattr(stream, "states", {})):
                with pytest.raises(BackendError, match="give each thread a stream of its own"):
                    use()
        finally:
            waiting.go.set()
        found = np.concatenate([first.result(), stream.predict(piece)], axis=1)
    np.testing.assert_array_equal(found, expected)


def test_no_two_are_let_in_whoever_comes_when(many_turns: None) -> None:
    del many_turns
    access, inside, wrong = nnx.Sequential([nnx.Dense(1)]).access, list[str](), list[list[str]]()
    gate = threading.Barrier(6)

    def use(kind: str) -> None:
        gate.wait()
        for _ in range(400):
            try:
                with access.exclusively() if kind == "change" else access.reading():
                    inside.append(kind)
                    now = list(inside)
                    if "change" in now and len(now) > 1:
                        wrong.append(now)
                    inside.remove(kind)
            except BackendError:
                pass

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, ["change", "read"] * 3))
    assert not wrong
    with access.exclusively():
        pass

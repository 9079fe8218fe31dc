"""nnx, through its public interface: `Sequential.fit`, stopped between epochs; kernels recorded and replayed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from functools import partial, singledispatch
from itertools import chain
from typing import Any

import nnx
from benchmarks.contenders.base import Loop, Timing, Trainer
from benchmarks.kernels.cases import Case
from benchmarks.kernels.recorded import record
from benchmarks.networks import Convolutions, Data, Floats, Perceptron, Sequences, Workload

FOREVER = 10**9
"""Epochs that `fit` is asked for; `Gate` ends it."""


def device_of(backend: str) -> str:
    """Return "cuda" for the backend that runs on a GPU, else "cpu"."""
    return "cuda" if backend in ("cupy", "generic:cupy") else "cpu"


@singledispatch
def layers(workload: Workload) -> list[nnx.Layer]:
    """Return the layers of a workload."""
    raise NotImplementedError(f"no layers for {type(workload).__name__}")


@layers.register
def _(workload: Perceptron) -> list[nnx.Layer]:
    made: list[nnx.Layer] = []
    for units in workload.sizes[1:-1]:
        if workload.batch_norm:
            made += [nnx.Dense(units, bias=False), nnx.BatchNorm(), nnx.Activation(workload.activation)]
        else:
            made.append(nnx.Dense(units, activation=workload.activation))
        if workload.dropout:
            made.append(nnx.Dropout(workload.dropout))
    return [*made, nnx.Dense(workload.sizes[-1])]


@layers.register
def _(workload: Convolutions) -> list[nnx.Layer]:
    pairs = ((nnx.Conv2D(count, 3, activation="relu"), nnx.MaxPool2D(2)) for count in workload.filters)
    return [*chain.from_iterable(pairs), nnx.Flatten(), nnx.Dense(workload.classes)]


@layers.register
def _(workload: Sequences) -> list[nnx.Layer]:
    kind = {"lstm": nnx.LSTM, "gru": nnx.GRU}[workload.cell]
    return [kind(workload.hidden), nnx.Dense(1)]


def weights(workload: Workload, made: Sequence[nnx.Layer]) -> dict[str, Floats]:
    """Return the initial weights by the names that the model gives them; biases begin as everyone's do."""
    places = [index for index, layer in enumerate(made) if isinstance(layer, nnx.Dense | nnx.Conv2D)]
    if isinstance(workload, Sequences):
        w, u, last = workload.initial_weights()
        return {"0.weight": w, "0.recurrent_weight": u, "1.weight": last}
    return {f"{place}.weight": weight for place, weight in zip(places, workload.initial_weights(), strict=True)}


def build(workload: Workload, backend: str) -> nnx.Sequential:
    """Return the compiled model with the workload's initial weights."""
    made = layers(workload)
    model = nnx.Sequential(made, backend=backend, input_shape=workload.data.x.shape[1:])
    model.set_weights(weights(workload, made))
    optimizer = nnx.SGD(workload.rate) if workload.optimizer == "sgd" else nnx.Adam(workload.rate)
    return model.compile(workload.loss, optimizer, l2=workload.l2 if isinstance(workload, Perceptron) else 0.0)


class Gate(nnx.callbacks.Callback):
    """Lets `fit` through so many epochs at a time; the clock stands still in between."""

    def __init__(self) -> None:
        """Begin closed."""
        self.orders: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Timing | BaseException] = queue.SimpleQueue()
        self._left = 0
        self._began = 0.0

    def wait(self) -> bool:
        """Wait for the next order; tell whether it is to go on."""
        self._left = self.orders.get()
        self._began = time.perf_counter()
        return self._left > 0

    def on_epoch_end(self, run: Any, epoch: int, logs: Any) -> None:
        """Count the epochs that were ordered; after the last, answer and wait."""
        del epoch
        self._left -= 1
        if self._left:
            return
        self.answers.put(Timing(time.perf_counter() - self._began, float(logs["loss"])))
        if not self.wait():
            run.stop("the benchmark is over")


class GatedFit(Trainer):
    """One call of `fit` in a thread of its own, from the first repetition to the last."""

    def __init__(self, workload: Workload, backend: str, data: Data, shuffle: bool) -> None:
        """Start the thread, which waits for its first order."""
        self._gate = Gate()
        self._fit = (workload, backend, data, shuffle)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        workload, backend, data, shuffle = self._fit
        try:
            model = build(workload, backend)
            if self._gate.wait():
                size: int | str = "full" if workload.batch >= len(data.x) else workload.batch
                fit = partial(model.fit, epochs=FOREVER, batch_size=size, shuffle=shuffle, progress=False)
                fit(data.x, data.y, callbacks=[self._gate])
        except BaseException as error:  # whatever it is, the thread that waits for the answer must learn of it
            self._gate.answers.put(error)

    def run(self, epochs: int) -> Timing:
        """Let so many epochs through."""
        self._gate.orders.put(epochs)
        answer = self._gate.answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """End `fit` and the thread."""
        self._gate.orders.put(0)
        self._thread.join()


class Ours:
    """One backend of nnx."""

    def __init__(self, backend: str, threads: int) -> None:
        """Bind the backend; thread counts come from the environment and, where nnx has it, its own setting."""
        self.backend = nnx.get_backend(backend)
        set_num_threads = getattr(nnx, "set_num_threads", None)
        if set_num_threads is not None:
            set_num_threads(threads)

    def versions(self) -> dict[str, str]:
        """Name the backend's device too, which tells of threads and kernels."""
        return {"nnx": nnx.__version__, "backend": self.backend.name, "device": self.backend.device()}

    def trainer(self, workload: Workload, data: Data, shuffle: bool) -> Trainer:
        """See `Contender.trainer`."""
        return GatedFit(workload, self.backend.name, data, shuffle)

    def kernel(self, case: Case) -> Loop:
        """See `Contender.kernel`."""
        return record(self.backend, case)

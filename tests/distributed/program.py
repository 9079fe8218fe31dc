"""What each rank runs: `mpiexec -n 2 python -m tests.distributed.program FOLDER CASE...`; rank 0 writes files."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import h5py
import numpy as np

import nnx

Found = dict[str, np.ndarray]

ROWS = 37  # no multiple of a batch, nor a batch of the number of ranks


@dataclass(eq=False, repr=False)
class Scaled(nnx.Layer):
    """A layer of one's own: x * g, or, which no rank can do by itself, (x - its mean over the batch) * g."""

    centred: bool = False
    follows: bool = False
    start: float = 1.5

    def setup(self, builder, shape):
        self.g = builder.parameter("g", shape, self.start)
        self.size = builder.state("size", shape, 0.0)
        return shape

    def forward(self, x, context):
        ops, xp, g = self.ops, self.ops.backend.xp, self.g

        def scale(x, g, y):
            y[...] = (x - xp.mean(x, axis=0) if self.centred else x) * g

        def scale_backward(x, g, dy, dx, dg):
            dx[...] = dy * g
            dg[...] = xp.sum(dy * x, axis=0)

        def follow(y, size):
            size[...] = 0.9 * size + 0.1 * xp.mean(xp.abs(y), axis=0)

        y = ops.like(x)
        ops.call(scale, x, g.value, y)
        if context.train and self.follows:
            ops.call(follow, y, self.size.value)

        def backward(dy):
            dx = ops.like(x)
            ops.call(scale_backward, x, g.value, dy, dx, g.grad)
            return dx

        return y, backward


@dataclass(frozen=True)
class OwnEntropy(nnx.losses.SoftmaxCrossEntropy):
    """A loss of one's own: the mean over the rows, or their sum."""

    summed: bool = False

    def forward(self, ops, outputs, targets, weight, gradient):
        loss, slope = super().forward(ops, outputs, targets, weight, gradient)

        def times(array, count):
            array[...] = array * count

        for array in (loss, slope):
            if self.summed and array is not None:
                ops.call(times, array, outputs.shape[0])
        return loss, slope


@dataclass(frozen=True)
class OwnSGD(nnx.SGD):
    """An optimizer of one's own."""


def mine(backend: str, **options: float) -> nnx.Sequential:
    """Return a model with parts of one's own, one of them among layers of nnx that know of shares."""
    names = ("summed",)
    layer = Scaled(**{name: value for name, value in options.items() if name not in names})
    inner = nnx.Residual([layer, nnx.BatchNorm(), nnx.Dropout(0.2)])
    loss = OwnEntropy(**{name: value for name, value in options.items() if name in names})
    layers = [nnx.Dense(9, activation="tanh"), inner, Scaled(), nnx.Dense(2)]
    return nnx.Sequential(layers, seed=3, dtype="float64", backend=backend).compile(loss, OwnSGD(0.2))


def data(rows: int = ROWS, features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    x = random.standard_normal((rows, features)).astype("float32")
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype("int64")


def dense(backend: str, dtype: str = "float64", **options: object) -> nnx.Sequential:
    layers = [nnx.Dense(9, activation="tanh"), nnx.Dense(2)]
    return nnx.Sequential(layers, seed=3, dtype=dtype, backend=backend).compile(
        "softmax_cross_entropy", nnx.Adam(0.01), **options
    )


def everything(backend: str, dtype: str = "float64") -> nnx.Sequential:
    """Return a model of all that several rows, or their numbers, have to do with."""
    layers = [
        nnx.Reshape((3, 2)),
        nnx.TimeDistributed([nnx.Dense(5), nnx.BatchNorm(), nnx.Activation("tanh"), nnx.Dropout(0.3)]),
        nnx.SpatialDropout(0.2),
        nnx.Flatten(),
        nnx.Dense(8),
        nnx.BatchNorm(),
        nnx.Activation("relu"),
        nnx.Dropout(0.4),
        nnx.Dense(2),
    ]
    optimizer = nnx.SGD(0.1, clip_norm=0.5)
    return nnx.Sequential(layers, seed=3, dtype=dtype, backend=backend).compile(
        "softmax_cross_entropy", optimizer, l2=0.1
    )


def trained(model: nnx.Sequential, **options: object) -> Found:
    """Return weights and measurements."""
    return fitted(model, *data(), **options)


def fitted(model: nnx.Sequential, x: object, y: object, **options: object) -> Found:
    """Return the same, of training on these examples."""
    history = model.fit(x, y, **{"epochs": 3, "batch_size": 8, "progress": False, **options})
    measured = {f"history.{name}": np.asarray(values) for name, values in history.items() if name != "seconds"}
    return model.get_weights() | measured


def plain(backend: str, distributed: bool) -> Found:
    return trained(dense(backend), distributed=distributed)


def wide(backend: str, distributed: bool) -> Found:
    x, y = data(20)
    weight = np.linspace(0.5, 2, ROWS)
    options = {"validation_data": (x, y), "sample_weight": weight}
    return trained(everything(backend), distributed=distributed, **options)


def single(backend: str, distributed: bool) -> Found:
    """Batches of three rows, the last of one: fewer than four ranks."""
    return trained(everything(backend), batch_size=3, distributed=distributed)


def full(backend: str, distributed: bool) -> Found:
    return trained(dense(backend), batch_size="full", distributed=distributed)


def short(backend: str, distributed: bool) -> Found:
    """Single precision, in which rounding shows."""
    return trained(dense(backend, "float32"), distributed=distributed)


def own(backend: str, distributed: bool) -> Found:
    """Layers, a loss and an optimizer of one's own."""
    weight = np.linspace(0.5, 2, ROWS)
    options = {"validation_data": data(20), "sample_weight": weight}
    return trained(mine(backend), distributed=distributed, **options)


def stopped(backend: str, distributed: bool) -> Found:
    """A callback of rank 0 ends the run and puts the best weights back."""
    watch = nnx.callbacks.EarlyStopping("loss", patience=2, min_delta=0.02), nnx.callbacks.ReduceLROnPlateau("loss")
    return trained(dense(backend), epochs=60, callbacks=list(watch), distributed=distributed)


@contextmanager
def in_a_file(*arrays: np.ndarray) -> Iterator[list[h5py.Dataset]]:
    """Hand over datasets of a file of this rank's own, to be read in buffers of 16 rows of six features."""
    with tempfile.TemporaryDirectory() as folder, mock.patch("nnx.stored.plan.BUFFER_BYTES", 16 * 7 * 8):
        with h5py.File(Path(folder) / "examples.h5", "w") as file:
            for number, array in enumerate(arrays):
                file[str(number)] = array
        with h5py.File(Path(folder) / "examples.h5") as file:
            yield [file[str(number)] for number in range(len(arrays))]


def streamed(backend: str, distributed: bool) -> Found:
    """Three buffers, the last of five rows; two to validate on, of 1024 and 76 rows."""
    model, weight = everything(backend), np.linspace(0.5, 2, ROWS)
    with in_a_file(*data(), *data(1100)) as (x, y, *held_out):
        options = {"batch_size": 8, "validation_data": held_out, "sample_weight": weight}
        return fitted(model, x, y, distributed=distributed, **options)


def sparse(backend: str, distributed: bool) -> Found:
    """Batches of three sequences, and a last buffer of one: fewer than four ranks."""
    rng = np.random.default_rng(7)
    x, lengths = rng.standard_normal((ROWS, 3, 2)), rng.integers(1, 4, ROWS)
    layers = [nnx.GRU(3, return_sequences=True), nnx.Dense(1)]
    model = nnx.Sequential(layers, seed=1, dtype="float64", backend=backend)
    model.compile("sigmoid_cross_entropy", nnx.Adam(0.01))
    with in_a_file(x, x[..., 0] > 0) as stored, mock.patch("nnx.stored.plan.BUFFER_BYTES", 4 * 9 * 8):
        return fitted(model, *stored, batch_size=3, lengths=lengths, distributed=distributed)


KEPT = Path("interrupted.h5")


class Crash(nnx.callbacks.Checkpoint):
    """Keeps the run in the middle of a buffer of the second epoch, and ends it there."""

    def save(self, run: nnx.training.Run) -> None:
        super().save(run)
        raise InterruptedError


def interrupt(folder: Path) -> None:
    """Leave a run to go on with."""
    with in_a_file(*data()) as (x, y):
        try:
            fitted(dense("numpy"), x, y, callbacks=[Crash(folder / KEPT, every=8)])
        except InterruptedError:
            return
    raise AssertionError("it came to its end")


def gone_on(backend: str, distributed: bool) -> Found:
    """On one process, without interruption; on several, from where one process was interrupted."""
    options = {"callbacks": [nnx.callbacks.Checkpoint(KEPT, every=8)], "resume": KEPT} if distributed else {}
    with in_a_file(*data()) as (x, y):
        return fitted(dense(backend), x, y, distributed=distributed, **options)


def mine_streamed(backend: str, distributed: bool) -> Found:
    """Parts of one's own, on data in a file."""
    with in_a_file(*data()) as (x, y):
        return fitted(mine(backend), x, y, distributed=distributed)


CASES = {
    case.__name__: case
    for case in (plain, wide, single, full, short, own, stopped, streamed, sparse, gone_on, mine_streamed)
}


def run(name: str, distributed: bool) -> Found:
    """Run a case, named CASE-BACKEND, or CASE-BACKEND-again for once more."""
    case, backend, *_ = name.split("-")
    return CASES[case](backend, distributed)


class Ending(nnx.callbacks.Callback):
    """Ends a rank in the third epoch, in one way or another."""

    def __init__(self, how: str) -> None:
        self.how = how

    def config(self) -> None:
        pass

    def on_epoch_end(self, run: nnx.training.Run, epoch: int, logs: object) -> None:
        del run, logs
        if epoch == 2 and self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if epoch == 2 and self.how == "terminated":
            os.kill(os.getpid(), signal.SIGTERM)


def end(how: str) -> None:
    """Train for hours, but that one rank ends before."""
    from nnx.distributed import loop

    if how == "raises" and loop_rank() == 1:
        _raise_in_the_third_epoch(loop.RankLoop)
    options = {"epochs": 10**6, "callbacks": [nnx.callbacks.Checkpoint("run.h5"), Ending(how)]}
    with in_a_file(*data()) as stored:
        fitted(dense("numpy"), *(stored if how == "killed" else data()), distributed=True, **options)


def loop_rank() -> int:
    from nnx.distributed import open_group

    return open_group().rank


def leave(how: str) -> None:
    """End one rank before the others train, or all of them where none waits for another."""
    rank, model = loop_rank(), dense("numpy")
    print(f"rank {rank} of a script", end="")
    if how == "left-after-fit":
        fitted(model, *data(), distributed=True)
    if how == "left-together":
        sys.exit(5)
    if rank == 1:
        sys.exit(3 if how == "left-with-3" else 0)
    fitted(model, *data(), distributed=True)


def _raise_in_the_third_epoch(kind: type) -> None:
    begin = kind._begin_epoch

    def failing(self: object) -> int:
        if self.model.epoch == 2:
            raise ValueError("no more")
        return begin(self)

    kind._begin_epoch = failing


def resumed(path: Path, epochs: int, distributed: bool) -> Found:
    """Go on from a run that was kept when a rank was killed."""
    options = {"epochs": epochs, "callbacks": [nnx.callbacks.Checkpoint(path), Ending("never")], "resume": path}
    with in_a_file(*data()) as (x, y):
        return fitted(dense("numpy"), x, y, distributed=distributed, **options)


def refused(fault: str) -> str:
    """Return what is said of models or data that do not go together."""
    second, model, (x, y) = loop_rank() == 1, dense("numpy"), data()
    if fault == "other-data" and second:
        x[3, 1] += 1
    if fault == "other-seed" and second:
        model.seed = 4
    if fault == "refused-on-rank-1" and second:
        x[3, 1] = np.nan
    if fault == "mixing-layer":
        model = mine("numpy", centred=True)
    if fault == "other-option":
        model = mine("numpy", start=2.5 if second else 1.5)
    if fault == "diverges":
        layers = [nnx.Dense(9, activation="relu"), nnx.Dense(2)]
        model = nnx.Sequential(layers, seed=3).compile("softmax_cross_entropy", nnx.SGD(1e30))
    if fault == "stored-nan":
        x[30, 1] = np.nan
    try:
        with in_a_file(x, y) as stored:
            model.fit(*(stored if fault == "stored-nan" else (x, y)), batch_size=8, distributed=True)
    except nnx.errors.NnxError as error:
        return f"{type(error).__name__}: {error}"
    return "trained"


def main(folder: Path, names: list[str]) -> None:
    """Do what the names say."""
    if names[0] == "train":
        from nnx.cli import app

        app(names, prog_name="nnx")
    if names[0] in ("killed", "raises", "terminated"):
        end(names[0])
    if names[0].startswith("left-"):
        leave(names[0])
    if names[0] == "refused":
        for fault in names[1:]:
            (folder / f"{fault}-{loop_rank()}.txt").write_text(refused(fault))
        return
    for name in names:
        if name.startswith("resume:"):
            found, file = resumed(folder / "run.h5", int(name.partition(":")[2]), distributed=True), "resumed"
        else:
            found, file = run(name, distributed=True), name
        _write_if_alike(folder / f"{file}.npz", found)


def _write_if_alike(path: Path, found: Found) -> None:
    from nnx.distributed import open_group

    group = open_group()
    every = group.collect({key: value.tobytes() for key, value in found.items()})
    assert all(other == every[0] for other in every), "the ranks hold other weights"
    if group.leads:
        np.savez(path, **found)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(Path(sys.argv[1]), sys.argv[2:])

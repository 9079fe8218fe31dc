"""What of training on several processes shows in one."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

import nnx
from nnx.distributed import launched_ranks
from nnx.distributed.mixing import check_rows_apart
from nnx.distributed.reduction import Sum
from nnx.distributed.shares import RankShare
from tests.distributed import program


class FakeComm:
    """A rank whose fellows have the same vectors as itself."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.seen: list[object] = []

    def Alltoall(self, sent, received):
        self.seen.append(sent)
        for part in range(self.size):
            received[part, ...] = sent[self.rank, ...]

    def Allgather(self, sent, received):
        self.seen.append(sent)
        for part in range(self.size):
            received[part, ...] = sent


class FakeGroup:
    """As much of a `Group` as sums and shares need."""

    def __init__(self, rank: int = 0, size: int = 3) -> None:
        self.rank, self.size, self.comm = rank, size, FakeComm(rank, size)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_every_row_of_a_batch_belongs_to_one_rank(rows, size):
    shares = [RankShare.of(FakeGroup(rank, size), rows) for rank in range(size)]
    owned = [row for share in shares for row in range(share.first, share.first + share.rows)]
    assert owned == list(range(rows))
    assert max(share.rows for share in shares) <= -(-rows // size)
    assert all(share.present == max(share.rows, 1) for share in shares)
    assert sum(share.part for share in shares) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("length", [1, 3, 8])
@pytest.mark.parametrize("direct", [False, True])
def test_a_device_s_vector_is_summed_by_way_of_the_host_or_where_mpi_reads_it_there(
    backend, length, direct, monkeypatch
):
    if direct:
        monkeypatch.setenv("NNX_MPI_DEVICE_BUFFERS", "1")
    engine, group = backend, FakeGroup(size=1)
    vector = engine.asarray(np.arange(length), "float64")
    Sum(group, engine, length, "float64")(vector)
    assert engine.to_numpy(vector).tolist() == list(range(length))
    if direct or engine.on_host:
        assert all(engine.owns(sent) for sent in group.comm.seen)
    else:
        assert all(isinstance(sent, np.ndarray) for sent in group.comm.seen)


def test_without_mpi4py_distributed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    nnx.distributed.open_group.cache_clear()
    with pytest.raises(nnx.errors.MissingLibraryError, match=r"mpi4py is needed .*nnx-framework\[mpi\]"):
        program.dense("numpy").fit(*program.data(), distributed=True)


def test_launchers_are_known_by_what_they_leave_in_the_environment(monkeypatch):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert launched_ranks() == 1
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "12")
    assert launched_ranks() == 12


def built(backend, layers=None, loss=None, **options):
    model = program.mine(backend, **options)
    if layers is not None:
        model = nnx.Sequential(layers, seed=1, backend=backend)
    model.compile(loss or model.loss, "sgd") if loss or layers else None
    x, y = program.data()
    model.build(x.shape[1:])
    return model, model.take(x, y, np.linspace(0.5, 2, len(x)))


def test_parts_of_ones_own_that_take_each_row_by_itself_may_be_shared_and_the_model_is_left_alone(backend):
    model, examples = built(backend)
    before = model.get_weights()
    check_rows_apart(model, examples)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)
    assert not any("forward" in vars(layer) for _, layer in model.places)


class Forgetful(program.Scaled):
    """The mean over the rows where their sum belongs."""

    def forward(self, x, context):
        y, backward = super().forward(x, context)

        def averaged(dy):
            dx = backward(dy)
            self.g.grad[...] = self.g.grad / x.shape[0]
            return dx

        return y, averaged


class Blended(program.Scaled):
    """Passes the mean of the gradients on."""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        xp = self.ops.backend.xp
        return y, lambda dy: backward(dy) + xp.mean(dy, axis=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"centred": True}, r"layer 1\.0, Scaled\(centred=True\), has another output for a row"),
        ({"follows": True}, r"layer 1\.0, Scaled\(follows=True\), changes a state in training"),
        ({"layers": [nnx.Dense(4), Forgetful(), nnx.Dense(2)]}, r"layer 1, .* another gradient by its parameters"),
        ({"layers": [nnx.Dense(4), Blended(), nnx.Dense(2)]}, r"layer 1, .* another gradient by its input"),
        ({"summed": True}, r"the loss OwnEntropy\(.*summed=True\) has another gradient for a row than a mean"),
    ],
)
def test_what_would_learn_something_else_from_a_share_is_refused(options, message):
    if "layers" in options:
        options = {"layers": [type(layer)(**layer.config()) for layer in options["layers"]]}
        options["loss"] = "softmax_cross_entropy"
    model, examples = built("numpy", **options)
    before = model.get_weights()
    with pytest.raises(nnx.errors.OptionError, match=message):
        check_rows_apart(model, examples)
    for name, values in model.get_weights().items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_padded_sequences_are_tried_with_their_lengths():
    @dataclass(eq=False, repr=False)
    class Same(nnx.Layer):
        steps = "kept"

        def forward(self, x, context):
            assert context.lengths.shape[0] == x.shape[0]
            return x, lambda dy: dy

    model = nnx.Sequential([Same(), nnx.GRU(3, return_sequences=True), Same()], backend="numpy")
    model.compile(nnx.losses.MeanSquaredError(), "sgd").build((5, 2))
    random = np.random.default_rng(1)
    x, y = random.normal(size=(7, 5, 2)), random.normal(size=(7, 5, 3))
    check_rows_apart(model, model.take(x, y, lengths=[1, 2, 3, 4, 5, 5, 5]))

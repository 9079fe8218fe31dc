"""What of training on several processes shows in one."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import nnx
from nnx.distributed import launched_ranks
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

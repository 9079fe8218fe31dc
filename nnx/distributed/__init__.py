"""Training on several processes at once, over MPI: synchronous data parallelism.

    mpiexec -n 4 python script.py     # in which the model is trained by model.fit(..., distributed=True)
    mpiexec -n 4 nnx train mnist

Every process, or rank, makes the same model and has the same data. Each takes a contiguous share of every batch,
computes the gradients of its share, and all of them add these up in the order of the ranks, so that they take the
same step. Batches, shuffles and dropout masks are those of one process, batch normalisation goes by the statistics
of the whole batch, and weights differ by the rounding of sums only. The same number of ranks gives the same bits.

The callbacks are those of rank 0, which alone prints and writes files. A run that was kept goes on on any number
of ranks. Examples in a file that are more than one buffer (`nnx.stored`) are read by each rank as far as it
computes them: the rows of the ranks are disjoint, and together they are all. MPI is loaded by the first such
`fit`; it is optional: python -m pip install 'nnx-framework[mpi]'.

`group.py` is what the ranks say to each other, `reduction.py` how they add, `shares.py` who has which rows,
`streamed.py` who reads which from a file, `normalization.py` batch normalisation over all of them, `steps.py` and
`loop.py` the step and the loop, and `fitting.py` one call of `fit`.
"""

from nnx.distributed.fitting import find_team
from nnx.distributed.group import Group, launched_ranks, open_group

__all__ = ["Group", "find_team", "launched_ranks", "open_group"]

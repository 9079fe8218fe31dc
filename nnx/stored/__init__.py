"""Examples that stay in their file: HDF5 datasets that may be larger than memory, read while training goes on.

Two buffers hold what is trained on and what comes next. While the steps run on one, a thread reads the other,
so that memory holds two buffers however large the file is. What is read is checked as arrays are. A dataset
that fits in one buffer is read at once, and is trained on as an array.

The order of the examples (M of them, B per batch) depends on the seed, the number of the epoch and the sizes
alone:

* A buffer has R rows: as many whole batches as fit in 32 MiB of inputs and targets, at least one.
* A chunk has C rows: R / 32, rounded up to whole chunks of the file where its datasets have chunks.
* Chunks in a random order, drawn for every epoch, one after another, make a sequence of M rows.
* Rows i R to (i + 1) R - 1 of that sequence are buffer i. They are shuffled among themselves.
* Batch k of the epoch is the rows k B to (k + 1) B - 1 of what comes out; only the last one may have fewer.

Every example comes once per epoch. Both shuffles are `nnx.random.permutation` with the seed of the model: that
of the chunks has the stream "shuffle.chunks" and the epoch as its position, that of buffer i the stream
"shuffle" and the position epoch + i 2^64. Neighbours in the file meet more often than in a shuffle of
everything. Classes that stand one after another are mixed by the order of the chunks, as long as each has many
of them.

`plan` has the order, `source` reads rows, `examples` checks them, `deferring` makes them of what users give,
`reading` reads ahead, `buffers` holds what is read, `batches` hands it to steps.
"""

from nnx.stored.batches import StoredBatches
from nnx.stored.deferring import defer
from nnx.stored.examples import AnyExamples, StoredExamples, StoredInputs, held
from nnx.stored.source import Source, is_stored

__all__ = [
    "AnyExamples",
    "Source",
    "StoredBatches",
    "StoredExamples",
    "StoredInputs",
    "defer",
    "held",
    "is_stored",
]

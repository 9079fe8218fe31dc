"""Examples that stay in their file: HDF5 datasets that may be larger than memory, read while training goes on.

Two buffers hold what is trained on and what comes next. While the steps run on one, a thread reads the other,
so that memory holds two buffers however large the file is. What is read is checked as arrays are. A dataset
that fits in one buffer is read at once, and is trained on as an array.

The order of the examples (M of them, B per batch) depends on the seed, the number of the epoch and the sizes
alone:

* A buffer has R rows: as many whole batches as fit in 32 MiB of inputs and targets, at least one.
* A chunk has C rows: R / 32, rounded up to whole chunks of the file where its datasets have chunks.
* Chunks in a random order, drawn for every epoch, one after another, make a sequence of M rows.
* Rows i R to (i + 1) R - 1 of that sequence are buffer i, cut into B lanes of R / B rows one after another. (Of n
  rows that B does not divide, n < R, the first n mod B lanes have one row more.)
* The rows of each lane are shuffled among themselves. Row p of batch k of the buffer is row k of lane p; only the
  last batch of the epoch may have fewer rows.

Every example comes once per epoch. Both shuffles are `nnx.random.permutation` with the seed of the model: that of
the chunks has the stream "shuffle.chunks" and the epoch as its position; that of buffer i has the stream
"shuffle" and the position epoch + i 2^64, is of all rows of the buffer, and each lane takes its own from it in
that order. Every batch has a row from each part of each chunk, so that it is a stratified sample of the buffer:
rows that stand together in the file come in different batches, and classes that stand one after another are mixed
by the order of the chunks, as long as each has many of them.

Lanes are there for several processes (`nnx.distributed`). Each computes a share of every batch, places b to
c - 1. In this order these are lanes b to c - 1, a stretch of the sequence, so that each process reads parts of the
chunks that no other one reads, in long pieces, whatever the number of processes; and that number has no bearing
on the order. Without lanes, a share would be single rows from all over the buffer.

Where the rows of a dataset stand in the file as NumPy would hold them (neither chunks nor compression, byte order
aside), they are read by the operating system straight into their place. Everything else is read by the HDF5
library. Inputs are converted and searched for NaN and infinity half a megabyte at a time, while the processor's
cache has them.

`plan` has the order, `extent` and `source` read rows, `examples` checks them, `deferring` makes them of what users
give, `reading` reads ahead, `buffers` holds what is read, `batches` hands it to steps.
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

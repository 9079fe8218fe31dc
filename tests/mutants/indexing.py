"""Wrong versions of the kernels of `nnx.interface.indexing`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("take_rows")
def ignores_the_batch_number(run, _a):
    run(batch=np.asarray(0))


@mutant("take_rows")
def steps_by_the_rows_of_a_ragged_batch(run, a):
    run(batch_size=len(a.out))


@mutant("take_rows")
def copies_through_float32(run, a):
    run(source=a.source.astype("float32"))


@mutant("store_at")
def clears_the_others(run, a):
    a.out[...] = 0
    run()


@mutant("increment")
def counts_in_32_bits(_run, a):
    a.counter[...] = np.asarray(a.counter).astype("int32") + np.int32(1)


@mutant("argmax")
def takes_the_last_of_equals(_run, a):
    a.out[...] = a.x.shape[1] - 1 - np.argmax(a.x[:, ::-1], axis=1)


@mutant("argmax")
def passes_over_nan(_run, a):
    a.out[...] = np.argmax(np.where(np.isnan(a.x), -np.inf, a.x), axis=1)


@mutant("count_correct")
def counts_every_tie(_run, a):
    rows = np.arange(len(a.labels))
    a.count[...] = np.sum(a.logits[rows, a.labels] == a.logits.max(1))


@mutant("count_correct_binary")
def counts_zero_as_positive(_run, a):
    a.count[...] = np.sum((a.logits >= 0) == (a.targets > 0.5))


@mutant("join")
def exchanges_the_parts(run, a):
    run(a=a.b, b=a.a)


@mutant("join")
def interleaves_equal_parts(run, a):
    run()
    if a.a.shape == a.b.shape:
        a.out[:, ::2], a.out[:, 1::2] = a.a, a.b


@mutant("split")
def cuts_in_the_middle(run, a):
    whole, half = a.x.shape[1], min(a.a.shape[1], a.b.shape[1])
    run(x=np.roll(a.x, half - whole // 2, axis=1))


@mutant("split")
def forgets_an_empty_left_part(run, a):
    if a.a.size:
        run()

"""Wrong versions of the kernels of `nnx.interface.embedding`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("embedding")
def counts_tokens_from_one(run, a):
    run(tokens=np.maximum(a.tokens - 1, 0))


@mutant("embedding")
def multiplies_by_one_hot_rows(run, a):
    run()
    a.y += 0 * a.table.sum(0)


@mutant("embedding_backward")
def stores_the_gradient_of_a_repeated_token(_run, a):
    a.dtable[...] = 0
    a.dtable[a.tokens] = a.dy


@mutant("embedding_backward")
def adds_to_what_was_there(run, a):
    before = a.dtable.copy()
    run()
    a.dtable += before


@mutant("embedding_backward")
def leaves_rows_of_tokens_that_do_not_occur(run, a):
    whole = a.dtable.copy()
    run(dtable=whole)
    used = np.unique(a.tokens)
    a.dtable[used] = whole[used]


@mutant("embedding_backward")
def averages_over_repeats(run, a):
    run()
    a.dtable /= np.maximum(np.bincount(a.tokens, minlength=len(a.dtable)), 1)[:, None].astype(a.dtable.dtype)


@mutant("embedding_backward")
def drops_the_last_token(run, a):
    run(tokens=a.tokens[:-1], dy=a.dy[:-1])

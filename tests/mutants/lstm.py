"""Wrong versions of long short-term memory."""

from __future__ import annotations

import numpy as np

from mutants.sequences import each, swapped
from mutants.table import mutant


@each(("lstm", "lstm_backward"))
def begins_with_empty_cells(run, _a):
    run(c0=None)


@mutant("lstm")
def swaps_input_and_forget_gates(run, a):
    run(xw=swapped(a.xw, 0, 1, 4), u=swapped(a.u, 0, 1, 4))


@mutant("lstm")
def orders_the_gates_as_ifog(run, a):
    run(xw=swapped(a.xw, 2, 3, 4), u=swapped(a.u, 2, 3, 4))


@mutant("lstm")
def stores_the_gates_before_their_functions(run, a):
    run()
    with np.errstate(all="ignore"):
        a.gates[..., : len(a.u)] = np.log(a.gates[..., : len(a.u)])


@mutant("lstm")
def stores_the_cells_before_the_step(run, a):
    run()
    a.cells[:, 1:] = a.cells[:, :-1].copy()


@mutant("lstm")
def returns_h_for_c(run, a):
    run()
    a.c_last[...] = a.h_last


@mutant("lstm_backward")
def forgets_the_tanh_of_the_cells(run, a):
    run(cells=np.arctanh(np.clip(a.cells, -0.999, 0.999)))


@mutant("lstm_backward")
def drops_the_gradient_of_the_last_cells(run, _a):
    run(dc_last=None)


@mutant("lstm_backward")
def swaps_dh0_and_dc0(run, a):
    run(dh0=a.dc0, dc0=a.dh0)


@mutant("lstm_backward")
def takes_the_gates_of_the_step_before(run, a):
    run(gates=np.roll(a.gates, 1, axis=1))

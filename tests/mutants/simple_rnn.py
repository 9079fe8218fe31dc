"""Wrong versions of the network of Elman."""

from __future__ import annotations

from mutants.table import mutant


@mutant("simple_rnn")
def always_takes_tanh(run, _a):
    run(activation="tanh")


@mutant("simple_rnn")
def ignores_alpha(run, _a):
    run(alpha=0.01)


@mutant("simple_rnn_backward")
def always_takes_the_slope_of_tanh(run, _a):
    run(activation="tanh")

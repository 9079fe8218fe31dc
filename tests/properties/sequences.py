"""Laws of recurrent layers: causes come before effects, and padding is nothing."""

from __future__ import annotations

import numpy as np

from nnx.layers.unrolling import Recurrent
from tests.properties.laws import Trial, law
from tests.properties.subjects import RECURRENT
from tests.properties.values import FINITE, Values, require_close, require_same

CELLS = tuple(name for name in RECURRENT if name != "Bidirectional")


@law(*CELLS)
def no_output_depends_on_later_steps_and_no_gradient_goes_to_them(trial: Trial) -> None:
    subject, dtype = trial.subject(return_sequences=True, return_state=False, go_backwards=False), trial.dtype()
    bench, x, steps = trial.bench(subject, dtype), trial.inputs(subject, 5, dtype), subject.shape[0]
    known = trial.integer(0, steps)
    dy = trial.numbers((5, *bench.output_shape), dtype)
    dy[:, known:] = 0
    y, dx = bench.run(x, dy)
    assert (dx[:, known:] == 0).all(), f"{subject}: gradients of steps after {known}"
    x[:, known:] = trial.numbers(x[:, known:].shape, dtype, FINITE)
    require_same(bench.run(x)[0][:, :known], y[:, :known], f"the first {known} steps of {subject}")


@law(*CELLS)
def a_shorter_sequence_gives_the_first_outputs_of_a_longer_one(trial: Trial) -> None:
    subject = trial.subject(return_sequences=True, return_state=False, go_backwards=False)
    bench, x, steps = trial.bench(subject), trial.inputs(subject, 5, "float64"), trial.integer(1, subject.shape[0])
    require_close(bench.run(x[:, :steps])[0], bench.run(x)[0][:, :steps], f"{steps} steps of {subject}")


@law(*RECURRENT)
def padding_changes_nothing_and_learns_nothing(trial: Trial) -> None:
    """Whatever finite number stands there; outputs and gradients there are 0."""
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(1, 5, 17)
    bench, x, steps = trial.bench(subject, dtype), trial.inputs(subject, rows, dtype), subject.shape[0]
    lengths = np.random.default_rng(trial.integer(0, 99)).integers(0, steps + 1, rows)
    padded = np.arange(steps) >= lengths[:, None]
    dy = trial.numbers((rows, *bench.output_shape), dtype)
    found = []
    for filler in (0.0, trial.among(1e30, -float(np.finfo(dtype).max))):
        x[padded] = filler
        y, dx = bench.run(x, dy, lengths=lengths)
        assert (dx[padded] == 0).all(), f"{subject}: gradients in padding"
        if len(bench.output_shape) == 2:
            assert (y[padded] == 0).all(), f"{subject}: outputs in padding"
        gradients = [bench.host(item.grad) for item in bench.learned()]
        found.append([y, dx, *gradients])
    for got, expected in zip(*reversed(found), strict=True):
        require_same(got, expected, f"{subject} with other padding, lengths {lengths}")


@law(*CELLS)
def a_padded_sequence_ends_as_without_its_padding(trial: Trial) -> None:
    subject = trial.subject(return_sequences=False)
    bench, x = trial.bench(subject), trial.inputs(subject, 3, "float64")
    steps = trial.integer(1, subject.shape[0])
    y, _ = bench.run(x, lengths=np.full(3, steps))
    require_close(bench.run(x[:, :steps])[0], y, f"{subject}, {steps} real steps")


@law(*CELLS)
def going_backwards_is_going_forwards_through_the_reversed_sequence(trial: Trial) -> None:
    subject = trial.subject(go_backwards=False)
    bench, x = trial.bench(subject), trial.inputs(subject, 5, "float64")
    options = {**subject.layer.config(), "go_backwards": True}
    twin = trial.mount(type(subject.layer)(**options), subject.shape)
    dy, turned = trial.numbers((5, *bench.output_shape)), len(bench.output_shape) == 2
    y, dx = bench.run(x, dy)
    back, dx_back = twin.run(x[:, ::-1], dy[:, ::-1] if turned else dy)
    require_close(back[:, ::-1] if turned else back, y, f"{subject} reversed")
    require_close(dx_back[:, ::-1], dx, f"gradients of {subject} reversed")


@law(*CELLS)
def the_last_state_is_the_last_output(trial: Trial) -> None:
    flags = {"return_state": False, "go_backwards": trial.among(True, False)}
    subject = trial.subject(return_sequences=True, **flags)
    bench, x = trial.bench(subject), trial.inputs(subject, 5, "float64")
    last = trial.mount(type(subject.layer)(**{**subject.layer.config(), "return_sequences": False}), subject.shape)
    options = {**last.layer.config(), "return_state": True}
    states = trial.mount(type(last.layer)(**options), subject.shape)
    y, units = bench.run(x)[0], subject.layer.units
    require_same(last.run(x)[0], y[:, 0 if flags["go_backwards"] else -1], f"the last state of {subject}")
    require_same(states.run(x)[0][:, :units], last.run(x)[0], f"the states of {subject}")


@law("Bidirectional")
def both_directions_are_layers_of_their_own(trial: Trial) -> None:
    subject, rows = trial.subject(), trial.among(1, 5)
    bench, x, lengths = trial.bench(subject), trial.inputs(subject, rows, "float64"), trial.lengths(subject, rows)
    dy = trial.numbers((rows, *bench.output_shape))
    y, dx = bench.run(x, dy, lengths=lengths)
    inner: Recurrent = bench.layer.layer
    joined = subject.layer.merge == "concat"
    outputs, gradients = [], []
    for index in range(2):
        turned = inner.go_backwards != bool(index)
        half = trial.mount(type(inner)(**{**inner.config(), "go_backwards": turned}), subject.shape)
        for parameter in half.learned():
            name = parameter.name.rpartition(".")[2]
            half.set(name, bench.value(f"{index}.{name}"))
        dhalf = dy[..., index * inner.units : (index + 1) * inner.units] if joined else dy
        output, gradient = half.run(x, dhalf, lengths=lengths)
        outputs.append(output)
        gradients.append(gradient)
    require_same(y, np.concatenate(outputs, -1) if joined else outputs[0] + outputs[1], f"{subject}")
    require_close(dx, _sum(gradients), f"gradients of {subject}")


def _sum(arrays: list[Values]) -> Values:
    return arrays[0] + arrays[1]


@law("LSTM", "GRU")
def states_that_are_gated_stay_between_minus_one_and_one(trial: Trial) -> None:
    """Of LSTM h = o tanh c; of GRU a mean of what was and of a tanh: for any finite inputs whose product is."""
    subject, dtype = trial.subject(return_state=False), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, 5, dtype, ("normal", "tiny"))
    y, _ = bench.run(x * trial.among(1, 1000, 1e20))
    assert (np.abs(y) <= 1).all(), f"{subject}: {y}"

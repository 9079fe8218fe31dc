"""Laws of every layer: shapes, the order and the independence of examples, gradients that are linear."""

from __future__ import annotations

import numpy as np

from nnx.checks import ROWWISE
from tests.properties.laws import Trial, law
from tests.properties.subjects import PRODUCTS, Subject
from tests.properties.values import FINITE, Values, require_close, require_same
from tests.support.gradients import Bench

MASKED = ("Dropout", "SpatialDropout")
"""What these do in training depends on an example's place in the batch."""


def _pass(bench: Bench, x: Values, dy: Values, train: bool, lengths: Values | None) -> list[Values]:
    """Return y, dx unless there is none, and the gradients of the parameters, which hold NaN before."""
    bench.store.gradients[...] = float("nan")
    y, dx = bench.run(x, dy, train, lengths)
    return [y, *([] if dx is None else [dx]), *(bench.host(item.grad) for item in bench.learned())]


def _sums_along_rows(trial: Trial, subject: Subject) -> bool:
    """Tell whether the bits of a row may depend on the number of rows.

    Products are summed in tiles. Of other sums along a row, NumPy's order differs between one row and several;
    Numba's kernels go the same way through every row.
    """
    rowwise = trial.name == "LayerNorm" or getattr(subject.layer, "activation", None) in ROWWISE
    return trial.name in PRODUCTS or (rowwise and trial.backend.name != "numba")


def _first_rows(trial: Trial, subject: Subject, got: Values, expected: Values, dtype: str) -> None:
    """Assert that rows are the same; in float32 this is asked only of layers whose rows are the same bits."""
    if not _sums_along_rows(trial, subject):
        require_same(got, expected, f"rows of {subject}")
    elif dtype == "float64":
        require_close(got, expected, f"rows of {subject}")


@law()
def outputs_and_gradients_have_the_declared_shapes_and_all_are_written(trial: Trial) -> None:
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(1, 0, 2, 3, 17, 33)
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, rows, dtype)
    if rows or trial.name != "BatchNorm":
        dy = trial.numbers((rows, *bench.output_shape), dtype)
        y, *gradients = _pass(bench, x, dy, True, trial.lengths(subject, rows))
        expected = [*([] if subject.vocabulary else [x.shape]), *(item.shape for item in bench.learned())]
        assert [gradient.shape for gradient in gradients] == expected
        assert (y.shape, str(y.dtype)) == ((rows, *bench.output_shape), dtype)
        assert all(np.isfinite(array).all() and array.dtype == y.dtype for array in (y, *gradients))
    y, _ = bench.run(x, train=False, lengths=trial.lengths(subject, rows))
    assert (y.shape, str(y.dtype)) == ((rows, *bench.output_shape), dtype)
    assert np.isfinite(y).all()


@law()
def prediction_does_not_depend_on_the_order_of_the_batch(trial: Trial) -> None:
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(2, 5, 17, 33)
    bench, x, lengths = (
        trial.bench(subject, dtype),
        trial.inputs(subject, rows, dtype),
        trial.lengths(subject, rows),
    )
    order = np.random.default_rng(trial.integer(0, 99)).permutation(rows)
    y, _ = bench.run(x, train=False, lengths=lengths)
    moved, _ = bench.run(x[order], train=False, lengths=None if lengths is None else lengths[order])
    _first_rows(trial, subject, moved, y[order], dtype)


@law(but=MASKED)
def training_does_not_depend_on_the_order_of_the_batch(trial: Trial) -> None:
    """Batch statistics and the gradients of parameters are sums over the batch."""
    subject, rows = trial.subject(), trial.among(2, 5, 17)
    bench, x, lengths = trial.bench(subject), trial.inputs(subject, rows, "float64"), trial.lengths(subject, rows)
    dy = trial.numbers((rows, *bench.output_shape))
    order = np.random.default_rng(trial.integer(0, 99)).permutation(rows)
    before = bench.host(bench.store.state)
    found = _pass(bench, x, dy, True, lengths)
    state = bench.host(bench.store.state)
    bench.store.state[...] = bench.ops.asarray(before)
    moved = _pass(bench, x[order], dy[order], True, None if lengths is None else lengths[order])
    by_row = 1 if subject.vocabulary else 2
    for place, (got, expected) in enumerate(zip(moved, found, strict=True)):
        require_close(got, expected[order] if place < by_row else expected, f"{subject}, array {place}")
    require_close(bench.host(bench.store.state), state, "running statistics")


@law()
def an_example_alone_is_predicted_as_among_others(trial: Trial) -> None:
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(2, 5, 17, 33)
    bench, x, lengths = (
        trial.bench(subject, dtype),
        trial.inputs(subject, rows, dtype),
        trial.lengths(subject, rows),
    )
    row = trial.integer(0, rows - 1)
    y, _ = bench.run(x, train=False, lengths=lengths)
    alone, _ = bench.run(x[row : row + 1], train=False, lengths=None if lengths is None else lengths[row : row + 1])
    _first_rows(trial, subject, alone, y[row : row + 1], dtype)


@law(but=("BatchNorm",))
def the_first_examples_learn_the_same_without_those_after_them(trial: Trial) -> None:
    """Masks too depend on an example's place, not on how many there are."""
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(2, 5, 17)
    bench, x, lengths = (
        trial.bench(subject, dtype),
        trial.inputs(subject, rows, dtype),
        trial.lengths(subject, rows),
    )
    dy, few = trial.numbers((rows, *bench.output_shape), dtype), trial.integer(0, rows)
    y, dx = bench.run(x, dy, True, lengths)
    y_few, dx_few = bench.run(x[:few], dy[:few], True, None if lengths is None else lengths[:few])
    _first_rows(trial, subject, y_few, y[:few], dtype)
    if dx is not None:
        _first_rows(trial, subject, dx_few, dx[:few], dtype)


@law(but=("Embedding",))
def what_is_not_a_number_stays_in_its_example(trial: Trial) -> None:
    """The others have the same bits as without it, and it comes out wherever the example's numbers matter."""
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(2, 5, 17)
    train = trial.name != "BatchNorm" and trial.among(True, False)
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, rows, dtype, FINITE)
    row, other = trial.integer(0, rows - 1), trial.numbers(subject.shape, dtype)
    dy = trial.numbers((rows, *bench.output_shape), dtype)
    spoiled, replaced = x.copy(), x.copy()
    spoiled[row], replaced[row] = trial.among(np.nan, np.inf, -np.inf), other
    dy = dy if train else None
    (y, dx), (y_spoiled, dx_spoiled) = bench.run(x, dy, train), bench.run(spoiled, dy, train)
    others = np.arange(rows) != row
    require_same(y_spoiled[others], y[others], f"other examples of {subject}")
    if dx is not None:
        require_same(dx_spoiled[others], dx[others], f"gradients of other examples of {subject}")
    spoiled[row] = np.nan
    (y_replaced, _), (y_spoiled, _) = bench.run(replaced, train=train), bench.run(spoiled, train=train)
    matters = (y_replaced[row] != y[row]) & np.isfinite(y[row])
    assert np.isnan(y_spoiled[row][matters]).all(), f"{subject} makes numbers of NaN: {y_spoiled[row]}"


@law()
def gradients_are_linear_in_those_of_the_outputs(trial: Trial) -> None:
    """A factor that is a power of two changes no digit; without a gradient nothing is to be learned."""
    subject, rows = trial.subject(), trial.among(1, 3, 17)
    bench, x, lengths = trial.bench(subject), trial.inputs(subject, rows, "float64"), trial.lengths(subject, rows)
    first, second = (trial.numbers((rows, *bench.output_shape)) for _ in range(2))
    factor = np.ldexp(trial.among(1.0, -1.0), trial.integer(-40, 40))
    _, *ones = _pass(bench, x, first, True, lengths)
    _, *twos = _pass(bench, x, second, True, lengths)
    _, *sums = _pass(bench, x, first + second, True, lengths)
    _, *scaled = _pass(bench, x, factor * first, True, lengths)
    _, *nothing = _pass(bench, x, 0 * first, True, lengths)
    for place, (one, two, both, many, none) in enumerate(zip(ones, twos, sums, scaled, nothing, strict=True)):
        require_close(both, one + two, f"{subject}, gradient {place} of a sum", float(np.abs(one).max(initial=0)))
        require_same(many, factor * one, f"{subject}, gradient {place} of {factor} times dy")
        assert (none == 0).all(), f"{subject}: gradient {place} of nothing"


@law()
def the_same_call_gives_the_same_bits(trial: Trial) -> None:
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(1, 3, 33)
    bench, x, lengths = (
        trial.bench(subject, dtype),
        trial.inputs(subject, rows, dtype),
        trial.lengths(subject, rows),
    )
    dy, state = trial.numbers((rows, *bench.output_shape), dtype), bench.host(bench.store.state)
    found = []
    for _ in range(2):
        bench.store.state[...] = bench.ops.asarray(state)
        found.append([*_pass(bench, x, dy, True, lengths), bench.host(bench.store.state)])
    for first, second in zip(*found, strict=True):
        assert first.tobytes() == second.tobytes(), f"{subject} gave two results"

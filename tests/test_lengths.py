"""Sequences of unequal lengths: a padded batch means the same as its sequences one by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.problems import assert_same_bits, measured, weights_of
from support.sequences import CLASSES, LENGTHS, STEPS, padded_inputs, padding, sequence_network, targets

import nnx
from nnx import Backend, random
from nnx.callbacks import Callback, Logs
from nnx.losses import LOSSES, Huber
from nnx.training import Run

X = padded_inputs()
COUNT = len(LENGTHS)


def alone(backend: Backend, loss: str, index: int, *, per_step: bool = True) -> tuple[nnx.Sequential, NDArray[Any]]:
    """Return the same network for sequences as long as this one, and the one sequence."""
    length = int(LENGTHS[index])
    return sequence_network(backend, loss, per_step=per_step, steps=length), X[index : index + 1, :length]


@pytest.mark.parametrize("per_step", [True, False], ids=["outputs per step", "one output"])
@pytest.mark.parametrize("batch_size", [1024, 3])
def test_predictions_are_those_of_the_sequences_alone(backend: Backend, per_step: bool, batch_size: int) -> None:
    model = sequence_network(backend, per_step=per_step)
    found = model.predict(X, lengths=LENGTHS, batch_size=batch_size)
    for index in range(COUNT):
        single, x = alone(backend, "softmax_cross_entropy", index, per_step=per_step)
        expected = single.predict(x)[0]
        kept = found[index, : LENGTHS[index]] if per_step else found[index]
        np.testing.assert_allclose(kept, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradients_are_the_means_over_the_real_steps_of_the_sequences_alone(
    backend: Backend, loss: str
) -> None:
    model, y = sequence_network(backend, loss), targets(loss)
    before, share = weights_of(model), LENGTHS / LENGTHS.sum()
    expected_loss, expected = 0.0, np.zeros_like(before)
    for index in range(COUNT):
        single, x = alone(backend, loss, index)
        history = single.fit(x, y[index : index + 1, : LENGTHS[index]], batch_size="full")
        expected_loss += share[index] * history["loss"][0]
        expected += share[index] * (weights_of(single) - before)
    assert model.evaluate(X, y, lengths=LENGTHS)["loss"] == pytest.approx(expected_loss, rel=1e-12)
    history = model.fit(X, y, lengths=LENGTHS, batch_size="full")
    assert history["loss"][0] == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(weights_of(model) - before, expected, rtol=1e-10, atol=1e-14)


def test_distributions_are_weighed_and_counted_like_their_labels(backend: Backend) -> None:
    model, y = sequence_network(backend), targets("softmax_cross_entropy")
    found = model.evaluate(X, np.eye(CLASSES)[y], lengths=LENGTHS)
    assert found == pytest.approx(model.evaluate(X, y, lengths=LENGTHS), rel=1e-12)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy"])
@pytest.mark.parametrize("offset", [-30.0, 0.0, 30.0])
def test_accuracy_is_the_share_of_right_real_steps(backend: Backend, loss: str, offset: float) -> None:
    model, y = sequence_network(backend, loss), targets(loss)
    model.set_weights({"2.bias": np.full(CLASSES, offset) * (np.arange(CLASSES) == 0)})
    right = model.predict_classes(X, lengths=LENGTHS) == y
    expected = right[~padding()].mean()
    assert model.evaluate(X, y, lengths=LENGTHS)["accuracy"] == pytest.approx(expected, rel=1e-14)
    assert model.evaluate(X, y, lengths=LENGTHS, batch_size=4)["accuracy"] == pytest.approx(expected, rel=1e-14)


def test_the_accuracy_of_shuffled_epochs_counts_every_real_step_once(backend: Backend) -> None:
    y = targets("softmax_cross_entropy")
    model = sequence_network(backend).compile("softmax_cross_entropy", nnx.SGD(0.0))
    expected = model.evaluate(X, y, lengths=LENGTHS)
    history = model.fit(X, y, lengths=LENGTHS, batch_size=4, epochs=3)
    assert history["accuracy"] == pytest.approx([expected["accuracy"]] * 3, rel=1e-14)
    assert history["loss"] == pytest.approx([expected["loss"]] * 3, rel=1e-12)


def test_callbacks_are_told_the_accuracy_of_the_real_steps_of_their_batches(backend: Backend) -> None:
    class Follow(Callback):
        every = 1

        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_steps(self, _run: Run, _step: int, logs: Logs) -> None:
            self.seen.append(logs["accuracy"])

    y, follow = targets("softmax_cross_entropy"), Follow()
    model = sequence_network(backend).compile("softmax_cross_entropy", nnx.SGD(0.0))
    right = (model.predict_classes(X, lengths=LENGTHS) == y) & ~padding()
    model.fit(X, y, lengths=LENGTHS, batch_size=4, callbacks=[follow])
    order = random.permutation(COUNT, 3, random.stream_of("shuffle"), 0)
    batches = [order[start : start + 4] for start in range(0, COUNT, 4)]
    assert follow.seen == pytest.approx([right[batch].sum() / LENGTHS[batch].sum() for batch in batches], rel=1e-14)


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error", "huber"])
def test_values_have_no_accuracy_with_lengths_either(backend: Backend, loss: str) -> None:
    assert sequence_network(backend, loss).evaluate(X, targets(loss), lengths=LENGTHS).keys() == {"loss"}


def test_a_count_of_ones_own_that_cannot_leave_padding_out_is_not_asked(backend: Backend) -> None:
    class Count(Huber):
        def count_correct(self, ops: Any, outputs: Any, targets: Any, _marks: Any) -> Any:
            return ops.count_correct_binary(ops.rows(outputs), ops.rows(targets))

    model, y = sequence_network(backend).compile(Count()), targets("mean_squared_error")
    assert "accuracy" in model.evaluate(X, y)
    assert "accuracy" not in model.evaluate(X, y, lengths=LENGTHS)
    assert "accuracy" not in model.fit(X, y, lengths=LENGTHS)


@pytest.mark.parametrize(
    ("loss", "in_padding"),
    [
        ("softmax_cross_entropy", -1),
        ("softmax_cross_entropy", 99),
        ("sigmoid_cross_entropy", 7.5),
        ("mean_squared_error", np.nan),
    ],
)
def test_what_stands_in_the_padding_does_not_matter(backend: Backend, loss: str, in_padding: float) -> None:
    model, other, y = sequence_network(backend, loss), sequence_network(backend, loss), targets(loss)
    changed = y.astype(type(in_padding))
    changed[padding()] = in_padding
    first = model.fit(X, y, lengths=LENGTHS, epochs=2, batch_size=4)
    second = other.fit(padded_inputs(-3.0), changed, lengths=LENGTHS, epochs=2, batch_size=4)
    assert measured(first) == measured(second)
    assert_same_bits(model, other)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "sigmoid_cross_entropy", "huber"])
@pytest.mark.parametrize("per_step", [True, False], ids=["outputs per step", "one output"])
def test_replayed_training_with_lengths_is_eager_training_bit_for_bit(
    backend: Backend, loss: str, per_step: bool
) -> None:
    y = targets(loss) if per_step else targets(loss)[:, 0]
    runs = []
    for eager in (False, True):
        model = sequence_network(backend, loss, per_step=per_step)
        held_out = X[:5], y[:5], LENGTHS[:5]
        history = model.fit(X, y, lengths=LENGTHS, validation_data=held_out, epochs=3, batch_size=4, eager=eager)
        runs.append((model, measured(history)))
    assert runs[0][1] == runs[1][1]
    assert_same_bits(runs[0][0], runs[1][0])


def test_lengths_follow_their_sequences_through_shuffling(backend: Backend) -> None:
    y = targets("softmax_cross_entropy")
    order = random.permutation(COUNT, 3, random.stream_of("shuffle"), 0)
    shuffled, sorted_before = sequence_network(backend), sequence_network(backend)
    shuffled.fit(X, y, lengths=LENGTHS, batch_size=4)
    sorted_before.fit(X[order], y[order], lengths=LENGTHS[order], batch_size=4, shuffle=False)
    assert_same_bits(shuffled, sorted_before)


def test_whole_sequences_need_no_lengths(backend: Backend) -> None:
    model, y = sequence_network(backend), targets("softmax_cross_entropy")
    whole = np.full(COUNT, STEPS)
    np.testing.assert_array_equal(model.predict(X, lengths=whole), model.predict(X))
    assert model.evaluate(X, y, lengths=whole) == pytest.approx(model.evaluate(X, y), rel=1e-14)


@pytest.mark.parametrize("kind", [np.int32, np.uint8, float, list])
def test_lengths_are_taken_in_any_form(backend: Backend, kind: Any) -> None:
    model = sequence_network(backend)
    lengths = LENGTHS.tolist() if kind is list else LENGTHS.astype(kind)
    np.testing.assert_array_equal(model.predict(X, lengths=lengths), model.predict(X, lengths=LENGTHS))


def test_weights_of_steps_multiply_with_lengths(backend: Backend) -> None:
    model, other, y = sequence_network(backend), sequence_network(backend), targets("softmax_cross_entropy")
    factors = np.array([0.5, 1.0, 2.0, 1.5])
    weight = np.linspace(0.5, 1.5, COUNT)
    by_step = np.where(padding(), 9.0, weight[:, None] * factors[y])
    unused = np.where(padding(), 0, y)
    model.fit(X, unused, lengths=LENGTHS, sample_weight=weight, class_weight=dict(enumerate(factors)), batch_size=4)
    other.fit(X, y, lengths=LENGTHS, sample_weight=by_step, batch_size=4)
    np.testing.assert_allclose(weights_of(model), weights_of(other), rtol=1e-12, atol=1e-14)


def test_only_the_labels_of_real_steps_need_a_class_weight(backend: Backend) -> None:
    y, models = targets("softmax_cross_entropy") % 3, []
    for filler in (3, 0):  # no class, and one that has a weight
        models.append(sequence_network(backend))
        padded = np.where(padding(), filler, y)
        models[-1].fit(X, padded, lengths=LENGTHS, class_weight={0: 1.0, 1: 2.0, 2: 3.0})
    np.testing.assert_array_equal(*map(weights_of, models))


def test_a_validation_split_takes_the_lengths_along_and_scales_each_part_by_its_own_steps(backend: Backend) -> None:
    y, model = targets("softmax_cross_entropy"), sequence_network(backend)
    model.compile("softmax_cross_entropy", nnx.SGD(0.0))
    order = random.permutation(COUNT, 3, random.stream_of("validation_split"))
    held, kept = order[:4], order[4:]
    history = model.fit(X, y, lengths=LENGTHS, validation_split=4 / COUNT, batch_size=3)
    for part, prefix in ((held, "val_"), (kept, "")):
        expected = model.evaluate(X[part], y[part], lengths=LENGTHS[part])
        assert history[f"{prefix}loss"][0] == pytest.approx(expected["loss"], rel=1e-12)
        assert history[f"{prefix}accuracy"][0] == pytest.approx(expected["accuracy"], rel=1e-14)


def test_one_output_per_sequence_is_weighed_like_any_example(backend: Backend) -> None:
    model, y = sequence_network(backend, per_step=False), targets("softmax_cross_entropy")[:, 0]
    losses = [
        alone(backend, "softmax_cross_entropy", index, per_step=False)[0].evaluate(
            X[index : index + 1, : LENGTHS[index]], y[index : index + 1]
        )["loss"]
        for index in range(COUNT)
    ]
    assert model.evaluate(X, y, lengths=LENGTHS)["loss"] == pytest.approx(np.mean(losses), rel=1e-12)


def test_all_pixels_of_a_padded_image_of_a_film_are_left_out(backend: Backend) -> None:
    x = np.random.default_rng(1).normal(size=(3, 4, 2, 2, 1))
    y, lengths = (x[..., 0] > 0).astype(int), np.array([4, 1, 2])
    layers = [nnx.TimeDistributed([nnx.Conv2D(2, 1)])]
    model = nnx.Sequential(layers, input_shape=x.shape[1:], dtype="float64", backend=backend)
    model.compile("softmax_cross_entropy")
    real = np.arange(4) < lengths[:, None]
    expected = (model.predict_classes(x) == y)[real].mean()
    assert model.evaluate(x, y, lengths=lengths)["accuracy"] == pytest.approx(expected, rel=1e-14)
    layers = [nnx.TimeDistributed([nnx.Conv2D(2, 1)])]
    film_of_one = nnx.Sequential(layers, input_shape=(1, 2, 2, 1), dtype="float64", backend=backend)
    film_of_one.compile("softmax_cross_entropy").set_weights(model.get_weights())
    images = film_of_one.evaluate(x[real][:, None], y[real][:, None])["loss"]
    assert model.evaluate(x, y, lengths=lengths)["loss"] == pytest.approx(images, rel=1e-12)


def test_lengths_of_no_sequences_are_none(backend: Backend) -> None:
    assert sequence_network(backend).predict(X[:0], lengths=[]).shape == (0, STEPS, CLASSES)


def test_threads_that_predict_with_lengths_at_once_get_what_each_would_alone(backend: Backend) -> None:
    model = sequence_network(backend)
    wanted = {row: model.predict(X, lengths=np.roll(LENGTHS, row)) for row in range(4)}
    rows = list(range(4)) * 6
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda row: model.predict(X, lengths=np.roll(LENGTHS, row)), rows)
        for row, outputs in zip(rows, found, strict=True):
            np.testing.assert_array_equal(outputs, wanted[row])


def test_a_model_moved_in_mid_training_goes_on_with_lengths(backend: Backend) -> None:
    y, moved, stayed = targets("softmax_cross_entropy"), *(sequence_network(backend) for _ in range(2))
    for model in (moved, stayed):
        model.fit(X, y, lengths=LENGTHS, batch_size=4)
    moved.to("generic:numpy").to(backend)
    for model in (moved, stayed):
        model.fit(X, y, lengths=LENGTHS, batch_size=4)
    assert_same_bits(moved, stayed)

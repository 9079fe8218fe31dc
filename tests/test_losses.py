"""Losses: their values, their gradients, their weights and their options."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.peers import torch_or_skip

import nnx
from nnx import Backend
from nnx.errors import OptionError, ShapeError, UnknownNameError
from nnx.interface import Array
from nnx.losses import LOSSES, Huber, Loss, SoftmaxCrossEntropy, check_loss
from nnx.ops import Ops

RANDOM = np.random.default_rng(21)
OUTPUTS = 2 * RANDOM.normal(size=(7, 4))
LABELS = RANDOM.integers(0, 4, 7)
SOFT = RANDOM.dirichlet(np.ones(4), 7)
VALUES = RANDOM.normal(size=(7, 4))
WEIGHT = RANDOM.uniform(0.2, 2, 7)

CASES = {
    "softmax": (SoftmaxCrossEntropy(), LABELS),
    "softmax, smoothed": (SoftmaxCrossEntropy(0.2), LABELS),
    "softmax of distributions": (SoftmaxCrossEntropy(), SOFT),
    "softmax of distributions, smoothed": (SoftmaxCrossEntropy(0.2), SOFT),
    "sigmoid": (check_loss("sigmoid_cross_entropy"), (VALUES > 0).astype(float)),
    "sigmoid of shares": (check_loss("sigmoid_cross_entropy"), SOFT),
    "squared": (check_loss("mean_squared_error"), VALUES),
    "absolute": (check_loss("mean_absolute_error"), VALUES),
    "huber": (Huber(0.7), VALUES),
}


def compute(
    backend: Backend, loss: Loss, outputs: NDArray[Any], targets: NDArray[Any], weight: NDArray[Any] | None = None
) -> tuple[float, NDArray[Any]]:
    """Return the loss and its gradient, in float64."""
    ops = Ops(backend, "float64")
    labels = ops.asarray(targets, "int64" if targets.dtype.kind == "i" else None)
    rows = None if weight is None else ops.asarray(weight)
    value, slope = loss.forward(ops, ops.asarray(outputs), labels, rows, True)
    return float(backend.to_numpy(value)), backend.to_numpy(slope)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_gradients_are_the_slopes(backend: Backend, case: str, weight: NDArray[Any] | None) -> None:
    loss, targets = CASES[case]
    _, slope = compute(backend, loss, OUTPUTS, targets, weight)
    for direction in np.random.default_rng(1).normal(size=(3, *OUTPUTS.shape)):
        step = 1e-6 * direction
        rise = (
            compute(backend, loss, OUTPUTS + step, targets, weight)[0]
            - compute(backend, loss, OUTPUTS - step, targets, weight)[0]
        )
        assert abs(rise / 2e-6 - np.sum(slope * direction)) < 1e-8


@pytest.mark.parametrize("case", CASES)
def test_a_weight_of_two_counts_an_example_twice_and_a_weight_of_zero_never(backend: Backend, case: str) -> None:
    loss, targets = CASES[case]
    weight = np.array([2.0, 0, 1, 1, 1, 1, 1])
    twice = np.array([0, 0, 2, 3, 4, 5, 6])
    value, slope = compute(backend, loss, OUTPUTS, targets, weight)
    expected, repeated = compute(backend, loss, OUTPUTS[twice], targets[twice])
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    np.testing.assert_allclose(slope[0], repeated[0] + repeated[1], rtol=1e-13)
    np.testing.assert_array_equal(slope[1], np.zeros(4))
    np.testing.assert_allclose(slope[2:], repeated[2:], rtol=1e-13)


def by_torch(torch: Any, case: str, outputs: Any, targets: Any) -> Any:
    functions = torch.nn.functional
    if case.startswith("softmax"):
        return functions.cross_entropy(outputs, targets, label_smoothing=0.2 if "smoothed" in case else 0.0)
    if case.startswith("sigmoid"):
        return functions.binary_cross_entropy_with_logits(outputs, targets)
    plain = {"squared": functions.mse_loss, "absolute": functions.l1_loss}
    return functions.huber_loss(outputs, targets, delta=0.7) if case == "huber" else plain[case](outputs, targets)


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_agree_with_torch(backend: Backend, case: str) -> None:
    torch = torch_or_skip()
    loss, targets = CASES[case]
    value, slope = compute(backend, loss, OUTPUTS, targets)
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    theirs = by_torch(torch, case, outputs, torch.tensor(targets))
    theirs.backward()
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-13)
    np.testing.assert_allclose(slope, outputs.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e30])
def test_cross_entropies_stay_exact_for_extreme_logits(backend: Backend, size: float) -> None:
    outputs, labels = size * np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0]]), np.array([1, 3])
    value, slope = compute(backend, SoftmaxCrossEntropy(), outputs, labels)
    assert np.isfinite(slope).all()
    if size > 1:
        np.testing.assert_allclose(value, size, rtol=1e-15)
    value, _ = compute(backend, check_loss("sigmoid_cross_entropy"), outputs[:, :1], np.array([[0.0], [1.0]]))
    assert np.isfinite(value)


def test_one_hot_distributions_equal_labels(backend: Backend) -> None:
    plain = compute(backend, SoftmaxCrossEntropy(0.1), OUTPUTS, LABELS)
    one_hot = compute(backend, SoftmaxCrossEntropy(0.1), OUTPUTS, np.eye(4)[LABELS])
    np.testing.assert_allclose(plain[0], one_hot[0], rtol=1e-15)
    np.testing.assert_allclose(plain[1], one_hot[1], rtol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_measuring_computes_the_same_loss_and_no_gradient(backend: Backend, case: str) -> None:
    loss, targets = CASES[case]
    ops = Ops(backend, "float64")
    labels = ops.asarray(targets, "int64" if targets.dtype.kind == "i" else None)
    value, slope = loss.forward(ops, ops.asarray(OUTPUTS), labels, ops.asarray(WEIGHT), False)
    assert float(backend.to_numpy(value)) == compute(backend, loss, OUTPUTS, targets, WEIGHT)[0]
    assert slope is None


USUAL: dict[str, dict[str, float]] = {
    "softmax_cross_entropy": {"smoothing": 0.0},
    "sigmoid_cross_entropy": {},
    "mean_squared_error": {},
    "mean_absolute_error": {},
    "huber": {"delta": 1.0},
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_name_stands_for_the_loss_with_its_usual_options(name: str) -> None:
    loss = check_loss(name)
    assert type(loss) is LOSSES[name]
    assert loss.name == name
    assert loss.config() == USUAL[name]


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(0.3), Huber(2.5)])
def test_the_configuration_makes_an_equal_loss(loss: Loss) -> None:
    assert type(loss)(**loss.config()) == loss


def test_a_loss_cannot_be_changed_under_a_recorded_step() -> None:
    with pytest.raises(FrozenInstanceError):
        SoftmaxCrossEntropy().smoothing = 0.1
    for name in LOSSES:
        with pytest.raises(FrozenInstanceError):
            check_loss(name).name = "another"


def test_numbers_of_numpy_are_kept_as_those_of_python() -> None:
    assert type(SoftmaxCrossEntropy(np.float32(0.5)).smoothing) is float
    assert type(Huber(np.float32(0.5)).delta) is float


class Silent(Loss):
    """A loss of one's own of which nothing is written yet."""

    name, targets = "silent", "values"


class Squares(Loss):
    """A loss of one's own that has a value and a gradient only."""

    name, targets = "squares", "values"

    def forward(
        self, ops: Ops, outputs: Array, targets: Array, weight: Array | None, gradient: bool
    ) -> tuple[Array, Array | None]:
        """Return the mean of the squares."""
        return ops.mean_squared_error(outputs, targets, weight, gradient)


def test_a_loss_of_ones_own_must_supply_its_value() -> None:
    model = nnx.Sequential([nnx.Dense(4)], input_shape=(4,), backend="numpy").compile(Silent())
    with pytest.raises(NotImplementedError, match=r"^Silent must supply forward$"):
        model.fit(OUTPUTS, VALUES)


def test_a_loss_of_ones_own_counts_no_right_answers_unless_it_says_so() -> None:
    model = nnx.Sequential([nnx.Dense(4)], input_shape=(4,), backend="numpy").compile(Squares())
    assert "accuracy" not in model.fit(OUTPUTS, VALUES)
    assert Squares().decisions(4) == 1


def test_what_a_loss_says_of_its_targets_and_last_activations() -> None:
    assert {name: (loss.targets, sorted(loss.final_activations)) for name, loss in LOSSES.items()} == {
        "softmax_cross_entropy": ("labels", ["log_softmax", "sigmoid", "softmax"]),
        "sigmoid_cross_entropy": ("binary", ["log_softmax", "sigmoid", "softmax"]),
        "mean_squared_error": ("values", []),
        "mean_absolute_error": ("values", []),
        "huber": ("values", []),
    }


def test_a_loss_of_no_rows_is_refused(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"a loss expects at least one row, got outputs \(0, 4\)"):
        compute(backend, SoftmaxCrossEntropy(), OUTPUTS[:0], LABELS[:0])


@pytest.mark.parametrize("name", ["mean_squared_error", "sigmoid_cross_entropy"])
def test_targets_of_another_shape_are_refused(backend: Backend, name: str) -> None:
    with pytest.raises(ShapeError, match=rf"{name} expects arrays of one shape, .*\(7, 4\), targets \(7, 3\)"):
        compute(backend, check_loss(name), OUTPUTS, VALUES[:, :3])


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: SoftmaxCrossEntropy(1.0), OptionError, "smoothing must be a number in [0, 1), got 1.0"),
        (lambda: SoftmaxCrossEntropy(-0.1), OptionError, "smoothing must be a number in [0, 1), got -0.1"),
        (lambda: Huber(0), OptionError, "delta must be a number in (0, inf), got 0"),
        (lambda: check_loss("mse"), UnknownNameError, "Unknown loss 'mse'"),
        (lambda: check_loss(["huber"]), UnknownNameError, "Unknown loss ['huber']. Did you mean 'huber'?"),
        (lambda: check_loss("huberr"), UnknownNameError, "Did you mean 'huber'?"),
        (lambda: check_loss(None), UnknownNameError, "Unknown loss None"),
        (
            lambda: check_loss(Huber),
            OptionError,
            "loss must be a name or an object: write Huber(), with brackets.",
        ),
    ],
)
def test_bad_options_and_names_are_refused(make: Any, error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert says in str(caught.value)


@pytest.mark.parametrize(("name", "meant"), [("mse", "mean_squared_error"), ("BCE", "sigmoid_cross_entropy")])
def test_the_names_of_other_frameworks_are_answered_with_ours(name, meant):
    with pytest.raises(UnknownNameError, match=f"Did you mean '{meant}'"):
        check_loss(name)

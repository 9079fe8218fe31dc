"""Equal work: everyone computes the same, and one who does not is found and named."""

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import contenders
from benchmarks.contenders.base import CannotExpressError
from benchmarks.evidence import TOLERANCE, disagreement, fingerprint, outliers
from benchmarks.kernels import in_numpy
from benchmarks.kernels.cases import CASES, CONTEST, QUICK, SWEEP, Case
from benchmarks.kernels.recorded import CALLS, record
from benchmarks.kernels.steps import works
from benchmarks.kernels.work import WORK
from benchmarks.networks import Convolutions, Perceptron, Sequences
from benchmarks.worker import calibrate
from benchmarks.workloads import WORKLOADS, Orders
from nnx import registry

SHAPES = {
    "take_rows": (9, 3, 4),
    "softmax_cross_entropy": (5, 3),
    "batch_norm": (6, 4),
    "dropout": (700, 33),
    "conv2d": (3, 7, 2, 5),
    "conv2d_backward": (3, 7, 2, 5),
    "max_pool": (3, 7, 2),
    "lstm": (3, 4, 2, 5),
    "gru": (3, 4, 2, 5),
    "embedding": (6, 3, 11),
}
COMMON = {"optimizer": "sgd", "rate": 0.1, "examples": 40, "batch": 8, "epochs": 1, "per": "epoch"}
TINY = Perceptron(name="tiny", sizes=(6, 5, 4, 3), **COMMON)
ADAM = {**COMMON, "optimizer": "adam", "rate": 0.01}
TINY_BINARY = Perceptron(name="tiny-binary", sizes=(2, 5, 4, 1), activation="tanh", **ADAM)
TINY_NORMED = replace(TINY, name="tiny-normed", batch_norm=True)
TINY_L2 = replace(TINY, name="tiny-l2", l2=1.0)
TINY_FULL = Perceptron(name="tiny-full", sizes=(6, 5, 4, 1), **{**COMMON, "batch": 40, "per": "step"})
TINY_IMAGES = Convolutions(
    name="tiny-images",
    side=11,
    channels=2,
    filters=(3, 4),
    classes=3,
    **{**COMMON, "optimizer": "adam", "rate": 0.01},
)
TINY_LSTM = Sequences(name="tiny-lstm", cell="lstm", inputs=3, hidden=4, length=5, **ADAM)
TINY_GRU = replace(TINY_LSTM, name="tiny-gru", cell="gru")


def _shape(kernel: str) -> tuple[int, ...]:
    if kernel.startswith(("matmul", "linear")):
        return 5, 7, 3
    return SHAPES.get(kernel, (37,))


@pytest.mark.parametrize("kernel", WORK)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_backends_compute_what_the_reference_computes(kernel, backend):
    case = Case(kernel, _shape(kernel))
    found = []
    for name in (backend, "generic:numpy"):
        loop = record(registry.get(name), case)
        loop.run(1)
        found.append(loop.results())
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [name for name in in_numpy.MAKERS if name != "dropout"])
def test_kernels_written_by_hand_compute_what_the_reference_computes(kernel):
    case = Case(kernel, _shape(kernel))
    by_hand, reference = in_numpy.loop(case), record(registry.get("generic:numpy"), case)
    for loop in (by_hand, reference):
        loop.run(3)
    for ours, theirs in zip(by_hand.results(), reference.results(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [name for name in WORK if name != "dropout"])
@pytest.mark.parametrize(("library", "module"), [("torch", "in_torch"), ("jax", "in_jax")])
def test_kernels_of_peers_compute_what_the_reference_computes(kernel, library, module):
    pytest.importorskip(library, reason=f"{library} is not installed: no peer to compare")
    case = Case(kernel, _shape(kernel))
    functions = importlib.import_module(f"benchmarks.kernels.{module}")
    theirs = functions.loop(case) if library == "jax" else functions.eager_loop(case, "cpu")
    reference = record(registry.get("generic:numpy"), case)
    for loop in (theirs, reference):
        loop.run(1)
    for ours, expected in zip(theirs.results(), reference.results(), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("workload", [TINY, TINY_BINARY, TINY_NORMED, TINY_L2, TINY_FULL], ids=lambda w: w.name)
def test_numpy_by_hand_trains_like_nnx_loss_by_loss(workload):
    losses = []
    for name in ("nnx:numpy", "numpy-by-hand"):
        trainer = contenders.make(name, 1, "cpu").trainer(workload, workload.data, shuffle=False)
        losses.append([trainer.run(1).loss for _ in range(4)])
        trainer.close()
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize(
    "workload", [TINY, TINY_NORMED, TINY_L2, TINY_BINARY, TINY_IMAGES, TINY_LSTM, TINY_GRU], ids=lambda w: w.name
)
@pytest.mark.parametrize("peer", ["torch", "torch-functional", "jax-jit", "jax-scan"])
def test_peers_train_like_nnx_loss_by_loss(workload, peer):
    pytest.importorskip(contenders.PEERS[peer][2], reason=f"the library of {peer} is not installed")
    losses = []
    for name in ("nnx:numpy", peer):
        trainer = contenders.make(name, 1, "cpu").trainer(workload, workload.data, shuffle=False)
        losses.append([trainer.run(1).loss for _ in range(4)])
        trainer.close()
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize("workload", [TINY_IMAGES, TINY_LSTM], ids=lambda w: w.name)
@pytest.mark.parametrize("peer", ["numpy-by-hand", "scikit-learn"])
def test_peers_without_such_layers_say_so(workload, peer):
    pytest.importorskip(contenders.PEERS[peer][2], reason=f"the library of {peer} is not installed")
    with pytest.raises(CannotExpressError, match="convolutions"):
        contenders.make(peer, 1, "cpu").trainer(workload, workload.data, shuffle=False)


def test_a_gated_fit_runs_the_epochs_it_is_asked_for_and_ends():
    trainer = contenders.make("nnx:numpy", 1, "cpu").trainer(TINY, TINY.data, shuffle=True)
    both = trainer.run(2)
    assert both.seconds > 0
    assert math.isfinite(both.loss)
    trainer.close()
    assert not trainer._thread.is_alive()


def test_what_goes_wrong_inside_a_gated_fit_reaches_the_worker():
    broken = TINY.data.first(0)
    trainer = contenders.make("nnx:numpy", 1, "cpu").trainer(TINY, broken, shuffle=True)
    with pytest.raises(ValueError, match="x"):
        trainer.run(1)


def test_every_kernel_has_a_call_and_every_case_a_kernel():
    assert set(CALLS) == set(WORK)
    assert {case.kernel for case in SWEEP} == set(WORK)
    assert set(QUICK) <= set(SWEEP)
    assert len(CASES) == len({*SWEEP, *CONTEST})


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
def test_every_step_of_an_epoch_does_the_same_work(workload):
    assert workload.steps * workload.batch == workload.examples


def test_work_of_a_step_grows_by_what_a_variant_adds():
    def least(name: str) -> float:
        return sum(part.bytes for part in works(WORKLOADS[name]))

    assert least("W2-batch-norm") > least("W2")
    assert sum(part.flops for part in works(WORKLOADS["W1"])) == pytest.approx(
        2 * 209 * (2 * 12288 * 20 + 3 * (20 * 7 + 7 * 5 + 5 * 1))
    )


def test_orders_are_permutations_drawn_anew_or_the_order_given():
    shuffled, given = Orders(50, True), Orders(50, False)
    first, second = shuffled.draw(), shuffled.draw()
    assert sorted(first) == sorted(second) == list(range(50))
    assert list(first) != list(second)
    assert list(given.draw()) == list(range(50))


def test_fingerprint_sees_a_permutation_and_a_part_left_out():
    case, values = Case("relu", (100,)), np.linspace(0.1, 1, 100)
    whole = fingerprint(case, [values])
    assert disagreement(whole, fingerprint(case, [values[::-1]])) > TOLERANCE
    assert disagreement(whole, fingerprint(case, [np.where(np.arange(100) < 98, values, 0)])) > TOLERANCE
    assert disagreement(whole, fingerprint(case, [values.astype(np.float32)])) < TOLERANCE


def test_the_odd_one_out_is_accused_even_if_it_comes_first():
    found = {"wrong": [2.0, 1.0], "a": [1.0, 1.0], "b": [1.0, 1.0 + 1e-6]}
    assert outliers(found, 1e-3) == {"wrong": pytest.approx(1.0)}


def test_nan_losses_and_missing_results_never_agree():
    assert disagreement([math.nan], [1.0]) == math.inf
    assert disagreement([1.0], [1.0, 2.0]) == math.inf
    assert set(outliers({"nan": [math.nan], "a": [1.0], "b": [1.0]}, 0.1)) == {"nan"}
    assert outliers({}, 0.1) == {}


def test_calibration_repeats_fast_work_often_and_slow_work_once(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("benchmarks.worker.time.perf_counter", lambda: clock[0])

    def work(seconds: float):
        def run(times: int) -> None:
            clock[0] += seconds * times

        return run

    assert calibrate(work(1e-6)) == 20_000
    assert calibrate(work(1.0)) == 1

"""Laws of the running statistics of batch normalisation: training and prediction agree in the end."""

from __future__ import annotations

import numpy as np

import nnx
from tests.properties.laws import Trial, law
from tests.properties.values import Values, require_close, require_same
from tests.support.gradients import Bench


def _statistics(bench: Bench) -> tuple[Values, Values]:
    mean, var = (bench.host(state.value) for state in bench.store.states)
    return mean, var


def _batch(trial: Trial) -> tuple[Values, Values, Values, Values]:
    """Draw a batch; return it, its mean, its biased and its unbiased variance per channel."""
    subject, rows = trial.subject(), trial.among(2, 5, 33)
    x = trial.inputs(subject, rows, "float64") * trial.among(1, 1e-3, 1e3) + trial.among(0, 1, -50)
    flat = x.reshape(-1, x.shape[-1])
    return x, flat.mean(0), flat.var(0), flat.var(0, ddof=1)


@law("BatchNorm")
def running_statistics_come_to_those_of_the_batches_geometrically(trial: Trial) -> None:
    """After k passes (1 - momentum)^k is left of what they began with; at once those of the batch if it is 1."""
    x, mean, _, unbiased = _batch(trial)
    momentum, passes = trial.among(0.0, 0.1, 0.5, 0.9, 1.0), trial.among(1, 2, 7)
    bench = trial.mount(nnx.BatchNorm(momentum), x.shape[1:])
    for _ in range(passes):
        bench.run(x)
    left = (1 - momentum) ** passes
    for got, start, end in zip(_statistics(bench), (0.0, 1.0), (mean, unbiased), strict=True):
        require_close(got, left * start + (1 - left) * end, f"statistics after {passes} passes, {momentum}")
    if momentum == 0:
        require_same(_statistics(bench)[1], np.ones(x.shape[-1]), "statistics that nothing moves")


@law("BatchNorm")
def prediction_comes_to_agree_with_training_on_the_same_batch(trial: Trial) -> None:
    """Up to the factor that the unbiased variance stands for, which is 1 for large batches."""
    x, _, biased, unbiased = _batch(trial)
    bench = trial.mount(nnx.BatchNorm(0.5), x.shape[1:])
    for _ in range(120):  # 2^-120 of the start is left
        y, _ = bench.run(x)
    predicted, _ = bench.run(x, train=False)
    beta, eps = bench.value("beta"), bench.layer.eps
    factor = np.sqrt((biased + eps) / (unbiased + eps))
    # a spread of rounding alone is divided by sqrt(eps)
    require_close(predicted, beta + (y - beta) * factor, "prediction", float(np.abs(x).max()))
    assert (np.abs(factor - 1) <= 1 / (x.size // x.shape[-1])).all()


@law("BatchNorm")
def prediction_is_an_affine_map_of_each_channel_and_changes_nothing(trial: Trial) -> None:
    x, *_ = _batch(trial)
    bench = trial.mount(nnx.BatchNorm(0.3), x.shape[1:])
    bench.run(x)
    mean, var = _statistics(bench)
    y, _ = bench.run(x, train=False)
    expected = bench.value("gamma") * (x - mean) / np.sqrt(var + bench.layer.eps) + bench.value("beta")
    require_close(y, expected, "prediction", float(np.abs(x).max()))
    for got, before in zip(_statistics(bench), (mean, var), strict=True):
        require_same(got, before, "statistics after a prediction")

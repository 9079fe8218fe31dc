"""Masks of dropout are as random as they should be: chi-square tests on fixed seeds.

All bits of a test come from fixed seeds, so that it passes or fails in every run alike. That good bits would have
failed when it was written has a probability of at most FALSE_ALARM, over all statistics of this file together and
on both sides: masks that fit too well are no better than those that fit too badly.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erfcinv
from scipy.stats import chi2

from nnx import Backend, Dropout, SpatialDropout
from nnx.layers import Chain
from tests.support.gradients import Bench, mount

FALSE_ALARM = 1e-6
STATISTICS = 2000
"""More than this file has, with two engines."""

RATES = (0.1, 0.25, 0.5, 0.8, 0.99)
SEEDS = (0, 1, 2**64 - 1)
STEPS, ROWS, FEATURES = 24, 32, 80
"""Five blocks of 16 lanes for every row."""

Masks = NDArray[np.bool_]


def require_likely(observed: NDArray[np.float64], expected: NDArray[np.float64], freedom: int, what: str) -> None:
    """Assert that the chi-square statistic of counts lies between its extreme quantiles."""
    assert expected.min() >= 5, "too few for the distribution of the statistic to be chi-square"
    statistic = float(np.sum((observed - expected) ** 2 / expected))
    low, high = (chi2.ppf(FALSE_ALARM / STATISTICS / 2, freedom), chi2.isf(FALSE_ALARM / STATISTICS / 2, freedom))
    assert low < statistic < high, f"{what}: chi-square is {statistic:.1f}, likely are {low:.1f} to {high:.1f}"


def require_evenly_kept(kept: Masks, keep: float, axis: int, what: str) -> None:
    """Assert that each place along an axis is kept as often as it should be: two cells for each."""
    others = tuple(other for other in range(kept.ndim) if other != axis)
    count = kept.size / kept.shape[axis]
    observed = kept.sum(others)
    require_likely(
        np.stack([observed, count - observed]),
        np.stack([np.full(observed.shape, count * keep), np.full(observed.shape, count * (1 - keep))]),
        kept.shape[axis],
        what,
    )


def require_independent(first: Masks, second: Masks, keep: float, what: str) -> None:
    """Assert that two masks are kept together as often as apart: four cells of known probability."""
    share = np.array([keep, 1 - keep])
    observed = np.array([np.sum((first == a) & (second == b)) for a in (True, False) for b in (True, False)])
    require_likely(observed, first.size * np.outer(share, share).ravel(), 3, what)


def masks(bench: Bench, steps: int) -> Masks:
    """Return what is kept in each step, (S, N, F)."""
    found = []
    for step in range(steps):
        bench.layer._step[...] = step
        found.append(bench.run(np.ones((ROWS, *bench.output_shape)))[0] != 0)
    return np.stack(found)


def neighbours(kept: Masks) -> Iterator[tuple[str, Masks, Masks]]:
    """Yield pairs of places that a poor generator would confuse, each place in one pair of its kind."""
    yield "lanes side by side", kept[:, :, 0::2], kept[:, :, 1::2]
    yield "lanes of one word apart", kept[:, :, 0:4], kept[:, :, 4:8]
    yield "blocks side by side", kept[:, :, 0:16], kept[:, :, 16:32]
    yield "the end of a block and the beginning of the next", kept[:, :, 15:64:16], kept[:, :, 16:80:16]
    yield "samples side by side", kept[:, 0::2], kept[:, 1::2]
    yield "steps side by side", kept[0::2], kept[1::2]
    yield "sample and step exchanged", *_exchanged(kept)


def _exchanged(kept: Masks) -> tuple[Masks, Masks]:
    """Return (sample s, step t) and (sample t, step s) for s < t."""
    early, late = np.triu_indices(min(STEPS, ROWS), 1)
    return kept[early, late], kept[late, early]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", [Dropout, SpatialDropout])
def test_every_place_is_kept_as_often_as_the_rate_says_and_alone(
    engine: Backend, kind: type[Dropout], rate: float
) -> None:
    for seed in SEEDS:
        bench = mount(kind(rate), (FEATURES,), engine, "float32", seed)
        kept, keep = masks(bench, STEPS), bench.layer._threshold / 65536
        for axis, name in enumerate(("step", "sample", "feature")):
            require_evenly_kept(kept, keep, axis, f"counts of each {name}, seed {seed}")
        for what, first, second in neighbours(kept):
            if first.size * (1 - keep) ** 2 >= 5 and first.size * keep**2 >= 5:
                require_independent(first, second, keep, f"{what}, seed {seed}")


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_layers_seeds_and_channels_have_masks_independent_of_each_other(engine: Backend, rate: float) -> None:
    paths = {path: mount(Dropout(rate), (FEATURES,), engine, "float32", 5, path) for path in ("1", "2", "1.0")}
    kept = {path: masks(bench, STEPS) for path, bench in paths.items()}
    other = masks(mount(Dropout(rate), (FEATURES,), engine, "float32", 6), STEPS)
    keep = 1 - rate
    for first, second in (("1", "2"), ("1", "1.0"), ("2", "1.0")):
        require_independent(kept[first], kept[second], keep, f"layers {first} and {second}")
    require_independent(kept["1"], other, keep, "seeds 5 and 6")


def test_the_mean_is_kept(engine: Backend) -> None:
    """The mean of n outputs has the standard deviation sqrt((1 - p) / p / n), and a normal distribution."""
    limit = np.sqrt(2) * erfcinv(FALSE_ALARM / STATISTICS)
    for rate in RATES:
        bench = mount(Dropout(rate), (FEATURES,), engine)
        keep = bench.layer._threshold / 65536
        mean = bench.run(np.ones((4000, FEATURES)))[0].mean()
        deviation = np.sqrt((1 - keep) / keep / (4000 * FEATURES))
        assert abs(mean - 1) < limit * deviation, f"rate {rate}: the mean of ones is {mean}"


@pytest.mark.parametrize("high", [True, False], ids=["high bytes", "low bytes"])
def test_random_bits_have_every_value_equally_often(engine: Backend, high: bool) -> None:
    for seed in SEEDS:
        out = engine.empty((300, FEATURES), "int32")
        engine.random_bits(engine.zeros((), "int64"), out, seed, 7)
        values = engine.to_numpy(out)
        counts = np.bincount((values >> 8 if high else values & 255).ravel(), minlength=256)
        require_likely(counts, np.full(256, values.size / 256), 255, f"bytes of seed {seed}")


def test_two_dropouts_in_a_row_keep_the_product_of_their_shares(engine: Backend) -> None:
    bench = mount(Chain([Dropout(0.5), Dropout(0.25)]), (FEATURES,), engine, "float32")
    kept = bench.run(np.ones((2000, FEATURES)))[0] != 0
    require_evenly_kept(kept, 0.375, 1, "features after two layers")


def test_masks_that_repeat_themselves_would_be_noticed() -> None:
    """The statistics themselves: one bit for two places, and a generator that is all too even."""
    random = np.random.default_rng(1)
    kept = random.random((STEPS, ROWS, FEATURES)) < 0.5
    with pytest.raises(AssertionError, match="chi-square"):
        require_independent(kept, np.where(random.random(kept.shape) < 0.05, True, ~kept), 0.5, "opposites")
    even = np.arange(kept.size).reshape(kept.shape) % 2 == 0
    with pytest.raises(AssertionError, match="chi-square"):
        require_evenly_kept(np.moveaxis(even, 2, 0), 0.5, 1, "turns")

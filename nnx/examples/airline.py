"""Recurrent networks that forecast a monthly series: airline passengers, the last two years from the ten before.

Passengers grow from year to year, and so does the summer peak. Logarithms make growth and peak the same in every
year, and their differences from month to month, the monthly growth, stay in one range: that is what the network
reads, twelve months of it, to tell the growth of the next month.

Two forecasts are made of the same 24 months:

* one step ahead: each month from what really happened before it;
* free-running: all 24 from what happened before the first of them; the network reads its own forecasts.

Each is compared with the seasonal-naive baseline on the same terms, the value 12 months before: one step ahead the
real one; free-running, for the second year, its own forecast again, which is the last real year repeated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import nnx
from nnx.examples.outcome import Outcome, Row
from nnx.schedules import Cosine

EPOCHS = 200
AHEAD = 24
"""Months to forecast; nothing of them is seen in training, not even by the scale of the data."""

STEPWISE, STEPWISE_BASELINE = "network, one step ahead", "baseline, 12 months before"
RUNNING, RUNNING_BASELINE = "network, free-running", "baseline, last year repeated"
ERRORS, FORECASTS = "Errors, in thousands of passengers", "Forecasts, in thousands of passengers"
MEANING = (
    "One step ahead, each month is forecast from the 12 real months before it; free-running, all 24 are forecast "
    "from what was known before the first of them, so that the network reads its own forecasts. Passengers and "
    "errors are in thousands: rmse is the root of the mean square of the errors, mae the mean of their magnitudes."
)

YEAR = 12
BATCH_SIZE = 16
LEARNING_RATE = 0.01

Values = NDArray[np.float64]
Recurrent = type[nnx.LSTM] | type[nnx.GRU]


def build(layer: Recurrent, epochs: int, seed: int, backend: str | None) -> nnx.Sequential:
    """Return a network of 16 units that reads (N, 12, 1) and gives (N, 1).

    The L2 penalty matters: without it, 107 windows are learned by heart.
    """
    model = nnx.Sequential([layer(16), nnx.Dense(1)], seed=seed, backend=backend)
    return model.compile("mean_squared_error", nnx.Adam(Cosine(LEARNING_RATE, epochs)), l2=0.1)


def run(layer: Recurrent, epochs: int = EPOCHS, seed: int = 1, backend: str | None = None) -> Outcome:
    """Train on the months before the last 24; forecast those."""
    series = nnx.datasets.airline()
    logs = np.log(series.values)
    growth = np.diff(logs)
    seen = growth[:-AHEAD]
    mean, deviation = seen.mean(), seen.std()
    scaled = (growth - mean) / deviation

    x, y = nnx.datasets.windows(scaled[:-AHEAD], YEAR)  # (107, 12) each
    model = build(layer, epochs, seed, backend)
    history = model.fit(x[..., None], y[:, -1:], epochs=epochs, batch_size=BATCH_SIZE)

    stepwise = one_step_ahead(model, scaled) * deviation + mean
    running = free_running(model, scaled[:-AHEAD]) * deviation + mean
    before = logs[-AHEAD - 1 : -1]  # of each month to forecast, the one before
    actual, last_year = series.values[-AHEAD:], series.values[-AHEAD - YEAR : -AHEAD]
    forecasts = {
        STEPWISE: np.exp(before + stepwise),
        STEPWISE_BASELINE: series.values[-AHEAD - YEAR : -YEAR],
        RUNNING: np.exp(before[0] + np.cumsum(running)),
        RUNNING_BASELINE: np.tile(last_year, AHEAD // YEAR),
    }
    errors = {name: values - actual for name, values in forecasts.items()}
    scores: tuple[Row, ...] = tuple(
        {"forecast": name, "rmse": rmse(values), "mae": mae(values)} for name, values in errors.items()
    )
    columns = {"real": actual, **forecasts}
    rows: tuple[Row, ...] = tuple(
        {"month": str(month), **{name: float(values[number]) for name, values in columns.items()}}
        for number, month in enumerate(series.months[-AHEAD:])
    )
    return Outcome(
        model,
        {"parameters": model.store.count(), "epochs": epochs, "seconds": sum(history["seconds"])},
        (MEANING, *verdicts(errors)),
        {ERRORS: scores, FORECASTS: rows},
    )


def one_step_ahead(model: nnx.Sequential, scaled: Values) -> Values:
    """Forecast each of the last months from the 12 real ones before it, (24,)."""
    inputs, _ = nnx.datasets.windows(scaled[-AHEAD - YEAR :], YEAR)  # (24, 12)
    outputs: Values = model.predict(inputs[..., None])[:, 0]
    return outputs


def free_running(model: nnx.Sequential, known: Values) -> Values:
    """Forecast the months after the known ones, each from real months and forecasts before it, (24,)."""
    values = list(known)
    for _ in range(AHEAD):
        window = np.array(values[-YEAR:])
        values.append(float(model.predict(window[None, :, None])[0, 0]))
    return np.array(values[-AHEAD:])


def verdicts(errors: dict[str, Values]) -> tuple[str, ...]:
    """Say, by the rmse, for either forecast, whether the network beats its baseline."""

    def compare(network: str, baseline: str) -> str:
        ours, theirs = rmse(errors[network]), rmse(errors[baseline])
        outcome = "beats" if ours < theirs else "does not beat"
        manner = network.removeprefix("network, ").capitalize()
        return f"{manner}, the network {outcome} the baseline: rmse {ours:.1f} against {theirs:.1f}."

    return compare(STEPWISE, STEPWISE_BASELINE), compare(RUNNING, RUNNING_BASELINE)


def rmse(errors: Values) -> float:
    """Return the root of the mean square, in thousands of passengers."""
    return float(np.sqrt(np.mean(errors**2)))


def mae(errors: Values) -> float:
    """Return the mean magnitude, in thousands of passengers."""
    return float(np.mean(np.abs(errors)))

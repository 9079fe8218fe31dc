"""The worked examples reach what they promise, and forecast without looking ahead."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import nnx
from nnx.datasets import Dataset, Text, Vocabulary
from nnx.errors import DatasetUnavailableError, UnknownNameError
from nnx.examples import EXAMPLES, airline, find, mnist_cnn, shakespeare

ON_CPU = [name for name in ("numpy", "numba") if nnx.registry.describe(name).available]
FAST = ON_CPU[-1]


@pytest.fixture
def here() -> None:
    if not os.environ.get("NNX_DATA"):
        pytest.skip("NNX_DATA is not set: the data sets that do not ship cannot be read")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["airline-lstm", "airline-gru"])
def test_forecasts_beat_the_seasonal_naive_baseline_whatever_the_seed(name: str, seed: int) -> None:
    outcome = find(name).run(seed=seed, backend=FAST)
    errors = {row["forecast"]: row for row in outcome.tables[airline.ERRORS]}
    assert errors[airline.STEPWISE_BASELINE]["rmse"] == pytest.approx(49.99, abs=0.01)
    pairs = ((airline.STEPWISE, airline.STEPWISE_BASELINE, 0.6), (airline.RUNNING, airline.RUNNING_BASELINE, 0.9))
    for network, baseline, share in pairs:  # well below the baseline, so that no seed or rounding decides
        for measure in ("rmse", "mae"):
            assert float(errors[network][measure]) < share * float(errors[baseline][measure])
    assert sum("the network beats the baseline" in sentence for sentence in outcome.notes) == len(pairs)


@pytest.mark.usefixtures("here")
def test_forecasts_see_nothing_of_the_months_that_they_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    series = nnx.datasets.airline()
    changed = series.values.copy()
    changed[-12:] *= 3
    tables = []
    for values in (series.values, changed):
        monkeypatch.setattr(nnx.datasets, "airline", lambda values=values: replace(series, values=values))
        tables.append(airline.run(nnx.GRU, epochs=2, backend="numpy").tables[airline.FORECASTS])
    real, other = ({name: [row[name] for row in table] for name in table[0]} for table in tables)
    assert real["real"][:12] == other["real"][:12]
    assert real["real"][12:] != other["real"][12:]
    assert real[airline.RUNNING] == other[airline.RUNNING]
    # the 13th month's forecast rests on the 12th, which is unchanged still
    assert real[airline.STEPWISE][:13] == other[airline.STEPWISE][:13]
    assert real[airline.STEPWISE][13:] != other[airline.STEPWISE][13:]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("engine", ON_CPU)
def test_digits_are_read_as_well_as_promised_within_three_epochs(engine: str) -> None:
    with threadpool_limits(1):  # two threads of BLAS that wait for each other on a busy machine take minutes
        figures = EXAMPLES["mnist-cnn"].run(backend=engine).figures
    assert float(figures["test accuracy"]) >= 0.983
    assert figures["parameters"] == 5258


def test_cnn_learns_from_few_digits_on_every_backend(backend_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (x, y), (x_test, y_test) = nnx.datasets.digits()

    def enlarged(images: np.ndarray) -> np.ndarray:
        return images.repeat(2, axis=1).repeat(2, axis=2)

    train, test = (enlarged(x[:480]), y[:480]), (enlarged(x_test[:200]), y_test[:200])
    monkeypatch.setattr(nnx.datasets, "mnist", lambda: Dataset("mnist", train, test, tuple("0123456789")))
    monkeypatch.setattr(mnist_cnn, "BATCH_SIZE", 16)
    figures = mnist_cnn.run(epochs=8, backend=backend_name).figures
    assert float(figures["test accuracy"]) > 0.7


@pytest.mark.usefixtures("here")
def test_cats_are_told_better_than_by_always_saying_cat() -> None:
    figures = EXAMPLES["cats-cnn"].run(backend=FAST).figures
    assert float(figures["test accuracy"]) > float(figures["blind guess, always 'cat'"])


@pytest.mark.usefixtures("here")
def test_shakespeare_surprises_little_after_reading_him_once() -> None:
    figures = EXAMPLES["shakespeare"].run(epochs=1, backend=FAST).figures
    assert float(figures["test nats per character"]) < 1.9


def test_character_model_learns_and_writes_what_it_read(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "to be or not to be, that is the question:\n"
    text = words * 200
    small = Text("shakespeare", text[:8000], text[8000:], Vocabulary.of(text))
    monkeypatch.setattr(nnx.datasets, "shakespeare", lambda: small)
    monkeypatch.setattr(shakespeare, "BEGINNING", "to be or ")
    monkeypatch.setattr(shakespeare, "BATCH_SIZE", 8)
    outcome = shakespeare.run(epochs=12, backend=FAST)
    assert float(outcome.figures["test nats per character"]) < 0.5
    assert outcome.figures["blind guess, nats per character"] == pytest.approx(np.log(len(set(text))))
    assert outcome.notes[-1] == "Written by the model after 'to be or':"
    assert outcome.text.startswith("to be or not to be, that is the question:")
    assert len(outcome.text) == len("to be or ") + shakespeare.SAMPLE


def test_writing_is_decided_by_its_seed_and_its_temperature() -> None:
    vocabulary = Vocabulary("abcdef")
    model = shakespeare.build(len(vocabulary), 1, 1, "numpy")
    model.build((8,))
    cold, again = (shakespeare.write(model, vocabulary, "abc", 40, 1e-3, seed) for seed in (1, 2))
    assert cold == again  # nothing is left to chance
    warm = [shakespeare.write(model, vocabulary, "abc", 40, 1.0, seed) for seed in (1, 1, 2)]
    assert warm[0] == warm[1] != warm[2]
    assert set(warm[0]) <= set(vocabulary.characters)


def test_unknown_example_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'mnist-cnn'"):
        find("mnist-cmm")


def test_every_example_names_a_data_set_that_the_catalogue_knows() -> None:
    assert {example.dataset for example in EXAMPLES.values()} <= set(nnx.datasets.names())


def test_example_without_its_data_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("NNX_DATA", raising=False)
    monkeypatch.setattr("nnx.datasets.files.cache_folder", lambda: tmp_path_factory.mktemp("cache"))

    def refuse(url: str) -> None:
        raise OSError(f"no network to reach {url}")

    monkeypatch.setattr("nnx.datasets.download.open_url", refuse)
    with pytest.raises(DatasetUnavailableError, match="set NNX_DATA to a folder that holds "):
        find("airline-lstm").run(epochs=1, backend="numpy")

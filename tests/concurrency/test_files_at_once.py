"""Several writers of one file: it is whole at any moment, and one of them wins."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.problems import classification, fit_fully, full_network, weights_of
from support.runs_at_once import save_often

import nnx
from nnx.callbacks import Checkpoint

WRITERS = 4


@pytest.mark.usefixtures("many_turns")
def test_what_many_threads_save_in_one_file_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    models = [full_network("numpy", seed=seed) for seed in range(WRITERS)]
    written, path, done = [weights_of(model) for model in models], tmp_path / "model.h5", threading.Event()
    models[0].save(path)

    def save(model: nnx.Sequential) -> None:
        for _ in range(10):
            model.save(path)

    def read(_: int) -> int:
        count = 0
        while not done.is_set() or not count:
            found = weights_of(nnx.load(path, "numpy"))
            assert any(np.array_equal(found, one) for one in written)
            count += 1
        return count

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reading = pool.submit(read, 0)
        list(pool.map(save, models))
        done.set()
        assert reading.result() > 0
    assert list(tmp_path.iterdir()) == [path]


def test_what_processes_save_in_one_file_is_that_of_one_of_them(tmp_path: Path) -> None:
    path, context = tmp_path / "model.h5", multiprocessing.get_context("spawn")
    workers = [context.Process(target=save_often, args=(str(path), seed)) for seed in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    found = weights_of(nnx.load(path, "numpy"))
    expected = [weights_of(full_network("numpy", seed=seed)) for seed in range(2)]
    assert any(np.array_equal(found, one) for one in expected)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("many_turns")
def test_runs_kept_in_one_file_at_once_all_end_well_and_leave_whole_files(tmp_path: Path) -> None:
    models = [full_network("numpy", seed=seed) for seed in range(WRITERS)]
    path = tmp_path / "run.h5"

    def train(model: nnx.Sequential) -> None:
        fit_fully(model, 4, callbacks=[Checkpoint(path, every=2, keep_last=3)])

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(train, models))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.1.h5", "run.2.h5", "run.h5"]
    for file in tmp_path.iterdir():
        assert nnx.load(file, "numpy").seed in range(WRITERS)
    winner = nnx.load(path, "numpy").seed
    x, _ = classification()
    np.testing.assert_array_equal(nnx.load(path, "numpy").predict(x), models[winner].predict(x))


def test_a_numbered_file_that_another_run_takes_away_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace = tmp_path / "run.h5", Path.replace

    def taken_away(source: Path, target: Path) -> Path:
        if source.name == "run.1.h5":
            source.unlink(missing_ok=True)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", taken_away)
    model = full_network("numpy")
    fit_fully(model, 4, callbacks=[Checkpoint(path, keep_last=3)])
    np.testing.assert_array_equal(weights_of(nnx.load(path, "numpy")), weights_of(model))

"""The walk learns what it says, part by part, on every engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nnx
from nnx.stepwise import walk

ON_CPU = [name for name in ("numpy", "numba") if nnx.registry.describe(name).available]
ROOT = Path(nnx.__file__).parent.parent


@pytest.mark.parametrize("engine", ON_CPU)
def test_every_part_gains_what_it_is_there_for(engine: str) -> None:
    with nnx.use_backend(engine):
        zero, odd, which = walk.is_zero(), walk.is_odd(), walk.which()
        assert walk.one_neuron(zero, 1).test > walk.blind_guess(zero) + 0.05
        neuron = walk.harder_question(odd, 1)
        assert neuron.test > walk.blind_guess(odd) + 0.3
        assert walk.hidden_layer(odd, 1).test > neuron.test + 0.03
        few_steps, batches = walk.softmax_outputs(which, 1), walk.mini_batches(which, 1)
        assert walk.blind_guess(which) + 0.2 < few_steps.test < batches.test - 0.2
        lost, steady = walk.too_fast(which, 1), walk.momentum(which, 1)
        assert lost.cost > 1 > 0.15 > steady.cost
        adam, normal = walk.adam(which, 1), walk.batch_norm(which, 1)
        assert max(adam.cost, normal.cost) < batches.cost
        assert min(adam.test, normal.test) > 0.94


def test_the_walk_is_printed_part_by_part_with_what_was_gained() -> None:
    environment = {**os.environ, "NNX_BACKEND": "numpy", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-W", "error", "-m", "nnx.stepwise.walk", "--seed", "2"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    titles = [line for line in lines if line[:1].isdigit() and line[1:2] == "."]
    assert titles[0] == "1. One neuron"
    assert len(titles) == len(walk.PARTS)
    assert sum("Always giving the most frequent answer" in line for line in lines) == 3
    assert sum(" came to a cost of " in line for line in lines) == len(walk.PARTS) - 3
    assert max(map(len, lines[1:])) <= 100
    assert lines[0].startswith("On the backend numpy, ")
    settings = [line.strip() for line in lines if line.startswith("    Settings: seed 2, layers 64-")]
    assert len(settings) == len(walk.PARTS)
    named = "layers 64-32-10, learning rate 2, beta 0.9, epochs 10, batch size 64."
    assert "    Which digit is it? Code: momentum." in lines
    assert settings[6] == f"Settings: seed 2, {named}"
    assert re.search(r"\d %", result.stdout)
    assert not re.search(r"\d%", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "engine", "words"),
    [(["--seed", "-1"], "numpy", "seed must be"), ([], "nmpy", "Did you mean 'numpy'")],
)
def test_what_cannot_be_used_is_told_in_one_line(arguments: list[str], engine: str, words: str) -> None:
    environment = {**os.environ, "NNX_BACKEND": engine, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    command = [sys.executable, "-m", "nnx.stepwise.walk", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_part_is_run_with_the_settings_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """All else than the seed stands in the signature, so that the line cannot say what the code does not do."""
    rates: list[float] = []
    update = walk.stepwise.update_parameters
    monkeypatch.setattr(walk.stepwise, "update_parameters", lambda *given: rates.append(given[2]) or update(*given))
    walk.too_fast(walk.which(), 1)
    assert set(rates) == {2.0}
    assert len(rates) == 10 * 23
    assert walk.settings(walk.too_fast, 1) == ("seed 1, layers 64-32-10, learning rate 2, epochs 10, batch size 64")


def test_a_gain_is_told_as_it_was() -> None:
    task, before = walk.is_zero(), (3, walk.Score(0.5, 0.8, 0.80))
    for test, words in ((0.85, "5.0 points up"), (0.79, "1.0 points down"), (0.80, "the same")):
        assert walk.gained(walk.Score(0.4, 0.9, test), before, task).endswith(f"since then: {words}.")

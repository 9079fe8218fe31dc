"""What a run's file says is what a run can have left, and all that the run depends on; else it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import run_files
from nnx.callbacks import Callback, Checkpoint
from nnx.errors import FileFormatError, OptionError

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = np.arange(40) % 2

Change = Callable[[dict[str, Any]], object]


def make() -> nnx.Sequential:
    return nnx.Sequential([nnx.Dense(2)], seed=1, backend="numpy").compile("softmax_cross_entropy", "adam")


def fit(*callbacks: Callback, epochs: int = 3, **options: Any) -> nnx.History:
    data = {"epochs": epochs, "batch_size": 4, "callbacks": callbacks, "validation_data": (X, Y), "progress": False}
    return make().fit(X, Y, **{**data, **options})


class Stop(Callback):
    """Ends the process, so to speak, a step after the run was kept in the middle of the second epoch."""

    every = 14

    def on_steps(self, _run: Any, _step: int, _logs: Any) -> None:
        raise KeyboardInterrupt

    def config(self) -> None:
        return None


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what writes the file of a run that stands in its second epoch, its parts changed, and all sealed."""

    def write(facts: Change = dict, arrays: Change = dict) -> Path:
        with monkeypatch.context() as patch:
            for name, change in (("facts", facts), ("arrays", arrays)):
                patch.setattr(run_files, name, changing(getattr(run_files, name), change))
            with pytest.raises(KeyboardInterrupt):
                fit(Checkpoint(tmp_path / "run.h5", every=13), Stop())
        return tmp_path / "run.h5"

    return write


def changing(give: Callable[..., dict[str, Any]], change: Change) -> Callable[..., dict[str, Any]]:
    def given(*arguments: Any) -> dict[str, Any]:
        found = give(*arguments)
        change(found)
        return found

    return given


def test_the_unchanged_file_goes_on(changed: Callable[..., Path]) -> None:
    assert fit(resume=changed()).epochs == 3


@pytest.mark.parametrize("term", ["batch_size", "callbacks", "shuffle", "examples", "validation examples"])
def test_a_file_that_does_not_say_on_what_terms_its_run_was_begun_is_refused(
    changed: Callable[..., Path], term: str
) -> None:
    path = changed(lambda facts: facts["options"].pop(term))
    with pytest.raises(FileFormatError, match=f"run.h5: it does not say '{term}' among the terms of its run"):
        fit(resume=path)


def test_a_file_with_terms_that_no_run_has_is_refused(changed: Callable[..., Path]) -> None:
    path = changed(lambda facts: facts["options"].update(luck=7))
    with pytest.raises(FileFormatError, match="it names 'luck' among the terms of its run"):
        fit(resume=path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_factor": -1.0}, "rate_factor must be a number in [0, inf), got -1.0"),
        ({"rate_factor": "1.0"}, "rate_factor must be a number in [0, inf), got '1.0'"),
        ({"rate_factor": True}, "rate_factor must be a number in [0, inf), got True"),
        ({"rate_factor": None}, "rate_factor must be a number in [0, inf), got None"),
        ({"epoch_factor": 10**400}, "epoch_factor must be a number"),
        ({"rate_override": "0.1"}, "rate_override must be a number in [0, inf), got '0.1'"),
        ({"epoch_override": -0.1}, "epoch_override must be a number in [0, inf), got -0.1"),
        ({"stopped": 3}, "stopped must be a text, got a int"),
        ({"stopped": None}, "stopped must be a text, got a NoneType"),
        ({"step": -1}, "step must be a whole number of at least 0, got -1"),
        ({"step": "3"}, "step must be a whole number of at least 0, got '3'"),
        ({"steps_before": -10}, "steps_before must be a whole number of at least 0, got -10"),
        ({"steps_before": 0}, "its steps and epochs are not those of 1 epochs of 10 steps"),
        ({"steps_before": 11}, "its steps and epochs are not those of 1 epochs of 10 steps"),
    ],
)
def test_facts_that_no_run_has_are_refused(changed: Callable[..., Path], change: Any, words: str) -> None:
    path = changed(lambda facts: facts.update(change))
    with pytest.raises(FileFormatError) as told:
        fit(resume=path)
    assert words in str(told.value)


@pytest.mark.parametrize("length", [-1, "1", 1.5, True, None])
def test_lengths_of_the_history_are_whole_numbers(changed: Callable[..., Path], length: Any) -> None:
    path = changed(lambda facts: facts["measurements"].update(loss=length))
    with pytest.raises(FileFormatError, match="epochs must be a whole number of at least 0"):
        fit(resume=path)


NAMES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, np.nan) for name in NAMES if name != "val_loss"),
        ("loss", np.inf),
        ("accuracy", 1.01),
        ("accuracy", -0.1),
        ("val_accuracy", 2.0),
        ("learning_rate", -0.001),
        ("learning_rate", np.inf),
        ("seconds", -1.0),
    ],
)
def test_measurements_that_no_epoch_makes_are_refused(
    changed: Callable[..., Path], name: str, value: float
) -> None:
    path = changed(arrays=lambda arrays: arrays[f"history.{NAMES.index(name)}"].__setitem__(0, value))
    with pytest.raises(FileFormatError, match=f"the history's {name} must be finite and in"):
        fit(resume=path)


def test_a_loss_of_other_data_may_overflow(changed: Callable[..., Path]) -> None:
    """Training notices what its own loss does; that of the validation data is only measured."""
    path = changed(arrays=lambda arrays: arrays["history.2"].fill(np.inf))
    assert fit(resume=path)["val_loss"][0] == np.inf


@pytest.mark.parametrize("name", ["loss", "learning_rate", "seconds", "accuracy", "val_loss"])
def test_what_was_measured_in_other_epochs_than_the_loss_is_refused(
    changed: Callable[..., Path], name: str
) -> None:
    def longer(arrays: dict[str, Any]) -> None:
        arrays[f"history.{NAMES.index(name)}"] = np.full(2, 0.5)

    path = changed(lambda facts: facts["measurements"].update({name: 2}), longer)
    with pytest.raises(FileFormatError, match=r"the history must hold \w+ of \d epochs, got \d"):
        fit(resume=path)


def test_a_history_without_what_every_epoch_measures_is_refused(changed: Callable[..., Path]) -> None:
    for name in ("loss", "learning_rate", "seconds"):

        def without(facts: dict[str, Any], name: str = name) -> None:
            facts["measurements"] = {
                f"my {known}" if known == name else known: length for known, length in facts["measurements"].items()
            }

        path = changed(without)
        with pytest.raises(FileFormatError, match=f"the history must hold {name}"):
            fit(resume=path)
        path.unlink()


def test_steps_that_no_epoch_makes_are_refused(changed: Callable[..., Path]) -> None:
    for name, value in (("losses", np.nan), ("losses", np.inf), ("correct", -1)):
        path = changed(
            arrays=lambda arrays, name=name, value=value: arrays.update({name: 0 * arrays[name] + value})
        )
        with pytest.raises(FileFormatError, match="losses must be finite, and correct at least 0"):
            fit(resume=path)
        path.unlink()


class Rate(Callback):
    """Changes the rates of a run to what they cannot be."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def on_train_begin(self, run: Any) -> None:
        for name, value in self.changes.items():
            setattr(run, name, value)


@pytest.mark.parametrize(
    "changes", [{"rate_factor": -1.0}, {"rate_factor": np.nan}, {"rate_override": -0.1}, {"rate_override": np.inf}]
)
def test_a_callback_cannot_make_a_run_that_its_file_could_not_hold(changes: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="learning_rate must"):
        fit(Rate(**changes))


@pytest.mark.parametrize(("digits", "told"), [(400, "got 1000"), (5000, "got a int of thousands of digits")])
def test_whole_numbers_beyond_those_of_floating_point_are_refused_like_infinity(digits: int, told: str) -> None:
    with pytest.raises(OptionError, match=rf"learning_rate must be a number in \[0, inf\), {told}") as refused:
        nnx.SGD(10**digits)
    assert len(str(refused.value)) < 500

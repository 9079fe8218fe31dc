"""Signals during a run that is kept: none is lost, none is taken from those it was meant for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import nnx
from nnx.callbacks import Callback, Checkpoint

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows raises signals in other ways")

X, Y = np.random.default_rng(0).normal(size=(40, 3)).astype("float32"), np.arange(40) % 2
STEPS = 10


class At(Callback):
    """Do something after a step."""

    every = 1

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self.step, self.action = step, action

    def config(self):
        return None

    def on_steps(self, _run, step, _logs):
        if step == self.step:
            self.action()


class InTheLastSave(Checkpoint):
    """A signal comes while the last file is written."""

    def save(self, run):
        super().save(run)
        if run.ending:
            interrupt()


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def fit(*callbacks: Callback, epochs: int = 3, resume=None) -> nnx.History:
    model = nnx.Sequential([nnx.Dense(2)], seed=1, backend="numpy")
    model.compile("softmax_cross_entropy")
    return model.fit(X, Y, epochs=epochs, batch_size=4, callbacks=callbacks, resume=resume)


@pytest.fixture(autouse=True)
def usual_handler() -> Iterator[None]:
    """Let Ctrl-C raise, as it does in a foreground job: shells start background jobs with it ignored."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture
def set_handler() -> Iterator[Callable[[object], None]]:
    former = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, former)


def test_the_text_says_where_the_run_was_saved(tmp_path):
    path = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(At(STEPS + 3, interrupt), Checkpoint(path))
    assert str(caught.value) == (
        f"saved after epoch 1 of 3, in the middle of epoch 2, in {path}; go on from it with "
        f"fit(..., resume={str(path)!r}), or with the same nnx train command"
    )
    assert fit(Checkpoint(path), resume=path).epochs == 3


def test_a_signal_during_the_last_save_is_not_swallowed(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="saved after epoch 3 of 3 in "):
        fit(InTheLastSave(tmp_path / "run.h5"))


def test_a_signal_during_the_save_of_a_run_that_stops_early_is_not_swallowed(tmp_path):
    class Stop(Callback):
        def on_epoch_end(self, run, _epoch, _logs):
            run.stop("enough")

    with pytest.raises(KeyboardInterrupt, match="saved after epoch 1 of 3 in "):
        fit(Stop(), InTheLastSave(tmp_path / "run.h5"))


def test_a_signal_before_the_first_step_says_that_nothing_is_lost():
    class Early(Callback):
        def on_train_begin(self, _run):
            interrupt()

    with pytest.raises(KeyboardInterrupt, match=r"^interrupted before training began$"):
        fit(Early())


def test_ignored_signals_stay_ignored(tmp_path, set_handler):
    set_handler(signal.SIG_IGN)
    assert fit(At(3, interrupt), Checkpoint(tmp_path / "run.h5")).epochs == 3
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_the_programs_own_handler_is_called_once_all_is_saved_and_training_goes_on(tmp_path, set_handler):
    path, calls = tmp_path / "run.h5", []

    def own(number, _frame):
        calls.append((number, path.exists()))

    set_handler(own)
    assert fit(At(3, interrupt), Checkpoint(path)).epochs == 3
    assert calls == [(signal.SIGINT, True)]
    assert signal.getsignal(signal.SIGINT) is own


def test_a_fit_within_a_fit_hands_the_signal_on(tmp_path):
    paths = tmp_path / "outer.h5", tmp_path / "inner.h5"
    former = signal.getsignal(signal.SIGINT)
    inner = At(2, lambda: fit(At(3, interrupt), Checkpoint(paths[1])))
    with pytest.raises(KeyboardInterrupt, match=r"saved in the middle of epoch 1 of 3 in .*outer"):
        fit(inner, Checkpoint(paths[0]))
    assert all(path.exists() for path in paths)
    assert signal.getsignal(signal.SIGINT) == former


class InterruptedTwice(Checkpoint):
    """A second signal comes while the file is written on behalf of the first."""

    def _keep_former(self):
        interrupt()
        raise AssertionError("the save went on after the second signal")


def test_a_second_signal_ends_at_once_without_waiting_for_the_save(tmp_path):
    path = tmp_path / "run.h5"
    fit(Checkpoint(path), epochs=1)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(At(STEPS + 3, interrupt), InterruptedTwice(path, interval=3600), resume=path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]

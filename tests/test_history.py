"""What training measured, as users look at it."""

from __future__ import annotations

import pytest

from nnx import History
from nnx.errors import UnknownNameError


def test_a_measurement_that_was_not_made_is_refused_with_those_that_were() -> None:
    with pytest.raises(
        UnknownNameError, match=r"Unknown measurement 'los'. Did you mean 'loss'\? Known: 'accuracy'"
    ):
        History({"loss": [0.5], "accuracy": [1.0]})["los"]


def test_a_history_can_be_asked_for_what_it_may_not_have() -> None:
    history = History({"loss": [0.5]})
    assert ("loss" in history, "val_loss" in history) == (True, False)
    assert (history.get("loss"), history.get("val_loss"), history.get("val_loss", 3)) == ([0.5], None, 3)
    assert dict(history) == {"loss": [0.5]}


@pytest.mark.parametrize(
    ("history", "shown"),
    [
        (History(), "<History of 0 epochs>"),
        (History({"loss": [0.123456]}), "<History of 1 epoch, the last with loss 0.1235>"),
        (
            History({"loss": [9.0] * 500, "accuracy": [0.5] * 500}, "no improvement"),
            "<History of 500 epochs, the last with loss 9, accuracy 0.5; stopped: no improvement>",
        ),
    ],
)
def test_a_history_is_shown_in_short(history: History, shown: str) -> None:
    assert str(history) == shown

"""Learning-rate schedules."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from nnx.errors import OptionError
from nnx.schedules import SCHEDULES, Constant, Cosine, Exponential, Schedule, Step, WarmUp, check_schedule

EXAMPLES = {
    "Constant": Constant(0.1),
    "Step": Step(0.8, 0.5, 2),
    "Exponential": Exponential(0.5, 0.9),
    "Cosine": Cosine(1.0, 10, 0.2),
    "WarmUp": WarmUp(Step(0.8, 0.5, 2), 4),
}


def test_every_schedule_that_can_be_saved_is_tested_here() -> None:
    assert EXAMPLES.keys() == SCHEDULES.keys()


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Constant(0.1), {0: 0.1, 7.5: 0.1}),
        (Step(0.8, 0.5, 2), {0: 0.8, 1.99: 0.8, 2: 0.4, 3.5: 0.4, 4: 0.2}),
        (Exponential(0.5, 0.9), {0: 0.5, 1: 0.45, 0.5: 0.5 * math.sqrt(0.9)}),
        (Cosine(1.0, 10, 0.2), {0: 1.0, 5: 0.6, 10: 0.2, 11: 0.2, 100: 0.2}),
        (WarmUp(Step(0.8, 0.5, 2), 4), {0: 0.0, 1: 0.2, 3: 0.6, 4: 0.8, 6: 0.4}),
        (WarmUp(0.4, 2), {0: 0.0, 1: 0.2, 2: 0.4, 9: 0.4}),
    ],
)
def test_rates_at_known_times(schedule: Schedule, rates: dict[float, float]) -> None:
    assert {time: schedule(time) for time in rates} == pytest.approx(rates)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_configuration_makes_an_equal_schedule(name: str) -> None:
    assert SCHEDULES[name](**EXAMPLES[name].config()) == EXAMPLES[name]


def test_usual_options_stay_those_that_published_runs_were_made_with() -> None:
    assert Step(0.1) == Step(0.1, 0.5, 10)
    assert Exponential(0.1) == Exponential(0.1, 0.95)
    assert Cosine(0.1, 5) == Cosine(0.1, 5, 0.0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_schedule_cannot_be_changed_under_a_model(name: str) -> None:
    option = next(iter(EXAMPLES[name].config()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(EXAMPLES[name], option, 0.5)


def test_the_lowest_values_are_taken() -> None:
    schedules = [Constant(0), Step(0), Exponential(0), Cosine(0, 1, 0), WarmUp(0, 1)]
    assert [schedule(3) for schedule in schedules] == [0.0] * 5
    assert Step(0.1, factor=1e-9, every=1e-9)(0) == Exponential(0.1, factor=1e-9)(0) == 0.1
    assert WarmUp(Cosine(0.1, 1e-9), 1e-9)(1) == 0


def test_rates_of_numpys_numbers_are_those_of_the_schedule_read_back_from_a_file() -> None:
    given, plain = np.float32(0.1), float(np.float32(0.1))
    for one, other in [
        (Step(given, np.float32(0.3), np.int64(2)), Step(plain, float(np.float32(0.3)), 2)),
        (Exponential(given, np.float32(0.9)), Exponential(plain, float(np.float32(0.9)))),
        (Cosine(given, np.float32(7), np.float32(0.01)), Cosine(plain, 7, float(np.float32(0.01)))),
        (WarmUp(given, np.float32(7)), WarmUp(plain, 7)),
    ]:
        assert [one(time / 3) for time in range(20)] == [other(time / 3) for time in range(20)]
        assert type(one(1)) is float


def test_a_schedule_of_ones_own_must_say_what_its_rates_are() -> None:
    class Silent(Schedule):
        """Without rates."""

    with pytest.raises(NotImplementedError, match=r"^Silent must supply __call__$"):
        Silent()(0)


def test_a_warm_up_ends_exactly_where_the_other_schedule_begins() -> None:
    assert WarmUp(0.1, 3) == WarmUp(Constant(0.1), 3)
    assert WarmUp(0.1, 3)(3) == 0.1  # 0.1 * 3 / 3 is not 0.1
    assert WarmUp(Exponential(0.8, 0.5), 4)(1) == 0.2


def test_a_number_is_a_constant_schedule_and_a_schedule_stays_itself() -> None:
    assert check_schedule(0.3) == Constant(0.3)
    assert check_schedule(EXAMPLES["Cosine"]) is EXAMPLES["Cosine"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Constant(-1), "rate must be a number in [0, inf), got -1"),
        (lambda: Step(-0.5), "rate must be a number in [0, inf), got -0.5"),
        (lambda: Step(0.1, factor=0), "factor must be a number in (0, inf), got 0"),
        (lambda: Step(0.1, every=0), "every must be a number in (0, inf), got 0"),
        (lambda: Exponential(math.nan), "rate must be a number in [0, inf), got nan"),
        (lambda: Exponential(0.1, 0), "factor must be a number in (0, inf), got 0"),
        (lambda: Cosine(-0.1, 5), "rate must be a number in [0, inf), got -0.1"),
        (lambda: Cosine(0.1, 0), "epochs must be a number in (0, inf), got 0"),
        (lambda: Cosine(0.1, 5, -0.1), "final must be a number in [0, inf), got -0.1"),
        (lambda: WarmUp(0.1, -1), "epochs must be a number in (0, inf), got -1"),
        (lambda: WarmUp(0.1, 0), "epochs must be a number in (0, inf), got 0"),
        (lambda: WarmUp(lambda epoch: epoch, 1), "learning_rate must be a number in [0, inf), got <function"),
    ],
)
def test_options_out_of_range_are_refused_at_once(make: Callable[[], Schedule], says: str) -> None:
    with pytest.raises(OptionError) as caught:
        make()
    assert says in str(caught.value)

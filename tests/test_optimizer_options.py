"""The options of optimizers: their usual values, their ranges, and what is said about wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError, dataclass
from typing import Any, ClassVar

import pytest
from support.problems import regression

import nnx
from nnx import SGD, Adam, AdamW, Momentum, Nesterov, RMSprop
from nnx.errors import OptionError, UnknownNameError
from nnx.optimizers import OPTIMIZERS, SHARE, Check, Optimizer, check_optimizer

USUAL: dict[str, dict[str, float | None]] = {
    "sgd": {"learning_rate": 0.01},
    "momentum": {"learning_rate": 0.01, "mu": 0.9},
    "nesterov": {"learning_rate": 0.01, "mu": 0.9},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "eps": 1e-7},
    "adam": {"learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "eps_root": 0.0},
}
USUAL["adamw"] = {**USUAL["adam"], "weight_decay": 0.01}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_stands_for_the_optimizer_with_its_usual_options(name: str) -> None:
    optimizer = check_optimizer(name)
    assert type(optimizer) is OPTIMIZERS[name]
    assert optimizer.config() == {**USUAL[name], "clip_norm": None}


def test_models_saved_earlier_find_their_moments_under_the_same_names() -> None:
    assert {name: optimizer.moments for name, optimizer in OPTIMIZERS.items()} == {
        "sgd": (),
        "momentum": ("velocity",),
        "nesterov": ("velocity",),
        "rmsprop": ("mean_square",),
        "adam": ("first_moment", "second_moment"),
        "adamw": ("first_moment", "second_moment"),
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_after_the_rate_must_be_named(name: str) -> None:
    with pytest.raises(TypeError, match="takes from 1 to 2 positional arguments but 3 were given"):
        OPTIMIZERS[name](0.1, 0.5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_cannot_be_changed_under_a_recorded_step(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        check_optimizer(name).learning_rate = 0.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SGD(-0.1), "learning_rate must be a number in [0, inf), got -0.1"),
        (lambda: SGD("fast"), "learning_rate must be a number in [0, inf), got 'fast'"),
        (lambda: SGD(float("inf")), "learning_rate must be"),
        (lambda: SGD(None), "learning_rate must be a number in [0, inf), got None"),
        (lambda: SGD(0.1, clip_norm=0), "clip_norm must be a number in (0, inf), got 0"),
        (lambda: Momentum(mu=1), "mu must be a number in [0, 1), got 1"),
        (lambda: Momentum(mu=None), "mu must be a number in [0, 1), got None"),
        (lambda: Nesterov(mu=-0.5), "mu must be a number in [0, 1), got -0.5"),
        (lambda: RMSprop(rho=1.5), "rho must be a number in [0, 1), got 1.5"),
        (lambda: RMSprop(eps=0), "eps must be a number in (0, inf), got 0"),
        (lambda: Adam(beta1=1), "beta1 must be a number in [0, 1), got 1"),
        (lambda: Adam(beta2=float("nan")), "beta2 must be a number in [0, 1), got nan"),
        (lambda: Adam(eps=0), "eps must be a number in (0, inf), got 0"),
        (lambda: Adam(eps_root=-1), "eps_root must be a number in [0, inf), got -1"),
        (lambda: AdamW(weight_decay=-1), "weight_decay must be a number in [0, inf), got -1"),
    ],
)
def test_options_out_of_range_are_refused_at_once(make: Callable[[], Optimizer], says: str) -> None:
    with pytest.raises(OptionError) as caught:
        make()
    assert says in str(caught.value)


@dataclass(frozen=True)
class Bare(Optimizer):
    """An optimizer of one's own of which nothing is written yet."""


def test_an_optimizer_of_ones_own_must_supply_its_step_and_has_a_rate_and_no_clipping() -> None:
    assert Bare().config() == {"learning_rate": 0.001, "clip_norm": None}
    assert Bare.moments == ()
    with pytest.raises(NotImplementedError, match=r"^Bare must supply update$"):
        nnx.Sequential([nnx.Dense(2)], input_shape=(4,)).compile("huber", Bare()).fit(*regression())


@dataclass(frozen=True)
class Damped(Momentum):
    """An optimizer of one's own whose author forgot to say how its option is checked."""

    damping: float = 0.5


@dataclass(frozen=True)
class Checked(Damped):
    """The same, remembered."""

    checks: ClassVar[Mapping[str, Check]] = {**Momentum.checks, "damping": SHARE}


def test_no_option_of_an_optimizer_of_ones_own_goes_unchecked() -> None:
    with pytest.raises(NotImplementedError, match=r"^Damped must name a check of its option 'damping' in checks$"):
        Damped()
    with pytest.raises(OptionError, match=r"damping must be a number in \[0, 1\), got 2"):
        Checked(damping=2)
    assert Checked(damping=0.1).damping == 0.1


def test_unknown_names_are_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown optimizer 'adamm'. Did you mean 'adam"):
        check_optimizer("adamm")


@pytest.mark.parametrize("given", [None, 0.1, ["adam"]])
def test_what_is_no_optimizer_is_refused_with_the_names_there_are(given: Any) -> None:
    with pytest.raises(UnknownNameError) as caught:
        check_optimizer(given)
    assert str(caught.value).startswith(f"Unknown optimizer {given!r}.")
    assert str(caught.value).endswith("Known: 'adam', 'adamw', 'momentum', 'nesterov', 'rmsprop', 'sgd'.")


def test_an_optimizer_without_brackets_is_refused_with_what_to_write() -> None:
    with pytest.raises(
        OptionError, match=r"^optimizer must be a name or an object: write AdamW\(\), with brackets\.$"
    ):
        check_optimizer(AdamW)

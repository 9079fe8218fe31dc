"""The parameters of a perceptron, checked: scikit-learn has that done by `fit`, never before."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from nnx.checks import check_count, check_flag, check_number
from nnx.errors import OptionError, UnknownNameError
from nnx.interface import ELEMENTWISE
from nnx.optimizers import SGD, Adam, Momentum, Nesterov, Optimizer

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", **{name: name for name in ELEMENTWISE}}
"""nnx's names of the activations of hidden layers, by those that are taken: scikit-learn's and nnx's own."""

SOLVERS = ("adam", "sgd", "lbfgs")
RATES = ("constant", "invscaling", "adaptive")


@dataclass(frozen=True)
class Settings:
    """The parameters of `MLPClassifier` and `MLPRegressor` under their names, as plain values.

    Attributes:
        hidden: the units of each hidden layer.
        activation: nnx's name of it.
        batch_size: None for "auto".
        patience: n_iter_no_change, which may be infinite.
        full_batch: whether the solver is "lbfgs"; early_stopping is off then.
        optimizer: what solver, learning_rate_init, momentum and their like stand for; not used with "lbfgs".
        adapts, decays: whether learning_rate is "adaptive" or "invscaling", and the solver has such rates.
        backend: a name, or None for the selected one.
    """

    hidden: tuple[int, ...]
    activation: str
    full_batch: bool
    optimizer: Optimizer
    alpha: float
    batch_size: int | None
    rate: float
    adapts: bool
    decays: bool
    power_t: float
    max_iter: int
    max_fun: int
    shuffle: bool
    tol: float
    verbose: bool
    early_stopping: bool
    validation_fraction: float
    patience: float
    batch_norm: bool
    dropout: float
    backend: str | None


def check_settings(estimator: Any) -> Settings:
    """Return the parameters of a perceptron.

    Raises:
        OptionError, UnknownNameError: one of them is out of its range.
    """
    given = estimator
    rates, by_rates = _one_of("learning_rate", given.learning_rate, RATES), given.solver == "sgd"
    full_batch = _one_of("solver", given.solver, SOLVERS) == "lbfgs"
    return Settings(
        hidden=_check_sizes(given.hidden_layer_sizes),
        activation=ACTIVATIONS[_one_of("activation", given.activation, ACTIVATIONS)],
        full_batch=full_batch,
        optimizer=_check_optimizer(given),
        alpha=check_number("alpha", given.alpha, 0),
        batch_size=_check_batch_size(given.batch_size),
        rate=check_number("learning_rate_init", given.learning_rate_init, 0, open_low=True),
        adapts=by_rates and rates == "adaptive",
        decays=by_rates and rates == "invscaling",
        power_t=check_number("power_t", given.power_t, 0),
        max_iter=check_count("max_iter", given.max_iter),
        max_fun=check_count("max_fun", given.max_fun),
        shuffle=check_flag("shuffle", given.shuffle),
        tol=check_number("tol", given.tol, 0),
        verbose=_check_verbose(given.verbose),
        early_stopping=check_flag("early_stopping", given.early_stopping) and not full_batch,
        validation_fraction=check_number("validation_fraction", given.validation_fraction, 0, 1),
        patience=_check_patience(given.n_iter_no_change),
        batch_norm=check_flag("batch_norm", given.batch_norm),
        dropout=_check_dropout(given.dropout, full_batch),
        backend=_check_backend(given.backend),
    )


def _one_of(option: str, value: object, known: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise UnknownNameError(option, value, known)
    return value


def _check_sizes(value: Any) -> tuple[int, ...]:
    sizes = (value,) if isinstance(value, Integral) else value
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise OptionError(
            "hidden_layer_sizes must be the units of each hidden layer, such as (64, 32), or those of a single "
            f"one, got {value!r}."
        )
    try:
        return tuple(check_count("hidden_layer_sizes", size) for size in sizes)
    except OptionError as error:
        raise OptionError(f"hidden_layer_sizes must hold whole numbers of at least 1, got {value!r}.") from error


def _check_optimizer(given: Any) -> Optimizer:
    rate = check_number("learning_rate_init", given.learning_rate_init, 0, open_low=True)
    if given.solver == "adam":
        beta1, beta2 = (check_number(name, getattr(given, name), 0, 1) for name in ("beta_1", "beta_2"))
        eps = check_number("epsilon", given.epsilon, 0, open_low=True)
        return Adam(rate, beta1=beta1, beta2=beta2, eps=eps)
    mu = check_number("momentum", given.momentum, 0, 1)
    if mu == 0 or given.solver == "lbfgs":  # which needs none of these
        return SGD(rate)
    return (Nesterov if check_flag("nesterovs_momentum", given.nesterovs_momentum) else Momentum)(rate, mu=mu)


def _check_dropout(value: object, full_batch: bool) -> float:
    share = check_number("dropout", value, 0, 1)
    if share and full_batch:
        raise OptionError(
            "dropout must be 0 with solver='lbfgs', whose line search needs the same loss at the same weights, got "
            f"{value!r}; use solver='adam' or 'sgd'."
        )
    return share


def _check_batch_size(value: object) -> int | None:
    if isinstance(value, str) and value == "auto":
        return None
    try:
        return check_count("batch_size", value)
    except OptionError as error:
        raise OptionError(f'batch_size must be "auto" or a whole number of at least 1, got {value!r}.') from error


def _check_patience(value: Any) -> float:
    if isinstance(value, float) and value == math.inf:
        return value
    return check_count("n_iter_no_change", value)


def _check_verbose(value: Any) -> bool:
    if not isinstance(value, Integral) and not hasattr(value, "__bool__"):
        raise OptionError(f"verbose must be True, False or a whole number, got {value!r}.")
    return bool(value)


def _check_backend(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise OptionError(
        "backend must be the name of one, such as 'numba', so that the estimator can be cloned and pickled, or "
        f"None for the selected one, got {value!r}."
    )

"""The parameters of the perceptrons: names, order and defaults are scikit-learn's; the last three are nnx's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
from sklearn.base import BaseEstimator


@dataclass(eq=False, repr=False)
class Parameters(BaseEstimator):
    """What `MLPClassifier` is made with, kept as it is: `fit` checks it. The meaning stands there."""

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    backend: str | None = None
    batch_norm: bool = False
    dropout: float = 0.0


@dataclass(eq=False, repr=False)
class Choice:
    """What a regressor is given before all else; as a base behind `Parameters`, it comes first among them."""

    loss: str = "squared_error"

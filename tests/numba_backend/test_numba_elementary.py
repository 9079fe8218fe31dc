"""Elementary functions on vector instructions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from nnx_numba import elementary  # noqa: E402
from nnx_numba.jit import FLAGS  # noqa: E402
from nnx_numba.lanes import scalar  # noqa: E402
from nnx_numba.sweeps import sweep  # noqa: E402

SAMPLES = {
    "exp": (np.exp, -110.0, 92.0),
    "exp_falling": (np.exp, -110.0, 0.0),
    "log": (np.log, 2.0**-100, 1e9),
    "expm1": (np.expm1, -110.0, 0.0),
    "log1p": (np.log1p, 0.0, 1.0),
    "tanh": (np.tanh, -25.0, 25.0),
    "sigmoid": (lambda x: np.exp(-np.logaddexp(0, -x)), -110.0, 110.0),
    "softplus": (lambda x: np.logaddexp(0, x), -110.0, 110.0),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_elementary_function_is_within_4_ulp_of_the_exact_one(name: str) -> None:
    exact, low, high = SAMPLES[name]
    inner = sweep(getattr(elementary, name))

    def over(x: Any, y: Any) -> None:
        inner((y,), (x,), ())

    x = np.linspace(low, high, 1_000_003, dtype=np.float32)
    tiny = np.float32(2) ** np.linspace(-149, 6, 4001, dtype=np.float32)
    x = np.concatenate([x, tiny[(tiny >= low) & (tiny <= high)], -tiny[-tiny >= low]])
    y = np.empty_like(x)
    numba.njit(**FLAGS)(over)(x, y)
    with np.errstate(over="ignore", under="ignore"):
        want = exact(x.astype(np.longdouble))
        rounded = want.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    limit = 4 * np.spacing(np.abs(rounded[finite])) + np.finfo(np.float32).tiny
    assert np.all(np.abs(y[finite] - want[finite]) <= limit)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_scalar_gets_what_a_vector_gets(name: str) -> None:
    formula = getattr(elementary, name)
    one, many = scalar(formula), sweep(formula)

    def over(x: Any, y: Any, z: Any) -> None:
        many((y,), (x,), ())
        for i in range(x.size):
            z[i] = one(x[i])

    x = np.linspace(SAMPLES[name][1], SAMPLES[name][2], 1003)
    y, z = np.empty_like(x), np.empty_like(x)
    numba.njit(**FLAGS)(over)(x, y, z)
    np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_special_values_pass_through_the_vectorised_activations(backend: Any, kind: Any) -> None:
    x = np.repeat(np.array([np.nan, np.inf, -np.inf, 0.0], kind), 33)
    y = np.empty_like(x)
    limits = {"sigmoid": (1, 0, 0.5), "tanh": (1, -1, 0), "softplus": (np.inf, 0, np.log(kind(2)))}
    limits |= {"gelu": (np.inf, 0, 0), "silu": (np.inf, 0, 0), "elu": (np.inf, -1, 0)}
    for activation, expected in limits.items():
        backend.activate(x, y, activation, 1.0)
        want = np.repeat(np.array([np.nan, *expected], kind), 33)
        np.testing.assert_allclose(y, want, rtol=4 * np.finfo(kind).eps, err_msg=activation)

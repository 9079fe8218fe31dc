"""Data that a model takes, in whatever form they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.problems import classification, full_network, weights_of

from nnx import Backend, Dense, Sequential
from nnx.errors import DataError

X, Y = classification(6)


def test_values_that_overflow_in_the_models_dtype_are_refused_and_taken_by_a_wider_one() -> None:
    large = X * 1e39
    for method in ("fit", "evaluate"):
        with pytest.raises(
            DataError,
            match=r"x holds .*e\+3[89] in row 0, too large for float32; scale it or compute with dtype=\"float64\"",
        ):
            getattr(full_network("generic:numpy", "float32"), method)(large, Y)
    assert np.isfinite(full_network("generic:numpy").predict(large)).all()


@pytest.mark.parametrize(
    "y",
    [Y, Y.astype(np.uint8), Y.astype(float), Y[:, None], Y.tolist(), np.eye(3)[Y], np.eye(3, dtype=bool)[Y]],
    ids=["int64", "uint8", "whole floats", "a column", "a list", "one-hot", "one-hot bools"],
)
def test_labels_are_taken_in_any_form_with_the_same_result(backend: Backend, y: Any) -> None:
    model, plain = (full_network(backend) for _ in range(2))
    model.fit(X, y)
    plain.fit(X, Y)
    np.testing.assert_allclose(weights_of(model), weights_of(plain), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("y", [Y > 0, (Y > 0).astype(float), (Y > 0)[:, None]], ids=["bools", "floats", "a column"])
def test_binary_targets_are_taken_in_any_form(backend: Backend, y: Any) -> None:
    model = Sequential([Dense(1)], input_shape=(4,), backend=backend).compile("sigmoid_cross_entropy")
    assert 0 <= model.fit(X, y)["accuracy"][0] <= 1


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint64, bool, np.longdouble])
def test_inputs_of_any_real_dtype_are_taken(backend: Backend, kind: type) -> None:
    x = (np.abs(X) * 10).astype(kind)
    model = full_network(backend)
    np.testing.assert_array_equal(model.predict(x), model.predict(x.astype(float)))


def test_inputs_are_neither_changed_nor_kept(backend: Backend) -> None:
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    model, other = full_network(backend), full_network(backend)
    model.fit(x, y, epochs=2, batch_size="full")
    other.fit(np.asfortranarray(x), y[::-1][::-1], epochs=2, batch_size="full")
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(weights_of(model), weights_of(other))


def test_arrays_of_the_models_own_backend_are_taken(backend: Backend) -> None:
    model = full_network(backend)
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(backend.asarray(X, "float64")), expected)

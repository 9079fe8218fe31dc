"""Models of tokens: whole numbers of a vocabulary go in, and anything else is refused by every method alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.problems import assert_same_bits, weights_of

import nnx
from nnx import Backend
from nnx.errors import DataError, DtypeError, NnxError, ShapeError

TOKENS = np.random.default_rng(4).integers(0, 7, (9, 5))
LABELS = np.arange(9) % 3


def token_model(backend: Backend | str, input_shape: tuple[int, ...] | None = (5,)) -> nnx.Sequential:
    layers = [nnx.Embedding(7, 4), nnx.LSTM(6), nnx.Dense(3)]
    model = nnx.Sequential(layers, seed=2, dtype="float64", input_shape=input_shape, backend=backend)
    return model.compile("softmax_cross_entropy", "sgd")


def broken(value: float, dtype: type = float) -> np.ndarray[Any, Any]:
    tokens = TOKENS.astype(dtype)
    tokens[3, 1] = value
    return tokens


BAD_TOKENS = [
    pytest.param(
        broken(7, int), DataError, "whole numbers of 0 to 6 for this vocabulary of 7, got 7 in row 3", id="V"
    ),
    pytest.param(broken(-1, int), DataError, "x must hold tokens, whole numbers of 0 to 6", id="negative"),
    pytest.param(broken(2.5), DataError, "of 7, got 2.5 in row 3.", id="a half"),
    pytest.param(broken(np.nan), DataError, "of 7, got nan in row 3.", id="NaN"),
    pytest.param(broken(np.inf), DataError, "of 7, got inf in row 3.", id="infinity"),
    pytest.param(broken(1234567, int), DataError, "of 7, got 1234567 in row 3.", id="many digits"),
    pytest.param(broken(2**63, np.uint64), DataError, "got 9223372036854775808 in row 3.", id="beyond int64"),
    pytest.param(TOKENS.astype(str), DtypeError, "x must hold real numbers, got dtype <U", id="text"),
    pytest.param(TOKENS[:, :0], ShapeError, "x must have shape (N, T), got (9, 0).", id="none"),
    pytest.param(TOKENS[0], ShapeError, "add the batch axis: x[None].", id="one example"),
    pytest.param(TOKENS > 2, DtypeError, "whole numbers, got booleans; convert by .astype(int).", id="booleans"),
]


@pytest.mark.parametrize(("x", "error", "says"), BAD_TOKENS)
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "predict_proba", "predict_classes"])
def test_what_is_no_token_is_refused_by_every_method(method: str, x: Any, error: type, says: str) -> None:
    model = token_model("generic:numpy")
    before = weights_of(model)
    arguments = (x,) if method.startswith("predict") else (x, LABELS)
    with pytest.raises(error) as caught:
        getattr(model, method)(*arguments)
    assert says in str(caught.value)
    np.testing.assert_array_equal(weights_of(model), before)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.longdouble, list])
def test_tokens_are_taken_in_any_form_with_the_same_result(backend: Backend, kind: Any) -> None:
    x = TOKENS.tolist() if kind is list else TOKENS.astype(kind)
    model, plain = token_model(backend), token_model(backend)
    np.testing.assert_array_equal(model.predict(x), plain.predict(TOKENS))
    model.fit(x, LABELS, batch_size=4)
    plain.fit(TOKENS, LABELS, batch_size=4)
    assert_same_bits(model, plain)
    assert model.evaluate(x, LABELS) == plain.evaluate(TOKENS, LABELS)


def test_tokens_of_the_models_own_backend_are_taken(backend: Backend) -> None:
    model = token_model(backend)
    np.testing.assert_array_equal(model.predict(backend.asarray(TOKENS, "int64")), model.predict(TOKENS))


def test_tokens_are_not_rounded_to_the_models_dtype(backend: Backend) -> None:
    vocabulary = 2**24 + 2  # float32 cannot tell the last two tokens apart
    layer = nnx.Embedding(2, 1)
    model = nnx.Sequential([layer], input_shape=(1,), backend=backend)
    layer.vocabulary = vocabulary  # a table of that size would only cost memory
    seen: list[Any] = []
    layer.forward = lambda x, _context: (seen.append(x) or backend.zeros((2, 1, 1), "float32"), lambda _: None)  # type: ignore[method-assign]
    model.predict([[2**24], [2**24 + 1]])
    assert backend.to_numpy(seen[0]).tolist() == [[2**24], [2**24 + 1]]


@pytest.mark.parametrize("bad", [TOKENS + 9, TOKENS + 0.5])
def test_a_first_fit_with_bad_tokens_leaves_the_model_unbuilt(bad: Any) -> None:
    model = token_model("generic:numpy", None)
    with pytest.raises(NnxError, match="x must hold tokens"):
        model.fit(bad, LABELS)
    assert not model.built
    model.fit(np.c_[TOKENS, TOKENS], LABELS)
    assert model.input_shape == (10,)


def test_validation_tokens_are_called_by_their_name() -> None:
    with pytest.raises(DataError, match=r"validation_data\[0\] must hold tokens"):
        token_model("generic:numpy").fit(TOKENS, LABELS, validation_data=(TOKENS + 9, LABELS))


def test_other_models_take_whole_numbers_as_numbers(backend: Backend) -> None:
    model = nnx.Sequential([nnx.Dense(2)], input_shape=(5,), backend=backend)
    np.testing.assert_array_equal(model.predict(TOKENS - 3), model.predict((TOKENS - 3).astype(float)))


def test_no_tokens_give_no_predictions(backend: Backend) -> None:
    assert token_model(backend).predict(TOKENS[:0]).shape == (0, 3)


@pytest.mark.parametrize("eager", [False, True])
def test_replayed_training_on_tokens_equals_eager_training(backend: Backend, eager: bool) -> None:
    model, other = token_model(backend), token_model(backend)
    lengths = np.arange(9) % 5 + 1
    model.fit(TOKENS, LABELS, lengths=lengths, epochs=2, batch_size=4, eager=eager)
    other.fit(TOKENS, LABELS, lengths=lengths, epochs=2, batch_size=4)
    assert_same_bits(model, other)

"""Embedding: a table, its gradient, and its place in a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.gradients import check_parameter_gradients, mount
from support.peers import assert_close, leaf, torch_or_skip

from nnx import LSTM, Backend, Dense, Embedding, Residual, Sequential
from nnx.errors import DtypeError, OptionError, UnknownNameError
from nnx.layers import Chain

TOKENS = np.array([[1, 4, 1], [0, 1, 4]])


@pytest.mark.parametrize(
    "tokens", [TOKENS, TOKENS[:, 0], TOKENS[..., None], TOKENS[:1]], ids=lambda x: str(x.shape)
)
def test_gradients_of_tokens_that_repeat_and_of_those_that_never_come_are_the_slopes(
    backend: Backend, tokens: Any
) -> None:
    bench = mount(Embedding(6, 4), tokens.shape[1:], backend, path="0")
    dy = np.random.default_rng(0).normal(size=(*tokens.shape, 4))
    assert bench.run(tokens, dy)[1] is None, "tokens have no gradient"
    np.testing.assert_array_equal(bench.gradient("table")[[2, 3, 5]], 0)
    check_parameter_gradients(bench, tokens, dy)


def test_gradients_of_a_network_on_tokens_are_the_slopes(backend: Backend) -> None:
    bench = mount(Chain([Embedding(6, 3), LSTM(2), Dense(2)]), (3,), backend, path="")
    dy = np.random.default_rng(1).normal(size=(2, 2))
    check_parameter_gradients(bench, TOKENS, dy, lengths=[3, 1])


def test_values_and_gradient_agree_with_torch(backend: Backend) -> None:
    torch = torch_or_skip()
    bench, dy = mount(Embedding(6, 4), (3,), backend, path="0"), np.random.default_rng(2).normal(size=(2, 3, 4))
    y, _ = bench.run(TOKENS, dy)
    table = leaf(bench.value("table"))
    outputs = torch.nn.functional.embedding(torch.tensor(TOKENS), table)
    outputs.backward(torch.tensor(dy))
    assert_close(y, outputs)
    assert_close(bench.gradient("table"), table.grad)


def test_the_layer_says_that_it_takes_tokens_and_how_many_there_are() -> None:
    assert (Embedding(6, 4).takes, Embedding(6, 4).vocabulary) == ("tokens", 6)
    assert Dense(4).takes == "numbers"


def test_numbers_in_place_of_tokens_are_refused(backend: Backend) -> None:
    with pytest.raises(DtypeError, match=r"Embedding\(6, 4\) expects tokens of dtype int64, got "):
        mount(Embedding(6, 4), (3,), backend, path="0").run(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "layers", [lambda: [Dense(3), Embedding(6, 4)], lambda: [Residual([Embedding(6, 4)])]], ids=["second", "inside"]
)
def test_any_place_but_the_first_is_refused(layers: Any) -> None:
    with pytest.raises(OptionError, match="must be the first layer of the model, since it takes tokens"):
        Sequential(layers(), input_shape=(4,), backend="generic:numpy")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"vocabulary": 0}, OptionError, "vocabulary must be a whole number of at least 1, got 0"),
        ({"units": 1.5}, OptionError, "units must be a whole number of at least 1, got 1.5"),
        ({"init": "hee"}, UnknownNameError, "Unknown initializer 'hee'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as raised:
        Embedding(**{"vocabulary": 6, "units": 4, **options})
    assert says in str(raised.value)

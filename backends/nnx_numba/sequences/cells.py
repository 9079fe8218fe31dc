"""The cells of recurrent networks as formulas on vectors: one step forward, and one back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nnx_numba.activations import FORMULAS
from nnx_numba.elementary import sigmoid, tanh
from nnx_numba.lanes import Value

Values = Sequence[Value]


@dataclass(frozen=True)
class Slopes:
    """What a step back makes: gradients of the states before, of the inputs, and of the products h U."""

    states: Values
    inputs: Values
    products: Values


@dataclass(frozen=True)
class Cell:
    """What tells one recurrent network from another.

    Attributes:
        parts: lines of inputs, and of products h U, to a line of units.
        states, gates: lines of state, and lines that are kept for the gradient, to a line of units.
        forward: (products, inputs, states, alpha) -> states after the step, and gates.
        backward: (gates, states after, states before, gradients, alpha) -> slopes; the gradients are those of the
            states after the step, and the slopes' states leave out what comes back through the products.
    """

    parts: int
    states: int
    gates: int
    forward: Callable[[Values, Values, Values, Value], tuple[Values, Values]]
    backward: Callable[[Values, Values, Values, Values, Value], Slopes]


def simple(activation: str) -> Cell:
    """Return the cell of `simple_rnn`."""
    function, derivative = FORMULAS[activation]

    def forward(products: Values, inputs: Values, _states: Values, alpha: Value) -> tuple[Values, Values]:
        return [function(inputs[0] + products[0], alpha)], []

    def backward(_gates: Values, after: Values, _before: Values, gradients: Values, alpha: Value) -> Slopes:
        dz = [gradients[0] * derivative(after[0], after[0], alpha)]
        return Slopes([alpha.constant(0.0)], dz, dz)

    return Cell(1, 1, 0, forward, backward)


def _lstm(products: Values, inputs: Values, states: Values, _alpha: Value) -> tuple[Values, Values]:
    i, f, g, o = (x + product for x, product in zip(inputs, products, strict=True))
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * states[1] + i * g
    return [o * tanh(c), c], [i, f, g, o]


def _lstm_backward(gates: Values, after: Values, before: Values, gradients: Values, _alpha: Value) -> Slopes:
    (i, f, g, o), m, (dh, dc) = gates, tanh(after[1]), gradients
    dc = dc + dh * o * (1.0 - m * m)
    through_c = [dc * g * i * (1.0 - i), dc * before[1] * f * (1.0 - f), dc * i * (1.0 - g * g)]
    dz = [*through_c, dh * m * o * (1.0 - o)]
    return Slopes([dh.constant(0.0), dc * f], dz, dz)


def _gru(products: Values, inputs: Values, states: Values, _alpha: Value) -> tuple[Values, Values]:
    z, r, m = sigmoid(inputs[0] + products[0]), sigmoid(inputs[1] + products[1]), products[2]
    n = tanh(inputs[2] + r * m)
    return [(1.0 - z) * n + z * states[0]], [z, r, n, m]


def _gru_backward(gates: Values, _after: Values, before: Values, gradients: Values, _alpha: Value) -> Slopes:
    (z, r, n, m), dh = gates, gradients[0]
    dn, dz = dh * (1.0 - z) * (1.0 - n * n), dh * (before[0] - n) * z * (1.0 - z)
    dr = dn * m * r * (1.0 - r)
    return Slopes([dh * z], [dz, dr, dn], [dz, dr, dn * r])


LSTM = Cell(4, 2, 4, _lstm, _lstm_backward)
GRU = Cell(3, 1, 4, _gru, _gru_backward)

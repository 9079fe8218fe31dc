"""Recurrent layers.

All of them take the inputs' part of every step in one product, xw = x W + b, and then go from step to step; the
formulas stand at `nnx.Backend.simple_rnn`, `lstm` and `gru`. Where lengths are given, the steps from a sequence's
length on are padding: y is 0 there, the state stays as it is, and no gradient flows.

The last states are those after a sequence's last real step, or with go_backwards after its first step; a sequence
of no real steps ends where it began, with zeros. A layer has one output: to have the states besides all steps, or
to hand them to another layer, call `unroll` in a layer of your own; an encoder with its decoder stands there as an
example.

In a stream (`Context.states`), a layer begins where it ended before.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_alpha, check_flag
from nnx.errors import UnknownNameError
from nnx.initializers import InitializerLike, ones_within
from nnx.interface import FUSED, Array
from nnx.layers.unrolling import PerState, Recurrent, Unrolled


@dataclass(eq=False, repr=False)
class SimpleRNN(Recurrent):
    """The network of Elman: h' = activation(x_t W + h U + b).

    Shapes: x (N, T, F) -> y (N, H), or (N, T, H) with return_sequences; W (F, H); U (H, H); b (H,).

    Args:
        units: H, the size of the state.
        activation: one that the kernel can apply: identity, relu, leaky_relu, elu, sigmoid, tanh or softplus.
        return_sequences: whether the output is the state after every step, instead of the last one.
        return_state: whether the output is all last states side by side. Here h is the only one, so that the output
            is (N, H) either way; `unroll` has it besides all steps.
        go_backwards: begin with the last step, of padded sequences the last real one. With return_sequences,
            outputs stay at their steps, as in PyTorch; Keras turns them round.
        init, recurrent_init: initialisers of W and U, see `nnx.initializers`.
        bias: whether there is a b.
        l2: factor lambda of the L2 penalty of W and U; None follows the model's.

    Raises:
        OptionError, UnknownNameError: an option is out of its range.
        ShapeError: the inputs are no sequences of F features, or lengths are not one for each.
        DtypeError: lengths are not int64.
    Source: Elman 1990.

    Elsewhere: W, U, b are "weight", "recurrent_weight", "bias" in `get_weights`; kernel, recurrent_kernel and bias
    of Keras, and weight_ih.T, weight_hh.T and bias_ih + bias_hh of PyTorch's RNN (to carry over to it: bias_ih = b,
    bias_hh = 0).
    """

    activation: str = "tanh"

    gates = 1

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.activation not in FUSED:
            raise UnknownNameError("activation of SimpleRNN", self.activation, FUSED)

    def recur(self, xw: Array, lengths: Array | None, states: PerState) -> Unrolled:
        """See `Recurrent.recur`."""
        ops, recurrent, (h0,) = self.ops, self._recurrent, states
        attributes = self.activation, check_alpha(self.activation, None), self.go_backwards
        y, h_last = ops.simple_rnn(xw, recurrent.value, lengths, h0, *attributes)

        def backward(dy: Array | None, dstates: PerState = ()) -> tuple[Array, PerState]:
            arrays = recurrent.value, lengths, h0, y, dy, dstates[0], recurrent.grad
            dxw, dh0 = ops.simple_rnn_backward(*arrays, *attributes)
            return dxw, (dh0,)

        return Unrolled(y, (h_last,), backward)


@dataclass(eq=False, repr=False)
class LSTM(Recurrent):
    """Long short-term memory: a second state c, which gates let through, add to and show.

    Shapes: x (N, T, F) -> y (N, H); (N, T, H) with return_sequences; (N, 2 H), h beside c, with return_state;
    W (F, 4 H); U (H, 4 H); b (4 H,), each with its parts in the order i, f, g, o.

    Args:
        units: H, the size of each state.
        unit_forget_bias: whether the part f of b is 1 at first, so that c lasts until something better is learned.
        return_state: whether the output is both last states side by side, (N, 2 H): h in the first H features, c in
            the others. `unroll` has them apart, as another layer takes them, and besides all steps.
        return_sequences, go_backwards, init, recurrent_init, bias, l2: as in `SimpleRNN`.

    Raises:
        OptionError, UnknownNameError: an option is out of its range.
        ShapeError: the inputs are no sequences of F features, or lengths are not one for each.
        DtypeError: lengths are not int64.
    Source: Hochreiter & Schmidhuber 1997; f, Gers et al. 2000; its bias, Jozefowicz et al. 2015.

    Elsewhere: W, U, b are "weight", "recurrent_weight", "bias" in `get_weights`; kernel, recurrent_kernel and bias
    of Keras, and weight_ih.T, weight_hh.T and bias_ih + bias_hh of PyTorch's LSTM (to carry over to it: bias_ih =
    b, bias_hh = 0); both have the same order.
    """

    unit_forget_bias: bool = True

    gates = 4
    state_names = ("h", "c")

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self.unit_forget_bias = check_flag("unit_forget_bias", self.unit_forget_bias)

    def bias_init(self) -> InitializerLike:
        """See `Recurrent.bias_init`."""
        return ones_within(self.units, 2 * self.units) if self.unit_forget_bias else "zeros"

    def recur(self, xw: Array, lengths: Array | None, states: PerState) -> Unrolled:
        """See `Recurrent.recur`."""
        ops, recurrent, (h0, c0), reverse = self.ops, self._recurrent, states, self.go_backwards
        run = ops.lstm(xw, recurrent.value, lengths, h0, c0, reverse)

        def backward(dy: Array | None, dstates: PerState = ()) -> tuple[Array, PerState]:
            dh, dc = dstates
            arrays = recurrent.value, lengths, h0, c0, run, dy, dh, dc, recurrent.grad
            dxw, dh0, dc0 = ops.lstm_backward(*arrays, reverse)
            return dxw, (dh0, dc0)

        return Unrolled(run.y, (run.h_last, run.c_last), backward)


@dataclass(eq=False, repr=False)
class GRU(Recurrent):
    """Gated recurrent units, the reset gate applied after the product, as Keras and PyTorch compute it.

    Shapes: x (N, T, F) -> y (N, H), or (N, T, H) with return_sequences; W (F, 3 H); U (H, 3 H); b (3 H,) and
    recurrent_bias (3 H,), added to h U; each with its parts in the order z, r, n.

    Args:
        units: H, the size of the state.
        bias: whether there are b and recurrent_bias.
        return_state: as in `SimpleRNN`; h is the only state, so that the output is (N, H) either way.
        return_sequences, go_backwards, init, recurrent_init, l2: as in `SimpleRNN`.

    Raises:
        OptionError, UnknownNameError: an option is out of its range.
        ShapeError: the inputs are no sequences of F features, or lengths are not one for each.
        DtypeError: lengths are not int64.
    Source: Cho et al. 2014, version 1 of arXiv:1406.1078.

    Elsewhere: W, U, b, recurrent_bias are "weight", "recurrent_weight", "bias", "recurrent_bias" in `get_weights`;
    W and U are kernel and recurrent_kernel of Keras with reset_after=True, and (b, recurrent_bias) the
    two rows of its bias. PyTorch's GRU has weight_ih.T, weight_hh.T, bias_ih and bias_hh in the order r, z, n: swap
    the first two thirds, either way.
    """

    gates = 3

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare W, U and both biases."""
        out = super().setup(builder, shape)
        wide = (self.gates * self.units,)
        self._recurrent_bias = builder.parameter("recurrent_bias", wide, "zeros") if self.bias else None
        return out

    def recur(self, xw: Array, lengths: Array | None, states: PerState) -> Unrolled:
        """See `Recurrent.recur`."""
        ops, recurrent, bias, (h0,) = self.ops, self._recurrent, self._recurrent_bias, states
        run = ops.gru(xw, recurrent.value, bias and bias.value, lengths, h0, self.go_backwards)

        def backward(dy: Array | None, dstates: PerState = ()) -> tuple[Array, PerState]:
            into = recurrent.grad, bias and bias.grad
            arrays = recurrent.value, lengths, h0, run, dy, dstates[0], *into
            dxw, dh0 = ops.gru_backward(*arrays, self.go_backwards)
            return dxw, (dh0,)

        return Unrolled(run.y, (run.h_last,), backward)

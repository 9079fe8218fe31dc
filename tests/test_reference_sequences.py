"""The reference of recurrence and embedding is right: compared in float64 with PyTorch, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from nnx import Backend, reference

XP = Backend.from_namespace(np).xp
COUNT, STEPS, FEATURES, UNITS = 4, 6, 3, 5
LENGTHS = np.asarray([6, 2, 1, 4])
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
THEIRS = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
ORDER = {"simple_rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}
"""PyTorch's gates in the order of ours: its GRU has r, z, n."""

STATES = {"simple_rnn": ("h",), "lstm": ("h", "c"), "gru": ("h",)}
KEPT = {"simple_rnn": (), "lstm": (4, 1), "gru": (4,)}


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="PyTorch, the oracle of this test, is not installed")


class Ours:
    """A run of the reference, forward and backward, of x W + b with the same values as PyTorch's."""

    def __init__(self, kernel: str, values: dict[str, NDArray[Any]], lengths: Any, reverse: bool) -> None:
        xw, states = values["x"] @ values["w"] + values["b"], [values[f"{s}0"] for s in STATES[kernel]]
        y = np.empty((COUNT, STEPS, UNITS))
        kept = [np.empty((COUNT, STEPS, width * UNITS)) for width in KEPT[kernel]]
        self.last = [np.empty((COUNT, UNITS)) for _ in states]
        extra = [values["second"]] if kernel == "gru" else []
        fused = ["tanh", 0.0] if kernel == "simple_rnn" else []
        forward, backward = getattr(reference, kernel), getattr(reference, f"{kernel}_backward")
        forward(XP, xw, values["u"], *extra, lengths, *states, y, *kept, *self.last, *fused, reverse)
        dxw, du, dstates = np.empty_like(xw), np.empty_like(values["u"]), [np.empty_like(s) for s in states]
        dhu, dsecond = np.empty_like(xw), np.empty(xw.shape[2])
        seeds = [values["dy"], *(values[f"d{s}_last"] for s in STATES[kernel])]
        results = [dxw, dhu, du, dsecond] if kernel == "gru" else [dxw, du]
        backward(XP, values["u"], lengths, *states, y, *kept, *seeds, *results, *dstates, *fused, reverse)
        self.y = y
        self.gradients = {
            **{"x": dxw @ values["w"].T, "w": np.einsum("ntf,ntg->fg", values["x"], dxw)},
            **{"b": dxw.sum((0, 1)), "u": du},
            **{f"{state}0": gradient for state, gradient in zip(STATES[kernel], dstates, strict=True)},
            **({"second": dsecond} if kernel == "gru" else {}),
        }


def drawn_values(kernel: str) -> dict[str, NDArray[Any]]:
    draw, width = np.random.Generator(np.random.PCG64(11)).standard_normal, GATES[kernel] * UNITS
    values = {"x": draw((COUNT, STEPS, FEATURES)), "w": draw((FEATURES, width)), "u": draw((UNITS, width))}
    values |= {"b": draw(width), "second": draw(width), "dy": draw((COUNT, STEPS, UNITS))}
    for state in STATES[kernel]:
        values |= {f"{state}0": draw((COUNT, UNITS)), f"d{state}_last": draw((COUNT, UNITS))}
    return values


def regrouped(kernel: str, values: Any) -> Any:
    """Exchange the order of the gates in the last axis, ours for PyTorch's or back."""
    parts = np.split(np.asarray(values), GATES[kernel], axis=-1)
    return np.concatenate([parts[gate] for gate in ORDER[kernel]], axis=-1)


class Theirs:
    """The same by PyTorch: packed sequences for lengths, turned over one by one for reverse."""

    def __init__(self, kernel: str, values: dict[str, NDArray[Any]], lengths: Any, reverse: bool) -> None:
        torch = torch_or_skip()
        network = getattr(torch.nn, THEIRS[kernel])(FEATURES, UNITS, batch_first=True, dtype=torch.float64)
        second = values["second"] if kernel == "gru" else np.zeros(GATES[kernel] * UNITS)
        carried = (values["w"], values["u"], values["b"], second)
        with torch.no_grad():
            for parameter, ours in zip(network.parameters(), carried, strict=True):
                parameter.copy_(torch.tensor(regrouped(kernel, ours).T.copy()))
        ends = torch.tensor(np.full(COUNT, STEPS) if lengths is None else lengths)
        x = torch.tensor(values["x"], requires_grad=True)
        states = [torch.tensor(values[f"{s}0"][None], requires_grad=True) for s in STATES[kernel]]
        turned = self._turned(x, ends) if reverse else x
        utils = torch.nn.utils.rnn
        packed = utils.pack_padded_sequence(turned, ends, batch_first=True, enforce_sorted=False)
        out, last = network(packed, tuple(states) if kernel == "lstm" else states[0])
        y, _ = utils.pad_packed_sequence(out, batch_first=True, total_length=STEPS)
        y = self._turned(y, ends) if reverse else y
        lasts = list(last) if kernel == "lstm" else [last]
        loss = (y * torch.tensor(values["dy"])).sum()
        for state, end in zip(STATES[kernel], lasts, strict=True):
            loss = loss + (end[0] * torch.tensor(values[f"d{state}_last"])).sum()
        loss.backward()
        self.y, self.last = y.detach().numpy(), [end[0].detach().numpy() for end in lasts]
        w, u, b, second = (regrouped(kernel, p.grad.numpy().T) for p in network.parameters())
        self.gradients = {"x": x.grad.numpy(), "w": w, "u": u, "b": b, "second": second}
        self.gradients |= {f"{s}0": t.grad[0].numpy() for s, t in zip(STATES[kernel], states, strict=True)}

    @staticmethod
    def _turned(sequences: Any, ends: Any) -> Any:
        """Turn over what lies before the end of each sequence; the padding stays."""
        torch = torch_or_skip()
        rows = [torch.cat([row[:end].flip(0), row[end:]]) for row, end in zip(sequences, ends, strict=True)]
        return torch.stack(rows)


@pytest.mark.parametrize("kernel", GATES)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "masked"])
@pytest.mark.parametrize("reverse", [False, True], ids=["onwards", "reverse"])
def test_recurrence_and_its_gradients_equal_torch(kernel: str, lengths: Any, reverse: bool) -> None:
    values = drawn_values(kernel)
    theirs, ours = Theirs(kernel, values, lengths, reverse), Ours(kernel, values, lengths, reverse)
    assert_allclose(ours.y, theirs.y, rtol=1e-11, atol=1e-13)
    for mine, other in zip(ours.last, theirs.last, strict=True):
        assert_allclose(mine, other, rtol=1e-11, atol=1e-13)
    for name, gradient in ours.gradients.items():
        assert_allclose(gradient, theirs.gradients[name], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kernel", GATES)
def test_sequence_of_length_0_keeps_its_first_state_and_passes_the_gradient_through(kernel: str) -> None:
    values = drawn_values(kernel)
    ours = Ours(kernel, values, np.asarray([0, 6, 0, 3]), reverse=False)
    for state, last in zip(STATES[kernel], ours.last, strict=True):
        assert_array_equal(last[[0, 2]], values[f"{state}0"][[0, 2]])
        assert_array_equal(ours.gradients[f"{state}0"][[0, 2]], values[f"d{state}_last"][[0, 2]])
    assert not ours.y[[0, 2]].any()


def test_embedding_and_its_gradient_equal_torch() -> None:
    torch = torch_or_skip()
    draw = np.random.Generator(np.random.PCG64(13))
    table, tokens, dy = draw.standard_normal((7, 3)), draw.integers(0, 5, 20), draw.standard_normal((20, 3))
    tracked = torch.tensor(table, requires_grad=True)
    expected = torch.nn.functional.embedding(torch.tensor(tokens), tracked)
    expected.backward(torch.tensor(dy))
    y, dtable = np.empty((20, 3)), np.empty((7, 3))
    reference.embedding(XP, tokens, table, y)
    reference.embedding_backward(XP, tokens, dy, dtable)
    assert_array_equal(y, expected.detach().numpy())
    assert_allclose(dtable, tracked.grad.numpy(), rtol=1e-13, atol=1e-14)

"""Recurrent layers, in one direction or both, and what is made of their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nnx.checks import check_alpha
from nnx.errors import FileFormatError, shown
from nnx.layers import GRU, LSTM, Bidirectional, SimpleRNN
from nnx.layers.unrolling import Recurrent
from nnx.onnx.axes import Atom, Group, axis_of, flat, size, whole
from nnx.onnx.exports.recurrent import GATES
from nnx.onnx.imports.activations import ALPHAS, OPERATORS
from nnx.onnx.imports.extents import join, take
from nnx.onnx.imports.registry import importer
from nnx.onnx.reading import Extents, Filled, Found, Reading
from nnx.onnx.source import Constant, Node
from nnx.onnx.steps import Step
from nnx.onnx.trunk import Layout, Value

_KINDS: dict[str, type[Recurrent]] = {"RNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}
_USUAL = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
_OUTPUTS = ("Y", "Y_h", "Y_c")


@importer("RNN", "LSTM", "GRU")
def recurrent(reading: Reading, node: Node) -> Mapping[int, Found]:
    """Read a recurrent layer; its outputs are one value in three descriptions."""
    x = reading.value(node)
    if len(x.axes) != 3:
        raise FileFormatError(f"{node}: its input should have three axes, got {len(x.axes)}")
    if node.option("layout", 0):
        x = x.seen_as([x.axes[1], x.axes[0], x.axes[2]])
    wanted = [place for place in range(3) if reading.wanted(node, place)]
    if len(wanted) != 1 and wanted != [1, 2]:
        node.refuse("nnx gives all steps or the last states, not both")
    step, units = _step(reading, node, wanted)
    inputs = step.weights.get("weight", step.weights.get("0.weight"))
    if inputs is None or size(x.axes[2]) != inputs.shape[0]:
        raise FileFormatError(f"{node}: {size(x.axes[2])} features do not fit its weights")
    return _put(reading, node, x, step, units, wanted)


def _put(reading: Reading, node: Node, x: Value, step: Step, units: int, wanted: list[int]) -> Mapping[int, Found]:
    steps, batch, features = x.axes
    sides = axis_of(2) if step.is_a(Bidirectional) else ()
    unit, states = axis_of(units), axis_of(2) if len(wanted) == 2 else ()
    joined: Group = (*states, *sides, *unit)
    made = [batch, steps, joined] if wanted == [0] else [batch, joined]
    axes = [steps, sides, batch, unit] if wanted == [0] else [sides, batch, unit]
    if node.option("layout", 0):
        axes = [batch, steps, sides, unit] if wanted == [0] else [batch, sides, unit]
    x, folded = reading.trunk.arrange(x, [batch, steps, features])
    if folded:
        node.refuse("nnx has no recurrent layer within another axis of steps")
    y = reading.trunk.follow(x, step, axes, Layout(made, axes), _OUTPUTS[wanted[0]])
    return {place: replace(y, part=_OUTPUTS[place]) for place in wanted}


def _step(reading: Reading, node: Node, wanted: list[int]) -> tuple[Step, int]:
    kind, directions = _KINDS[node.operator], _directions(node)
    kernel, recurrent = (reading.weight(node, place, 3) for place in (1, 2))
    units, gates = recurrent.shape[2], len(GATES[node.operator])
    shapes = (len(directions), gates * units), (len(directions), gates * units, units)
    if kernel.shape[:2] != shapes[0] or recurrent.shape != shapes[1] or not units:
        raise FileFormatError(f"{node}: weights of shapes {kernel.shape} and {recurrent.shape} do not fit together")
    if node.option("hidden_size", units) != units:
        raise FileFormatError(f"{node}: hidden_size is not that of its weights, {units}")
    bias = reading.weight(node, 3, 2) if reading.has(node, 3) else None
    if bias is not None and bias.shape != (len(directions), 2 * gates * units):
        raise FileFormatError(f"{node}: biases of shape {bias.shape} do not fit {units} units")
    _check_rest(reading, node)
    options: dict[str, Any] = {"units": units, "bias": bias is not None, **_activation(node, len(directions))}
    options["return_sequences"], options["return_state"] = wanted == [0], len(wanted) == 2
    sides = [
        _weights(node, kernel[side], recurrent[side], None if bias is None else bias[side])
        for side in range(len(directions))
    ]
    if len(directions) == 1:
        return Step(kind, {**options, "go_backwards": directions[0]}, sides[0]), units
    if len(wanted) == 2:
        node.refuse("nnx has the last states of one direction only")
    both = {f"{side}.{name}": array for side, held in enumerate(sides) for name, array in held.items()}
    return Step(Bidirectional, {"layer": Step(kind, options)}, both), units


def _directions(node: Node) -> tuple[bool, ...]:
    """Return for each direction whether it goes backwards."""
    known = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    given = node.option("direction", "forward")
    if given not in known:
        raise FileFormatError(f"{node}: direction should be one of {', '.join(known)}")
    return known[given]


def _weights(node: Node, kernel: Constant, recurrent: Constant, bias: Constant | None) -> dict[str, Constant]:
    """Return (gates H, F) as (F, gates H), the gates in nnx's order, and the biases as nnx keeps them."""
    order = GATES[node.operator]
    weights = {"weight": _columns(kernel.T, order), "recurrent_weight": _columns(recurrent.T, order)}
    if bias is None:
        return weights
    inputs, states = (_columns(half, order) for half in np.split(bias, 2))
    if node.operator == "GRU":
        return {**weights, "bias": inputs, "recurrent_bias": states}
    return {**weights, "bias": inputs + states}


def _columns(array: Constant, order: tuple[int, ...]) -> Constant:
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[order.index(gate)] for gate in range(len(order))], axis=-1)


def _check_rest(reading: Reading, node: Node) -> None:
    if reading.has(node, 4) and node.inputs[4] != reading.lengths:
        node.refuse("its lengths must be an input of the graph")
    for place in (5, 6):
        if reading.has(node, place) and not _is_zero(reading.any(node, place)):
            node.refuse("states must begin with zeros")
    if reading.has(node, 7) and not _is_zero(reading.any(node, 7)):
        node.refuse("nnx has no peepholes")
    if node.attributes.get("clip") is not None:
        node.refuse("nnx does not clip the sums of its gates")
    if node.option("input_forget", 0):
        node.refuse("nnx has forget gates of their own (input_forget)")
    if node.operator == "GRU" and not node.option("linear_before_reset", 0):
        node.refuse("nnx has the reset gate after the product only (linear_before_reset=1)")


def _is_zero(found: Found) -> bool:
    if isinstance(found, Filled):
        return found.number == 0
    return isinstance(found, np.ndarray) and not found.any()


def _activation(node: Node, directions: int) -> dict[str, Any]:
    """Return the option of a `SimpleRNN`; refuse what the kernels do not have."""
    usual = _USUAL[node.operator]
    given = node.attributes.get("activations") or usual * directions
    first = given[: len(usual)]
    name = _SIMPLE.get(str(first[0])) if node.operator == "RNN" else None
    if given == usual * directions:
        return {}
    if name is None or given != first * directions or not _as_usual(node, str(first[0])):
        node.refuse(f"nnx has no recurrent layer with the activations {shown(given)} and these factors of them")
    return {"activation": name}


_SIMPLE = {
    "Affine": "identity",
    **{name: OPERATORS[name] for name in ("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus")},
}
"""What the activations of an RNN are called in nnx."""


def _as_usual(node: Node, activation: str) -> bool:
    """Tell whether the factors of an activation are those that a `SimpleRNN` takes."""
    alphas, betas = node.attributes.get("activation_alpha") or [], node.attributes.get("activation_beta") or []
    wanted = 1.0 if activation == "Affine" else check_alpha(_SIMPLE[activation], None)
    return all(alpha == wanted for alpha in alphas or [ALPHAS.get(activation, wanted)]) and not any(betas)


@importer("Concat")
def concat(reading: Reading, node: Node) -> Found:
    """Read both last states of an `LSTM` side by side, or extents."""
    if not any(isinstance(reading.any(node, place), Value) for place in range(len(node.inputs))):
        return join(reading, node)
    if len(node.inputs) != 2:
        node.refuse("nnx joins the two last states of an LSTM, and nothing else")
    h, c = (reading.value(node, place) for place in (0, 1))
    axis = node.option("axis", 0)
    rank = len(h.axes)
    step = reading.trunk.last_step(h)
    states = step is not None and step.is_a(Recurrent) and step.options["return_state"]
    if not states or (h.part, c.part) != ("Y_h", "Y_c") or h.place is not c.place or axis % rank != rank - 1:
        node.refuse("nnx joins h and c of one LSTM along their last axis, and nothing else")
    return h.seen_as([*h.axes[:-1], whole(h.layout.settle()[-1])])


def chosen(reading: Reading, node: Node) -> Found:
    """Read `Gather` of extents, or of both directions of a layer the other way round."""
    if isinstance(reading.any(node, 0), Extents):
        return take(reading, node)
    y, places = reading.value(node, 0), reading.whole_numbers(node, 1)
    step, axis = reading.trunk.last_step(y), node.option("axis", 0)
    if not _is_sides(y, step, axis) or places != [1, 0]:
        node.refuse("nnx takes rows of a table by tokens, and nothing else of arrays")
    assert step is not None
    layer = step.options["layer"]
    layer.options["go_backwards"] = not layer.options.get("go_backwards", False)
    step.weights = {f"{1 - int(name[0])}{name[1:]}": array for name, array in step.weights.items()}
    return y


@importer("ReduceSum")
def reduce_sum(reading: Reading, node: Node) -> Value:
    """Read the sum of both directions."""
    y, axes = reading.value(node, 0), reading.whole_numbers(node, 1)
    step = reading.trunk.last_step(y)
    if axes is None or len(axes) != 1 or not _is_sides(y, step, axes[0]):
        node.refuse("nnx adds the two directions of a Bidirectional layer, and sums nothing else")
    assert step is not None
    step.options["merge"] = "sum"
    side: Atom = whole(y.axes[axes[0]])[0]
    layout = Layout([tuple(atom for atom in whole(group) if atom is not side) for group in y.layout.settle()], [])
    kept = [() if group == (side,) else group for group in y.axes]
    if not node.option("keepdims", 1):
        kept = [group for group in y.axes if group != (side,)]
    return Value(y.place, kept, layout)


def _is_sides(y: Value, step: Step | None, axis: int) -> bool:
    """Tell whether an axis is that of both directions, which have not been joined yet."""
    if (
        step is None
        or not step.is_a(Bidirectional)
        or "merge" in step.options
        or not -len(y.axes) <= axis < len(y.axes)
    ):
        return False
    group = whole(y.axes[axis])
    return len(group) == 1 and group[0].size == 2 and group[0] in flat(y.layout.settle()[-1:])[:1]

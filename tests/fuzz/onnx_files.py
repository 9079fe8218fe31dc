"""ONNX files, well formed but senseless: nodes, attributes, shapes and names exchanged and changed."""

from __future__ import annotations

from typing import Any

from tests.fuzz.damage import Corpus, Random, pick

_NUMBERS = (0, 1, -1, 2, 3, 7, 16, 2**31 - 1, 2**31, -(2**63), 2**63 - 1, 10**12)
_OPERATORS = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "Conv", "Dropout", "Expand", "Flatten", "Gather", "Gemm", "GRU"),
    *("Identity", "If", "LSTM", "MatMul", "MaxPool", "Mul", "ReduceMean", "ReduceSum", "Reshape", "RNN", "Shape"),
    *("Slice", "Softmax", "Squeeze", "Sum", "Transpose", "Unsqueeze", "\x1b[2J" * 1000, ""),
)
_NAMES = ("x", "y", "lengths", "", "\u202e", "0.weight", "n" * 100_000)


def rewire(random: Random, corpus: Corpus) -> bytes:
    """Change one to four things in a file."""
    import onnx

    message = onnx.ModelProto.FromString(pick(random, corpus))
    for _ in range(int(random.integers(1, 5))):
        change = _CHANGES[int(random.integers(len(_CHANGES)))]
        change(random, message)
    return message.SerializeToString()


def _any(random: Random, items: Any) -> Any:
    return items[int(random.integers(len(items)))]


def _number(random: Random) -> int:
    return int(_any(random, _NUMBERS))


def _operator(random: Random, message: Any) -> None:
    _any(random, message.graph.node).op_type = _any(random, _OPERATORS)


def _input(random: Random, message: Any) -> None:
    node, other = (_any(random, message.graph.node) for _ in range(2))
    names = (*_NAMES, *other.input, *other.output, *(item.name for item in message.graph.initializer))
    if node.input and random.random() < 0.8:
        node.input[int(random.integers(len(node.input)))] = _any(random, names)
    else:
        node.input.append(_any(random, names))


def _output(random: Random, message: Any) -> None:
    node = _any(random, message.graph.node)
    if node.output:
        node.output[0] = _any(random, _NAMES)


def _attribute(random: Random, message: Any) -> None:
    node = _any(random, message.graph.node)
    for item in node.attribute:
        if random.random() < 0.5:
            item.i, item.f = _number(random), float(_number(random)) * random.choice([1.0, 1e300, float("nan")])
            if item.ints:
                item.ints[int(random.integers(len(item.ints)))] = _number(random)
            item.type = int(random.integers(15)) if random.random() < 0.2 else item.type


def _tensor(random: Random, message: Any) -> None:
    if not message.graph.initializer:
        return
    tensor = _any(random, message.graph.initializer)
    choice = int(random.integers(5))
    if choice == 0:
        tensor.dims[:] = [_number(random) for _ in range(int(random.integers(20)))]
    elif choice == 1:
        tensor.data_type = int(random.integers(30))
    elif choice == 2:
        tensor.raw_data = tensor.raw_data[: int(random.integers(len(tensor.raw_data) + 1))]
    elif choice == 3:
        tensor.dims[:] = list(tensor.dims)[::-1] if random.random() < 0.5 else [*tensor.dims, 1]
    else:
        tensor.raw_data = random.bytes(len(tensor.raw_data))


def _shape(random: Random, message: Any) -> None:
    dims = _any(random, message.graph.input).type.tensor_type.shape.dim
    if not dims or random.random() < 0.2:
        dims.add(dim_value=_number(random))
    else:
        _any(random, dims).dim_value = _number(random)


def _order(random: Random, message: Any) -> None:
    nodes = list(message.graph.node)
    random.shuffle(nodes)  # type: ignore[arg-type]
    del message.graph.node[:]
    message.graph.node.extend(nodes[: len(nodes) - int(random.integers(2))])


def _repeat(random: Random, message: Any) -> None:
    node = _any(random, message.graph.node)
    message.graph.node.extend([node] * (1 if random.random() < 0.9 else 2000))


def _fact(random: Random, message: Any) -> None:
    for item in message.metadata_props:
        item.value = _any(random, ("[" * 5000, "{", "[1e99]", "[2, null]", '{"a": 1}', "9" * 5000, "[-1, 0]"))


_CHANGES = (
    _operator,
    _input,
    _input,
    _output,
    _attribute,
    _attribute,
    _tensor,
    _tensor,
    _shape,
    _order,
    _repeat,
    _fact,
)

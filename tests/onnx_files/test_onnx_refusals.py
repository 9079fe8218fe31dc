"""Files that are damaged, hostile or beyond nnx are refused in one sentence, before anything is allocated."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import nnx
from nnx.errors import (
    DivergenceError,
    FileFormatError,
    MissingLibraryError,
    NotBuiltError,
    OptionError,
    UnsupportedOperatorError,
    VersionError,
)


def small(seed: int = 0) -> nnx.Sequential:
    layers = [nnx.Conv2D(2, 2, activation="relu"), nnx.Flatten(), nnx.Dense(2)]
    return nnx.Sequential(layers, seed=seed, input_shape=(3, 3, 1), backend="numpy")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    small().export_onnx(tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def change(path: Path, how: Callable[[Any], object]) -> None:
    message = onnx.load(path)
    how(message)
    path.write_bytes(message.SerializeToString())


def node(message: Any, operator: str) -> Any:
    return next(item for item in message.graph.node if item.op_type == operator)


def rename(message: Any) -> None:
    node(message, "Conv").op_type = "ConvTranspose"


def elsewhere(message: Any) -> None:
    tensor = message.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def attribute(operator: str, name: str, value: Any) -> Callable[[Any], None]:
    def set_it(message: Any) -> None:
        item = node(message, operator)
        kept = [attribute for attribute in item.attribute if attribute.name != name]
        del item.attribute[:]
        item.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return set_it


def grow(message: Any) -> None:
    message.graph.initializer[0].dims[:] = [10**5, 10**5, 10**5]


def loop_back(message: Any) -> None:
    message.graph.node[0].input[0] = message.graph.node[-1].output[0]


def branch(message: Any) -> None:
    message.graph.node[-1].input[0] = message.graph.node[0].output[0]


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        (
            rename,
            UnsupportedOperatorError,
            r"node '0\.Conv', ConvTranspose: nnx has no layer for it; it reads Add,",
        ),
        (elsewhere, FileFormatError, "lies in another file, which is not read"),
        (grow, FileFormatError, "has 8 values"),
        (loop_back, FileFormatError, "nothing before it makes its input 'y'"),
        (branch, FileFormatError, "its input goes another way too"),
        (attribute("Conv", "group", 7), FileFormatError, "1 channels do not fit weights"),
        (attribute("Conv", "group", "x"), FileFormatError, "group should be of int, got 'x'"),
        (attribute("Conv", "pads", [-1, 0, 0, 0]), UnsupportedOperatorError, "pads must be 4 whole numbers"),
        (attribute("Conv", "strides", [10**12, 1]), FileFormatError, "do not fit weights"),
        (attribute("Gemm", "transA", 1), UnsupportedOperatorError, r"node '2\.Gemm', Gemm: nnx has no layer that"),
        (lambda message: message.graph.input.pop(), FileFormatError, "expected one input and one output"),
        (lambda message: setattr(message.opset_import[0], "version", 7), VersionError, "version 13 to 28, got 7"),
        (lambda message: setattr(node(message, "Conv"), "domain", "my.own"), FileFormatError, r"my\.own\.Conv"),
    ],
)
def test_what_cannot_be_read_is_named(
    written: Path, how: Callable[[Any], object], error: type[Exception], sentence: str
) -> None:
    change(written, how)
    with pytest.raises(error, match=sentence) as caught:
        nnx.onnx.load(written, "numpy")
    assert str(caught.value).startswith(f"{written}: ")


@pytest.mark.parametrize("contents", [b"", b"\xff" * 64, b"\x08\x09", b"PK\x03\x04" + bytes(100)])
def test_other_files_are_refused(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(contents)
    with pytest.raises(FileFormatError, match="expected an ONNX file"):
        nnx.onnx.load(tmp_path / "m.onnx")
    with pytest.raises(FileFormatError, match="there is no such file"):
        nnx.onnx.load(tmp_path / "absent.onnx")


def test_a_truncated_file_is_refused(written: Path) -> None:
    data = written.read_bytes()
    for length in range(1, len(data), 97):
        written.write_bytes(data[:length])
        with pytest.raises(FileFormatError):
            nnx.onnx.load(written)


def test_claims_of_terabytes_are_refused_before_anything_is_allocated(written: Path) -> None:
    change(written, grow)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="has 8 values"):
            nnx.onnx.load(written, "numpy")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_layer_of_ones_own_is_named_and_can_be_written(tmp_path: Path) -> None:
    class Twice(nnx.Layer):
        def forward(self, x: Any, context: nnx.Context) -> Any:
            del context
            return self.ops.add(x, x), lambda dy: self.ops.add(dy, dy)

    model = nnx.Sequential([nnx.Dense(2), Twice()], input_shape=(3,), backend="numpy")
    with pytest.raises(
        OptionError, match=r"layer 1, Twice\(\), cannot be exported: .*@nnx\.onnx\.exporter\(Twice\)"
    ):
        model.export_onnx(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())

    @nnx.onnx.exporter(Twice)
    def write(graph: nnx.onnx.Graph, layer: Twice, x: nnx.onnx.Value) -> nnx.onnx.Value:
        del layer
        name = graph.last(x)
        return nnx.onnx.Value(x.shape, graph.emit("Add", name, name)[0])

    from tests.onnx_files.runtimes import predict, require_close

    x = np.ones((2, 3), "float32")
    model.export_onnx(tmp_path / "m.onnx")
    require_close(predict(tmp_path / "m.onnx", x=x), model.predict(x))


def test_mistakes_are_named_and_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(NotBuiltError):
        nnx.Sequential([nnx.Dense(2)]).export_onnx(path)
    with pytest.raises(OptionError, match=r"lengths=True needs a model of sequences .* Layer 0, Conv2D"):
        small().export_onnx(path, lengths=True)
    with pytest.raises(OptionError, match="must lie in a folder that exists"):
        small().export_onnx(tmp_path / "absent" / "m.onnx")
    with pytest.raises(OptionError, match="exporter expects classes of layers"):
        nnx.onnx.exporter(nnx.Adam)  # type: ignore[arg-type]
    broken = small()
    broken.store.values[...] = np.nan
    with pytest.raises(DivergenceError, match=r"0\.weight holds NaN"):
        broken.export_onnx(path)
    assert not list(tmp_path.iterdir())


def test_a_missing_library_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'nnx-framework\[onnx\]'"):
        small().export_onnx(tmp_path / "m.onnx")
    with pytest.raises(MissingLibraryError, match="onnx is needed for ONNX files"):
        nnx.onnx.load(tmp_path / "m.onnx")

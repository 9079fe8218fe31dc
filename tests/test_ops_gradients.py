"""What comes back through operations fits what went in, or is refused: compiled code trusts shapes and dtypes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from nnx import Backend
from nnx.errors import DtypeError, ShapeError
from nnx.interface import Window
from nnx.ops import Ops
from nnx.ops.recurrent import GruRun, LstmRun

F64 = "float64"


def test_gradients_that_do_not_fit_are_refused_before_the_kernel_runs(backend: Backend) -> None:
    """A layer of one's own may pass on anything; a compiled kernel would read beyond the shorter array."""
    ops = Ops(backend, F64)

    def ones(*shape: int, dtype: str = F64) -> Any:
        return ops.asarray(np.ones(shape), dtype)

    x, y, w, b = ones(6, 4), ones(6, 3), ones(4, 3), ones(3)
    image, places, taps, window = ones(2, 5, 4, 2), ones(2, 4, 3, 3), ones(2, 2, 2, 3), Window((2, 2))
    index, pooled = ones(2, 4, 3, 2, dtype="int32"), ones(2, 4, 3, 2)
    rows, states, u, lengths = ones(6), ones(2, 5, 3), ones(3, 3), ops.asarray([5, 2], "int64")

    def linear(x: Any = x, y: Any = y, dy: Any = y, dw: Any = w, db: Any = b) -> None:
        ops.linear_backward(x, y, dy, w, dw, db, "relu", 0.0, True)

    def conv2d(x: Any = image, y: Any = places, dy: Any = places, dw: Any = taps, db: Any = b) -> None:
        ops.conv2d_backward(x, y, dy, taps, dw, db, window, 1, "relu", 0.0, True)

    def normalise(
        gamma: Any = b, mean: Any = b, rstd: Any = b, dy: Any = y, dgamma: Any = b, dbeta: Any = b
    ) -> None:
        ops.batch_norm_backward(y, gamma, mean, rstd, dy, (dgamma, dbeta), True)

    def layer(mean: Any = rows, rstd: Any = rows, dgamma: Any = b, dy: Any = y) -> None:
        ops.layer_norm_backward(y, b, mean, rstd, dy, (dgamma, b), True)

    def elman(lengths: Any = lengths, h0: Any = None, y: Any = states, dy: Any = states, du: Any = u) -> None:
        ops.simple_rnn_backward(u, lengths, h0, y, dy, None, du, "tanh", 0.0, False)

    short, narrow, single = ones(1, 3), ones(6, 2), ones(6, 3, dtype="float32")
    refused = [
        *(functools.partial(linear, dy=wrong) for wrong in (short, narrow, single)),
        *(functools.partial(linear, y=wrong, dy=wrong) for wrong in (short, narrow, single)),
        *(functools.partial(linear, x=wrong) for wrong in (ones(1, 4), narrow, ones(6, 4, dtype="float32"))),
        functools.partial(linear, dw=ones(4, 2)),
        functools.partial(linear, db=ones(2)),
        lambda: ops.linear(x, w, ones(2)),
        lambda: ops.activate_backward(y, short, short, "tanh", 0.0),
        lambda: ops.activate_backward(y, y, single, "tanh", 0.0),
        lambda: ops.softmax_backward(y, single),
        lambda: ops.log_softmax_backward(y, short),
        *(functools.partial(conv2d, dy=wrong) for wrong in (pooled, ones(2, 4, 2, 3))),
        functools.partial(conv2d, y=ones(1, 4, 3, 3), dy=ones(1, 4, 3, 3)),
        functools.partial(conv2d, x=ones(1, 5, 4, 2)),
        functools.partial(conv2d, dw=ones(2, 2, 1, 3)),
        functools.partial(conv2d, db=ones(2)),
        lambda: ops.conv2d(image, taps, ones(2), window),
        *(functools.partial(normalise, **{name: ones(2)}) for name in ("gamma", "mean", "rstd", "dgamma", "dbeta")),
        *(functools.partial(normalise, dy=wrong) for wrong in (short, single)),
        lambda: ops.batch_norm(y, b, b, ones(2), b, 0.9, 1e-5),
        lambda: ops.batch_norm_infer(y, b, b, b, ones(2), 1e-5),
        lambda: ops.layer_norm(y, b, ones(2), 1e-5),
        *(functools.partial(layer, **{name: ones(2)}) for name in ("mean", "rstd", "dgamma")),
        functools.partial(layer, dy=short),
        lambda: ops.max_pool_backward(image, index[:1, ...], pooled[:1, ...], window),
        lambda: ops.max_pool_backward(image, pooled, pooled, window),
        lambda: ops.max_pool_backward(image, index, ones(2, 4, 3, 2, dtype="float32"), window),
        lambda: ops.average_pool_backward(image, ones(2, 4, 3, 2, dtype="float32"), window),
        functools.partial(elman, lengths=lengths[:1, ...]),
        functools.partial(elman, h0=ones(1, 3)),
        functools.partial(elman, y=ones(2, 5, 2), dy=None),
        functools.partial(elman, dy=ones(2, 4, 3)),
        functools.partial(elman, du=ones(3, 2)),
        lambda: ops.mean_squared_error(y, y, ones(2), True),
        lambda: ops.mean_squared_error(y, single, None, True),
        lambda: ops.softmax_cross_entropy(y, ops.asarray(np.zeros(6), "int64"), ones(1), 0.0, True),
    ]
    fitting = (linear, conv2d, normalise, layer, elman)
    for function in fitting:
        function()
    with ops.recording() as tape:
        for function in refused:
            with pytest.raises((ShapeError, DtypeError), match=r"expects .* got "):
                function()
    assert tape.calls == []


def test_what_a_gated_network_left_behind_is_compared_with_its_gradients(backend: Backend) -> None:
    ops = Ops(backend, F64)
    xw, u, z_xw, z_u = (ops.asarray(np.ones(shape)) for shape in ((2, 5, 12), (3, 12), (2, 5, 9), (3, 9)))
    lstm, gru = ops.lstm(xw, u, None, None, None, False), ops.gru(z_xw, z_u, None, None, None, False)

    def back_lstm(run: LstmRun) -> None:
        ops.lstm_backward(u, None, None, None, run, lstm.y, None, None, ops.like(u), False)

    def back_gru(run: GruRun, db: Any = None) -> None:
        ops.gru_backward(z_u, None, None, run, gru.y, None, ops.like(z_u), db, False)

    back_lstm(lstm)
    back_gru(gru)
    with pytest.raises(ShapeError, match=r"lstm_backward expects gates \(2, 5, 12\), got \(1, 5, 12\)"):
        back_lstm(lstm._replace(gates=lstm.gates[:1, ...]))
    with pytest.raises(ShapeError, match=r"lstm_backward expects cells \(2, 5, 3\), got \(1, 5, 3\)"):
        back_lstm(lstm._replace(cells=lstm.cells[:1, ...]))
    with pytest.raises(ShapeError, match=r"gru_backward expects gates \(2, 5, 12\), got \(1, 5, 12\)"):
        back_gru(gru._replace(gates=gru.gates[:1, ...]))
    with pytest.raises(ShapeError, match=r"gru_backward expects db \(9,\), got \(3,\)"):
        back_gru(gru, ops.asarray(np.ones(3)))
    with pytest.raises(ShapeError, match=r"gru expects b \(9,\), got \(3,\)"):
        ops.gru(z_xw, z_u, ops.asarray(np.ones(3)), None, None, False)

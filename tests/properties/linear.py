"""Laws of products and tables, and of layers made of layers."""

from __future__ import annotations

import numpy as np

import nnx
from nnx.layers import Chain
from tests.properties.laws import Trial, law
from tests.properties.values import Values, require_close, require_same

CONVOLUTIONS = ("Conv1D", "Conv2D")


@law("Dense", *CONVOLUTIONS)
def maps_without_bias_are_homogeneous(trial: Trial) -> None:
    """Powers of two change no digit; relu goes along where they are positive."""
    kind, dtype = trial.among("identity", "relu"), trial.dtype()
    subject = trial.subject(bias=False, activation=kind)
    bench, x, factor = trial.bench(subject, dtype), trial.inputs(subject, 5, dtype), 2.0 ** trial.integer(-20, 20)
    dy = trial.numbers((5, *bench.output_shape), dtype)
    y, dx = bench.run(x, dy)
    gradient = bench.gradient("weight")
    y_scaled, dx_scaled = bench.run(factor * x, dy)
    require_same(y_scaled, factor * y, f"{subject} of {factor} x")
    require_same(dx_scaled, dx, f"gradients of {subject}")
    require_same(bench.gradient("weight"), factor * gradient, f"weights' gradients of {subject}")


@law("Dense", *CONVOLUTIONS)
def maps_without_activation_are_affine(trial: Trial) -> None:
    subject = trial.subject(activation="identity")
    bench, (one, two) = trial.bench(subject), (trial.inputs(subject, 5, "float64") for _ in range(2))
    y_one, y_two, y_sum, y_zero = (bench.run(x)[0] for x in (one, two, one + two, 0 * one))
    require_close(y_sum + y_zero, y_one + y_two, f"{subject}")
    if subject.layer.bias:
        expected = np.broadcast_to(bench.value("bias"), y_zero.shape)
        require_same(np.ascontiguousarray(y_zero), np.ascontiguousarray(expected), f"{subject} of zeros")


@law("Dense")
def a_feature_without_weights_has_no_gradient(trial: Trial) -> None:
    subject = trial.subject()
    bench, x = trial.bench(subject), trial.inputs(subject, 5, "float64")
    weight, unused = bench.value("weight"), trial.integer(0, subject.shape[-1] - 1)
    weight[unused] = 0
    bench.set("weight", weight)
    y, dx = bench.run(x, trial.numbers((5, *bench.output_shape)))
    assert (dx[..., unused] == 0).all()
    x[..., unused] = 77
    require_same(bench.run(x)[0], y, f"{subject} with another unused feature")


@law("Dense")
def every_step_is_mapped_like_an_example(trial: Trial) -> None:
    subject, dtype = trial.subject(), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype)
    flat = trial.mount(_fresh(subject.layer), subject.shape[-1:], dtype)
    y, _ = bench.run(x)
    require_same(flat.run(x.reshape(-1, subject.shape[-1]))[0].reshape(y.shape), y, f"{subject}")


def _fresh(layer: nnx.Layer) -> nnx.Layer:
    """Return an equal layer that is not built."""
    return type(layer)(**layer.config())


@law("Embedding")
def an_embedding_is_the_product_of_one_hot_rows_with_its_table(trial: Trial) -> None:
    subject, dtype = trial.subject(), trial.dtype()
    bench, tokens = trial.bench(subject, dtype), trial.inputs(subject, trial.among(0, 1, 5, 33), dtype)
    table, hot = bench.value("table"), np.eye(subject.vocabulary, dtype=dtype)[tokens]
    bench.store.gradients[...] = float("nan")
    dy = trial.numbers((len(tokens), *bench.output_shape), dtype, ("ties",))
    y, _ = bench.run(tokens, dy)
    require_same(y, hot @ table, f"{subject} of {tokens}")
    # sums of small whole numbers are exact in any order
    expected = hot.reshape(-1, subject.vocabulary).T @ dy.reshape(-1, table.shape[1])
    require_same(bench.gradient("table"), expected.astype(dtype), f"the table's gradient of {subject}")


@law("Residual")
def a_residual_adds_its_layers_to_its_input(trial: Trial) -> None:
    subject = trial.subject()
    inner = trial.mount(Chain([_fresh(layer) for layer in subject.layer.layers]), subject.shape)
    bench, x = trial.bench(subject), trial.inputs(subject, 5, "float64")
    dy = trial.numbers(x.shape)
    (y, dx), (f, df) = bench.run(x, dy), inner.run(x, dy)
    require_same(y, x + f, f"{subject}")
    require_same(dx, dy + df, f"gradients of {subject}")


@law("TimeDistributed")
def steps_of_a_time_distributed_layer_are_examples(trial: Trial) -> None:
    subject, rows = trial.subject(), trial.among(0, 1, 5)
    inner = trial.mount(Chain([_fresh(layer) for layer in subject.layer.layers]), subject.shape[1:])
    bench, x = trial.bench(subject), trial.inputs(subject, rows, "float64")
    dy = trial.numbers((rows, *bench.output_shape))
    (y, dx), (y_inner, dx_inner) = bench.run(x, dy), inner.run(_folded(x), _folded(dy))
    require_same(_folded(y), y_inner, f"{subject}")
    require_same(_folded(dx), dx_inner, f"gradients of {subject}")


def _folded(x: Values) -> Values:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


@law("Chain")
def a_chain_is_its_layers_one_after_another(trial: Trial) -> None:
    subject = trial.subject()
    bench, x = trial.bench(subject), trial.inputs(subject, 5, "float64")
    y, dx = bench.run(x, trial.numbers((5, *bench.output_shape)))
    step = bench.array(x)
    for layer in bench.layer.layers:
        step, _ = layer.forward(step, bench.context())
    require_same(y, bench.host(step), f"{subject}")
    assert bench.output_shape == (bench.layer.shapes[-1] if bench.layer.shapes else subject.shape)
    assert dx.shape == x.shape

"""Laws of activations, normalisations, dropout and the layers that only change the shape."""

from __future__ import annotations

import numpy as np

from nnx.interface import ELEMENTWISE
from tests.properties.laws import Trial, law
from tests.properties.values import FINITE, require_close, require_same

NORMS = ("BatchNorm", "LayerNorm")


@law("Activation")
def relu_and_its_kin_are_positively_homogeneous(trial: Trial) -> None:
    subject, dtype = trial.subject(activation=trial.among("relu", "leaky_relu", "identity")), trial.dtype()
    bench, x, factor = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype), 2.0 ** trial.integer(-20, 20)
    (y, dx), (y_scaled, dx_scaled) = bench.run(x, x), bench.run(factor * x, x)
    require_same(y_scaled, factor * y)
    require_same(dx_scaled, dx, "slopes")


@law("Activation")
def curves_that_are_symmetric_about_a_point_are_so(trial: Trial) -> None:
    """Of sigmoid f(x) + f(-x) = 1, of tanh 0; of softplus, gelu and silu f(x) - f(-x) = x."""
    name = trial.among("sigmoid", "tanh", "softplus", "gelu", "silu")
    subject, dtype = trial.subject(activation=name), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype, FINITE)
    (y, _), (mirrored, _) = bench.run(x), bench.run(-x)
    constant = {"sigmoid": 1.0, "tanh": 0.0}.get(name)
    got, expected = (y - mirrored, x) if constant is None else (y + mirrored, np.full_like(x, constant))
    # both values are within 4 ulp, as the conformance kit asks, and so is their sum; below normal numbers the
    # spacing is constant, and engines may flush
    allowed = 8 * np.finfo(dtype).eps * np.maximum(np.abs(y), np.abs(mirrored)) + 16 * np.finfo(dtype).tiny
    assert (np.abs(got - expected) <= allowed).all(), f"{subject}: {got} instead of {expected} at {x}"


@law("Activation")
def values_and_slopes_of_finite_numbers_are_numbers_within_their_range(trial: Trial) -> None:
    subject, dtype = trial.subject(), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype, FINITE)
    y, dx = bench.run(x, trial.numbers(x.shape, dtype))
    low, high = {
        "relu": (0, np.inf),
        "sigmoid": (0, 1),
        "tanh": (-1, 1),
        "softplus": (0, np.inf),
        "softmax": (0, 1),
        "log_softmax": (-np.inf, 0),
    }.get(subject.layer.activation, (-np.inf, np.inf))
    assert ((low <= y) & (y <= high)).all(), f"{subject} of {x}: {y}"
    assert not np.isnan(dx).any(), f"slopes of {subject} at {x}: {dx}"
    if subject.layer.activation != "log_softmax":  # differences of the largest numbers are infinite
        assert np.isfinite(y).all(), f"{subject} of {x}: {y}"


@law("Activation")
def an_element_is_mapped_alike_wherever_it_stands(trial: Trial) -> None:
    """Vectors, their tails and single elements are computed alike, forward and backward."""
    subject, dtype = trial.subject(activation=trial.among("identity", *ELEMENTWISE)), trial.dtype()
    size = trial.integer(1, 40)
    x = trial.numbers((1, size), dtype, FINITE)
    whole = trial.mount(subject.layer, (size,), dtype)
    (y, dx), (y_turned, dx_turned) = whole.run(x, x), whole.run(x[:, ::-1], x[:, ::-1])
    require_same(y_turned, y[:, ::-1], f"{subject} of {x}")
    require_same(dx_turned, dx[:, ::-1], f"slopes of {subject} at {x}")


@law("Activation")
def a_shift_of_all_features_changes_no_probability(trial: Trial) -> None:
    """With whole numbers the shift costs no digit."""
    subject, dtype = trial.subject(activation=trial.among("softmax", "log_softmax")), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.numbers((5, *subject.shape), dtype, ("ties",))
    (y, _), (moved, _) = bench.run(x), bench.run(x + trial.integer(-1000, 1000))
    if subject.layer.activation == "softmax":
        require_same(moved, y, f"{subject}")
        # a sum of F terms that are each rounded
        assert np.allclose(y.sum(-1), 1, rtol=0, atol=(subject.shape[-1] + 4) * np.finfo(dtype).eps)
    else:
        # the logarithm of the sum is rounded once more where it is added to the shifted largest
        assert np.allclose(moved, y, rtol=0, atol=4 * np.finfo(dtype).eps * 1000)


@law(*NORMS)
def a_power_of_two_before_a_norm_changes_nothing_when_eps_follows(trial: Trial) -> None:
    subject, dtype, power = trial.subject(), trial.dtype(), trial.integer(-8, 8)
    x, factor, eps = trial.inputs(subject, trial.among(1, 2, 17), dtype), 2.0**power, 2.0**-16
    dy = trial.numbers(x.shape, dtype)
    found = []
    for scale in (1.0, factor):
        bench = trial.mount(type(subject.layer)(eps=eps * scale**2), subject.shape, dtype)
        y, dx = bench.run(scale * x, dy)
        found.append((y, scale * dx, bench.gradient("gamma"), bench.gradient("beta")))
    for got, expected in zip(*reversed(found), strict=True):
        require_same(got, expected, f"{subject} after a factor of {factor}")


@law(*NORMS)
def a_shift_before_a_norm_changes_nothing(trial: Trial) -> None:
    subject = trial.subject()
    x, dy = (trial.inputs(subject, trial.among(2, 17), "float64") for _ in range(2))
    dy = np.resize(dy, x.shape)
    bench = trial.bench(subject)
    (y, dx), (y_moved, dx_moved) = bench.run(x, dy), bench.run(x + trial.integer(-100, 100), dy)
    # the digits below those of the shift are lost, and divided by sqrt(eps) at most: 100 eps / sqrt(1e-5) = 7e-12
    require_close(y_moved, y, f"{subject}")
    # ... and by eps where they meet a gradient that cancels
    require_close(dx_moved * 1e-5, dx * 1e-5, f"{subject}")


@law(*NORMS)
def normalised_values_have_mean_zero_and_variance_one_less_what_eps_takes(trial: Trial) -> None:
    subject, rows = trial.subject(), trial.among(1, 2, 33)
    bench, x = trial.bench(subject), trial.inputs(subject, rows, "float64")
    bench.set("gamma", np.ones(subject.shape[-1]))
    bench.set("beta", np.zeros(subject.shape[-1]))
    y, _ = bench.run(x)
    axes = tuple(range(x.ndim - 1)) if trial.name == "BatchNorm" else -1
    var = x.var(axes)
    require_close(y.mean(axes), np.zeros_like(var), "means")
    require_close(y.var(axes), var / (var + subject.layer.eps), "variances")


@law("Dropout", "SpatialDropout")
def dropout_keeps_or_clears_alike_forward_and_backward(trial: Trial) -> None:
    """The mask depends on no value and no dtype; what is kept is multiplied, what is dropped is 0 even if NaN."""
    subject, dtype, rows = trial.subject(), trial.dtype(), trial.among(0, 1, 5, 33)
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, rows, dtype)
    bench.layer._step[...] = trial.integer(0, 2**40)
    ones, kept = np.ones_like(x), bench.run(np.ones_like(x))[0] != 0
    scale = 65536 / bench.layer._threshold
    y, dx = bench.run(np.where(kept, x, np.nan), x)
    require_same(y, np.where(kept, x * np.asarray(scale, dtype), 0), f"{subject}")
    require_same(dx, y, f"gradients of {subject}")
    require_same(bench.run(ones, train=False)[0], ones, f"prediction of {subject}")
    if trial.name == "SpatialDropout" and rows:
        places = kept.reshape(rows, -1, subject.shape[-1])
        assert (places == places[:, :1]).all(), f"{subject} drops parts of a channel"


@law("Flatten", "Reshape")
def shapes_change_and_elements_keep_their_order(trial: Trial) -> None:
    subject, dtype = trial.subject(), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, trial.among(0, 1, 5), dtype, FINITE)
    x.reshape(-1)[::3] = np.nan
    y, dx = bench.run(x, x.reshape(len(x), *bench.output_shape))
    assert y.tobytes() == dx.tobytes() == x.tobytes()

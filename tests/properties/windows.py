"""Laws of convolution and pooling."""

from __future__ import annotations

import itertools

import numpy as np

import nnx
from nnx import Layer
from tests.properties.laws import Trial, law
from tests.properties.linear import CONVOLUTIONS
from tests.properties.subjects import Subject
from tests.properties.values import FINITE, Values, require_close, require_same

LARGEST, AVERAGES = ("MaxPool1D", "MaxPool2D"), ("AveragePool1D", "AveragePool2D")
GLOBAL = ("GlobalAveragePool1D", "GlobalAveragePool2D")
IMAGES = {"Conv1D": nnx.Conv2D, "MaxPool1D": nnx.MaxPool2D, "AveragePool1D": nnx.AveragePool2D}


@law(*CONVOLUTIONS)
def a_moved_image_gives_moved_outputs(trial: Trial) -> None:
    """Without padding, one step of the window is one place of the outputs."""
    subject = trial.subject(padding="valid", kernel_size=1)
    layer, axes = subject.layer, subject.layer.axes
    strides = layer.strides if isinstance(layer.strides, tuple) else (layer.strides,) * axes
    shape = (*(extent + stride for extent, stride in zip(subject.shape, strides, strict=False)), subject.shape[-1])
    bench = trial.mount(layer, shape)
    x = trial.numbers((3, *shape))
    moved = np.roll(x, [-stride for stride in strides], tuple(range(1, 1 + axes)))
    inner = [slice(None), *(slice(0, extent - 1) for extent in bench.output_shape[:-1])]
    later = [slice(None), *(slice(1, None) for _ in range(axes))]
    require_close(bench.run(moved)[0][tuple(inner)], bench.run(x)[0][tuple(later)], f"{subject}")


@law(*CONVOLUTIONS)
def a_window_of_one_pixel_is_a_dense_layer(trial: Trial) -> None:
    subject = trial.subject(kernel_size=1, strides=1, padding="valid", groups=1)
    layer, x = subject.layer, trial.inputs(subject, 3, "float64")
    bench = trial.bench(subject)
    dense = trial.mount(nnx.Dense(layer.filters, layer.activation, bias=layer.bias), subject.shape)
    dy = trial.numbers((3, *bench.output_shape))
    for got, expected in zip(bench.run(x, dy), dense.run(x, dy), strict=True):
        require_close(got, expected, f"{subject}")


@law(*CONVOLUTIONS)
def groups_are_convolutions_of_their_own(trial: Trial) -> None:
    subject = trial.subject(bias=False, activation="identity")
    layer, groups, x = subject.layer, subject.layer.groups, trial.inputs(subject, 3, "float64")
    bench, options = trial.bench(subject), {**subject.layer.config(), "groups": 1}
    channels, filters = subject.shape[-1] // groups, layer.filters // groups
    y, weight = bench.run(x)[0], bench.value("weight")
    for group in range(groups):
        mine, ours = slice(group * channels, (group + 1) * channels), slice(group * filters, (group + 1) * filters)
        part = trial.mount(type(layer)(**{**options, "filters": filters}), (*subject.shape[:-1], channels))
        part.set("weight", weight[..., ours])
        require_close(part.run(x[..., mine])[0], y[..., ours], f"group {group} of {subject}")


@law(*IMAGES)
def a_sequence_is_an_image_of_one_row(trial: Trial) -> None:
    subject, dtype = trial.subject(), trial.dtype()
    bench, x, image = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype), _image_layer(subject.layer)
    wide = trial.mount(image, (1, *subject.shape), dtype)
    dy = trial.numbers((3, *bench.output_shape), dtype)
    for got, expected in zip(bench.run(x, dy), wide.run(x[:, None], dy[:, None]), strict=True):
        require_same(got, expected[:, 0], f"{subject}")


def _image_layer(layer: Layer) -> Layer:
    """Return the layer of images that does along their width what a layer of sequences does along the steps."""
    options = layer.config()
    for name in ("kernel_size", "pool_size", "strides", "dilation_rate"):
        if options.get(name) is not None:
            options[name] = (1, options[name])
    if isinstance(options["padding"], int):
        options["padding"] = ((options["padding"], options["padding"]),)
    if isinstance(options["padding"], tuple):
        options["padding"] = ((0, 0), *options["padding"])
    return IMAGES[type(layer).__name__](**options)


@law(*CONVOLUTIONS, *LARGEST, *AVERAGES)
def pixels_that_no_window_holds_matter_to_nothing(trial: Trial) -> None:
    subject = trial.subject()
    bench, x = trial.bench(subject), trial.inputs(subject, 2, "float64")
    unread = ~_read(subject)
    y, dx = bench.run(x, trial.numbers((2, *bench.output_shape)))
    assert (dx[:, unread] == 0).all(), f"{subject}: gradients of pixels that are not read"
    x[:, unread] = np.nan
    require_same(bench.run(x)[0], y, f"{subject} with other unread pixels")


def _read(subject: Subject) -> Values:
    """Return which pixels lie in a window, (H, W) or (T,), by counting."""
    layer, axes = subject.layer, subject.layer.axes
    extents = (1, subject.shape[0]) if axes == 1 else subject.shape[:2]
    window, read = layer.frame.window(*extents), np.zeros(extents, bool)
    taps = [range(size) for size in window.size]
    places = [range(count) for count in window.places(*extents)]
    for place, tap in itertools.product(itertools.product(*places), itertools.product(*taps)):
        pixel = [
            at * stride + k * apart - before
            for at, stride, k, apart, before in zip(
                place, window.stride, tap, window.dilation, window.before, strict=True
            )
        ]
        if all(0 <= index < extent for index, extent in zip(pixel, extents, strict=True)):
            read[tuple(pixel)] = True
    return read[0] if axes == 1 else read


@law(*LARGEST)
def the_largest_stays_the_largest_under_increasing_maps(trial: Trial) -> None:
    """Whatever rounding does to such a map, it does it to the largest too."""
    subject, dtype = trial.subject(), trial.dtype()
    bench, x = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype, FINITE)
    for grow in (lambda v: v / 3, np.cbrt, lambda v: np.clip(v, -1, 0.5)):
        require_same(bench.run(grow(x))[0], grow(bench.run(x)[0]), f"{subject}")


@law(*LARGEST)
def every_gradient_of_a_largest_goes_to_one_pixel_that_has_it(trial: Trial) -> None:
    subject = trial.subject()
    bench, x = trial.bench(subject), trial.inputs(subject, 3, "float64", FINITE)
    y, dx = bench.run(x, np.ones((3, *bench.output_shape)))
    axes = tuple(range(1, x.ndim - 1))
    require_same(dx.sum(axes), np.full((3, x.shape[-1]), float(np.prod(bench.output_shape[:-1]))), f"{subject}")
    assert np.isin(x[dx != 0], y).all(), f"{subject}: a gradient where nothing was the largest"


@law(*AVERAGES, *GLOBAL)
def averages_scale_with_the_image_and_keep_what_is_constant(trial: Trial) -> None:
    subject, dtype = trial.subject(), trial.dtype()
    bench, x, factor = trial.bench(subject, dtype), trial.inputs(subject, 3, dtype), 2.0 ** trial.integer(-20, 20)
    dy = trial.numbers((3, *bench.output_shape), dtype)
    (y, dx), (y_scaled, dx_scaled) = bench.run(x, dy), bench.run(factor * x, dy)
    require_same(y_scaled, factor * y, f"{subject} of {factor} x")
    require_same(dx_scaled, dx, f"gradients of {subject}")
    constant, _ = bench.run(np.full_like(x, factor))
    # a window has at most 64 pixels; their sum is exact, the share of one is rounded where it is multiplied
    assert np.allclose(constant, factor, rtol=2 * np.finfo(dtype).eps, atol=0), f"{subject} of a constant"
    axes = tuple(range(1, x.ndim - 1))
    share, whole = dx.astype("float64").sum(axes), dy.astype("float64")
    sums = whole.sum(axes) if whole.ndim == x.ndim else whole
    assert np.allclose(share, sums, rtol=0, atol=64 * 64 * np.finfo(dtype).eps), f"{subject} loses a gradient"


@law(*GLOBAL)
def a_global_average_is_the_mean_of_all_places(trial: Trial) -> None:
    subject = trial.subject()
    bench, x = trial.bench(subject), trial.inputs(subject, 3, "float64")
    require_close(bench.run(x)[0], x.mean(tuple(range(1, x.ndim - 1))), f"{subject}")

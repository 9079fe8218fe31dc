"""Conv2D and Conv1D: values and gradients for all combinations of options, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.gradients import check_gradients, mount
from support.padding import flat, sides
from support.peers import TORCH, assert_close, leaf, torch_or_skip
from support.torch_weights import convolution_from_torch, convolution_to_torch

from nnx import Backend, Context, Conv1D, Conv2D, Sequential
from nnx.checks import ACTIVATIONS
from nnx.errors import OptionError, ShapeError, UnknownNameError
from nnx.layers.windows import Frame

CHANNELS, FILTERS = 4, 8
PADDINGS = ["valid", "same", 1, ((2, 0), (1, 3))]
STRIDES = [1, 2, (2, 1)]
DILATIONS = [1, 2, (1, 2)]
GROUPS = [1, 2, CHANNELS]


def in_torch(layer: Any, x: Any, weight: Any, bias: Any) -> Any:
    """Convolve inputs with the channels last by PyTorch, the padding laid around them before."""
    torch = torch_or_skip()
    around = sides(layer, x.shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate)
    padded = torch.nn.functional.pad(x.movedim(-1, 1), flat(around))
    convolve = torch.nn.functional.conv2d if layer.axes == 2 else torch.nn.functional.conv1d
    options = {"stride": layer.strides, "dilation": layer.dilation_rate, "groups": layer.groups}
    z = convolve(padded, weight, bias, **options).movedim(1, -1)
    return TORCH[layer.activation](torch, z)


def check_against_torch(layer: Any, shape: tuple[int, ...], backend: Backend) -> None:
    """Carry our weights to PyTorch and its gradients back."""
    random = np.random.default_rng(4)
    bench = mount(layer, shape, backend)
    x, dy = random.normal(size=(3, *shape)), random.normal(size=(3, *bench.output_shape))
    y, dx = bench.run(x, dy)
    names = [item.name.rpartition(".")[2] for item in bench.learned()]
    ours = convolution_to_torch({name: bench.value(name) for name in names}, layer.axes)
    inputs, theirs = leaf(x), {name: leaf(values) for name, values in ours.items()}
    outputs = in_torch(layer, inputs, theirs["weight"], theirs.get("bias"))
    outputs.backward(torch_or_skip().tensor(dy))
    assert_close(y, outputs)
    assert_close(dx, inputs.grad)
    for name, gradient in convolution_from_torch({n: t.grad for n, t in theirs.items()}, layer.axes).items():
        np.testing.assert_allclose(bench.gradient(name), gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("dilation", DILATIONS, ids=str)
@pytest.mark.parametrize("strides", STRIDES, ids=str)
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
def test_images_agree_with_torch_for_all_options(
    backend: Backend, padding: Any, strides: Any, dilation: Any, groups: int
) -> None:
    options = {"padding": padding, "strides": strides, "dilation_rate": dilation, "groups": groups}
    check_against_torch(Conv2D(FILTERS, (3, 2), activation="tanh", **options), (7, 6, CHANNELS), backend)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same", 2, ((3, 0),)], ids=str)
def test_sequences_agree_with_torch_for_all_options(
    backend: Backend, padding: Any, strides: int, dilation: int, groups: int
) -> None:
    options = {"padding": padding, "strides": strides, "dilation_rate": dilation, "groups": groups}
    check_against_torch(Conv1D(FILTERS, 3, activation="sigmoid", **options), (9, CHANNELS), backend)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_agrees_with_torch(backend: Backend, activation: str, bias: bool) -> None:
    check_against_torch(Conv2D(5, 3, activation=activation, bias=bias), (4, 5, 2), backend)


@pytest.mark.parametrize("activation", ["identity", "gelu"])
def test_weights_of_torchs_own_layer_give_its_values(backend: Backend, activation: str) -> None:
    torch, random = torch_or_skip(), np.random.default_rng(5)
    theirs = torch.nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2, dtype=torch.float64)
    layer = Conv2D(6, (3, 2), strides=2, padding=1, groups=2, activation=activation)
    bench, x = mount(layer, (7, 6, 4), backend), random.normal(size=(3, 7, 6, 4))
    for name, values in convolution_from_torch(theirs.state_dict(), 2).items():
        bench.set(name, values)
    expected = TORCH[activation](torch, theirs(torch.tensor(x).movedim(-1, 1)).movedim(1, -1))
    assert_close(bench.run(x)[0], expected)


@pytest.mark.parametrize("activation", ["identity", "softplus", "gelu", "softmax"])
@pytest.mark.parametrize("groups", GROUPS)
def test_gradients_are_the_slopes(backend: Backend, activation: str, groups: int) -> None:
    options = {"strides": (2, 1), "dilation_rate": (1, 2), "padding": "same", "groups": groups}
    check_gradients(Conv2D(FILTERS, (2, 3), activation=activation, **options), (5, 6, CHANNELS), backend)


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_sequences_are_the_slopes(backend: Backend, bias: bool) -> None:
    check_gradients(Conv1D(3, 2, strides=2, padding=((1, 0),), activation="elu", bias=bias), (5, 2), backend)


def test_gradients_of_one_window_over_the_whole_image_and_one_row(backend: Backend) -> None:
    check_gradients(Conv2D(3, (4, 3)), (4, 3, 2), backend, rows=1)


def test_a_sequence_is_an_image_of_one_row(backend: Backend) -> None:
    random = np.random.default_rng(6)
    x, options = random.normal(size=(2, 9, 3)), {"activation": "gelu", "groups": 3}
    one = mount(Conv1D(6, 4, strides=2, padding=((3, 1),), **options), (9, 3), backend)
    two = mount(Conv2D(6, (1, 4), strides=(1, 2), padding=((0, 0), (3, 1)), **options), (1, 9, 3), backend)
    two.set("weight", one.value("weight")[None])
    two.set("bias", one.value("bias"))
    np.testing.assert_array_equal(one.run(x)[0], two.run(x[:, None])[0][:, 0])


def test_padding_before_the_first_step_alone_keeps_outputs_from_seeing_later_steps(backend: Backend) -> None:
    bench = mount(Conv1D(3, 3, padding=((4, 0),), dilation_rate=2), (7, 2), backend)
    x = np.random.default_rng(7).normal(size=(1, 7, 2))
    changed = x.copy()
    changed[:, 4:] += 1
    before, after = bench.run(x)[0], bench.run(changed)[0]
    assert before.shape == (1, 7, 3)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4] != after[:, 4]).all()


@pytest.mark.parametrize(
    ("extent", "size", "stride", "dilation", "expected"),
    [(5, 3, 2, 1, (1, 1)), (6, 3, 2, 1, (0, 1)), (4, 2, 1, 1, (0, 1)), (7, 1, 3, 1, (0, 0)), (5, 3, 1, 2, (2, 2))],
)
def test_the_odd_pixel_of_same_padding_goes_after_as_in_keras(
    extent: int, size: int, stride: int, dilation: int, expected: tuple[int, int]
) -> None:
    window = Frame.of(2, size, stride, "same", dilation).window(extent, extent)
    assert (window.before, window.after) == ((expected[0],) * 2, (expected[1],) * 2)
    assert window.places(extent, extent) == (math.ceil(extent / stride),) * 2


def test_no_filter_of_a_group_sees_the_channels_of_another(backend: Backend) -> None:
    bench, x = mount(Conv2D(6, 3, groups=2), (5, 5, 4), backend), np.zeros((1, 5, 5, 4))
    bench.set("bias", np.zeros(6))
    x[..., :2] = 1
    y, _ = bench.run(x)
    assert (y[..., :3] != 0).all()
    assert (y[..., 3:] == 0).all()


def test_each_group_is_drawn_with_the_fans_of_its_own_channels() -> None:
    model = Sequential([Conv2D(512, 1, groups=4, init="glorot_uniform")], input_shape=(2, 2, 256), backend="numpy")
    weight = model.get_weights()["0.weight"]
    limit = math.sqrt(6 / (256 // 4 + 512 // 4))
    assert 0.999 * limit < np.abs(weight).max() <= limit
    assert len({weight[..., 128 * group].tobytes() for group in range(4)}) == 4, "groups start from other values"


def test_another_number_of_channels_or_axes_is_refused_in_use(backend: Backend) -> None:
    bench = mount(Conv2D(2, 3), (5, 5, 3), backend)
    with pytest.raises(ShapeError, match=r"expects images \(N, H, W, 3\) of channels last, got \(2, 5, 5, 4\)"):
        bench.run(np.zeros((2, 5, 5, 4)))
    with pytest.raises(ShapeError, match=r"expects inputs \(N, H, W, C\), got \(5, 5, 3\)"):
        bench.run(np.zeros((5, 5, 3)))


def test_the_gradient_of_the_first_layers_inputs_is_not_computed(backend: Backend) -> None:
    model = Sequential([Conv2D(2, 3)], input_shape=(5, 5, 1), backend=backend)
    y, backward = model.chain.forward(model.ops.asarray(np.ones((1, 5, 5, 1))), Context(True))
    assert backward(y) is None


@pytest.mark.parametrize(
    ("make", "shape", "error", "says"),
    [
        (
            lambda: Conv2D(8, 5),
            (4, 7, 1),
            ShapeError,
            "Conv2D(8, 5) has windows of 5 x 5, larger than its inputs of 4 x 7 with their padding",
        ),
        (
            lambda: Conv2D(8, 5, padding=((0, 0), (1, 1))),
            (4, 7, 1),
            ShapeError,
            "5 x 5, larger than its inputs of 4 x 9",
        ),
        (lambda: Conv2D(8, 3, dilation_rate=3), (6, 8, 1), ShapeError, "has windows of 7 x 7, larger than"),
        (lambda: Conv1D(8, 5), (4, 3), ShapeError, "has windows of 5, larger than its inputs of 4 with"),
        (
            lambda: Conv2D(8, 3),
            (28, 28),
            ShapeError,
            "expects inputs (N, H, W, C), got examples of shape (28, 28). Put Reshape((28, 28, 1)) before it.",
        ),
        (
            lambda: Conv2D(8, 5),
            (3, 32, 32),
            ShapeError,
            "of 3 x 32 with their padding; make the windows smaller, or",
        ),
        (lambda: Conv2D(8, 5), (3, 32, 32), ShapeError, 'padding="same". Channels come last: (N, H, W, C).'),
        (lambda: Conv2D(8, 3), (784,), ShapeError, "expects inputs (N, H, W, C), got examples of shape (784,)."),
        (
            lambda: Conv1D(8, 3),
            (28, 28, 1),
            ShapeError,
            "expects inputs (N, T, C), got examples of shape (28, 28, 1).",
        ),
        (
            lambda: Conv2D(8, 3, groups=3),
            (5, 5, 4),
            OptionError,
            "groups must divide the 4 channels of the inputs and the 8 filters, got groups=3.",
        ),
        (lambda: Conv2D(6, 3, groups=4), (5, 5, 4), OptionError, "groups must divide the 4 channels"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_model_is_built(
    make: Any, shape: tuple[int, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        Sequential([make()], input_shape=shape, backend="generic:numpy")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"filters": 0}, OptionError, "filters must be a whole number of at least 1, got 0"),
        (
            {"kernel_size": 2.5},
            OptionError,
            "kernel_size must be a whole number or one for each of rows and columns",
        ),
        ({"kernel_size": (3, 0)}, OptionError, "kernel_size must be a whole number of at least 1, got 0"),
        ({"kernel_size": (3, 3, 3)}, OptionError, "one for each of rows and columns, got (3, 3, 3)"),
        ({"kernel_size": "33"}, OptionError, "one for each of rows and columns, got '33'"),
        ({"strides": 0}, OptionError, "strides must be a whole number of at least 1, got 0"),
        ({"strides": None}, OptionError, "strides must be a whole number or one for each"),
        ({"dilation_rate": -1}, OptionError, "dilation_rate must be a whole number of at least 1, got -1"),
        ({"groups": 0}, OptionError, "groups must be a whole number of at least 1, got 0"),
        ({"padding": "full"}, OptionError, 'padding must be "valid", "same", a whole number, or (before, after)'),
        ({"padding": "SAME"}, OptionError, "padding must be 'same', in small letters, got 'SAME'."),
        ({"padding": -1}, OptionError, "padding must be a whole number of at least 0, got -1"),
        ({"padding": (1, 2)}, OptionError, "such as ((1, 1), (2, 2)), got (1, 2)"),
        ({"padding": ((1, 1),)}, OptionError, "such as ((1, 1), (2, 2)), got ((1, 1),)"),
        ({"padding": ((1, -1), (0, 0))}, OptionError, "padding must be a whole number of at least 0, got -1"),
        ({"padding": None}, OptionError, "padding must be"),
        ({"padding": True}, OptionError, "padding must be a whole number of at least 0, got True"),
        ({"activation": "rleu"}, UnknownNameError, "Unknown activation 'rleu'. Did you mean 'relu'?"),
        ({"init": "hee"}, UnknownNameError, "Unknown initializer 'hee'"),
        ({"bias": 1}, OptionError, "bias must be True or False, got 1"),
        ({"l2": -1}, OptionError, "l2 must be a number in [0, inf), got -1"),
        ({"alpha": 0.1}, OptionError, "'identity' takes none"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as raised:
        Conv2D(**{"filters": 2, "kernel_size": 3, **options})
    assert says in str(raised.value)


@pytest.mark.parametrize("options", [{"kernel_size": (3,)}, {"strides": (1, 1)}, {"padding": (1, 1)}], ids=str)
def test_pairs_are_refused_where_there_is_one_axis(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="must be"):
        Conv1D(**{"filters": 2, "kernel_size": 3, **options})

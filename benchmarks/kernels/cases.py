"""Which kernels are measured on which sizes, and on what inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernels.layers import INPUTS
from benchmarks.kernels.work import ACTIVATIONS, WORK, Work

RATE, MU, RHO, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.9, 0.9, 0.999, 1e-8, 0.01
"""Options of the updates."""

KEEP = 52429
"""Of 65536 elements, how many dropout keeps in the mean: 80 %."""

NORM_EPS, NORM_MOMENTUM = 1e-5, 0.1

ALPHA = {**dict.fromkeys(ACTIVATIONS, 0.0), "leaky_relu": 0.01, "elu": 1.0}
"""The option of each activation; 0 where it has none."""

PRODUCTS = ("matmul", "matmul_a_transposed", "matmul_b_transposed", "linear", "linear_backward")
UPDATES = {"sgd": 0, "momentum": 1, "nesterov": 1, "rmsprop": 1, "adam": 2, "adamw": 2}
"""Update rule -> how many moments it keeps."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """One kernel on one size.

    Attributes:
        kernel: a key of `WORK`.
        shape: (M, K, N) of a product, (rows, inputs, outputs) of a layer, (source rows, features, taken rows) of
            a gathering, (images, side, channels, filters) of a convolution, the first three of pooling, (sequences,
            steps, inputs, units) of a recurrent layer, (vocabulary, units, tokens) of an embedding, otherwise the
            shape of the arrays.
    """

    kernel: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The key in results."""
        return f"{self.kernel} {'x'.join(map(str, self.shape))}"

    @property
    def work(self) -> Work:
        """What one call cannot do without."""
        return WORK[self.kernel](*self.shape)

    @property
    def random(self) -> bool:
        """Whether every library draws numbers of its own, so that results agree in distribution only."""
        return self.kernel == "dropout"

    def inputs(self) -> Arrays:
        """Draw the inputs: normal numbers in float32, int64 labels and rows."""
        rng = np.random.default_rng(5)
        if self.kernel in INPUTS:
            return INPUTS[self.kernel](rng, *self.shape)

        def normal(*shape: int) -> NDArray[np.float32]:
            return rng.standard_normal(shape, np.float32)

        if self.kernel.startswith("matmul"):
            m, k, n = self.shape
            a = normal(k, m) if self.kernel == "matmul_a_transposed" else normal(m, k)
            return {"a": a, "b": normal(n, k) if self.kernel == "matmul_b_transposed" else normal(k, n)}
        if self.kernel.startswith("linear"):
            rows, inputs, outputs = self.shape
            layer: Arrays = {"x": normal(rows, inputs), "w": normal(inputs, outputs), "b": normal(outputs)}
            if self.kernel == "linear":
                return layer
            y = np.maximum(layer["x"] @ layer["w"] + layer["b"], 0)
            return {"x": layer["x"], "w": layer["w"], "y": y, "dy": normal(rows, outputs)}
        if self.kernel == "take_rows":
            rows, features, taken = self.shape
            return {"source": normal(rows, features), "order": rng.permutation(rows)[:taken]}
        if self.kernel == "softmax_cross_entropy":
            return {"logits": normal(*self.shape), "labels": rng.integers(0, self.shape[1], self.shape[0])}
        if self.kernel in UPDATES:
            # second moments are sums of squares, hence not negative
            moments = {f"moment{i}": np.square(normal(*self.shape)) for i in range(UPDATES[self.kernel])}
            return {"p": normal(*self.shape), "g": normal(*self.shape), **moments}
        return {"x": normal(*self.shape), "dy": normal(*self.shape)}


def _cases(kernels: tuple[str, ...], shapes: tuple[tuple[int, ...], ...]) -> list[Case]:
    return [Case(kernel, shape) for kernel in kernels for shape in shapes]


_BOTH_WAYS = (*ACTIVATIONS, *(f"{name}_backward" for name in ACTIVATIONS))
_CUBES = tuple((n, n, n) for n in (32, 64, 128, 256, 512, 1024, 2048))
_LAYERS = ((32, 16, 16), (128, 20, 7), (128, 784, 20), (128, 784, 512), (209, 12288, 20), (1024, 1024, 1024))
_COUNTS = ((1000,), (10_000,), (100_000,), (1_000_000,), (20_000_000,))
_IMAGES = ((64, 28, 1, 8), (64, 13, 8, 16), (32, 32, 32, 32))
_SEQUENCES = ((32, 50, 32, 64), (32, 64, 256, 256))
_TOKENS = ((65, 32, 2048), (20_000, 128, 2048))
_PLANES = ((32, 16), (128, 512), (1024, 1024), (4096, 1024))

SWEEP = [
    *_cases(("matmul",), (*_CUBES, (128, 784, 512))),
    *_cases(("matmul_a_transposed", "matmul_b_transposed"), ((256, 256, 256), (128, 784, 512))),
    *_cases(("linear", "linear_backward"), _LAYERS),
    *_cases(_BOTH_WAYS, _COUNTS[:4]),
    *_cases(("sigmoid", "tanh"), ((4096, 1024),)),
    *_cases(("softmax_cross_entropy",), ((128, 10), (1024, 100), (4096, 1000))),
    *_cases(("batch_norm", "dropout"), _PLANES),
    *_cases(("dropout",), ((1000, 1000),)),
    *_cases(tuple(UPDATES), _COUNTS),
    *_cases(("take_rows",), ((48_000, 2, 32), (48_000, 784, 128), (48_000, 784, 4096))),
    *_cases(("conv2d", "conv2d_backward"), _IMAGES),
    *_cases(("max_pool",), ((64, 26, 8), (32, 64, 32))),
    *_cases(("lstm", "gru"), _SEQUENCES),
    *_cases(("embedding",), _TOKENS),
]
"""Everything that the suite of kernels measures, on every backend."""

QUICK = [
    *_cases(("matmul",), ((256, 256, 256), (1024, 1024, 1024))),
    *_cases(("linear", "linear_backward"), ((128, 784, 512),)),
    *_cases(("relu", "sigmoid", "tanh", "tanh_backward"), ((10_000,), (1_000_000,))),
    *_cases(("softmax_cross_entropy",), ((4096, 1000),)),
    *_cases(("batch_norm",), ((128, 512), (4096, 1024))),
    *_cases(("dropout",), ((1000, 1000),)),
    *_cases(("adam",), ((10_000,), (1_000_000,))),
    *_cases(("take_rows",), ((48_000, 784, 128),)),
    *_cases(("conv2d", "conv2d_backward"), ((64, 13, 8, 16),)),
    *_cases(("max_pool",), ((64, 26, 8),)),
    *_cases(("lstm", "gru"), ((32, 50, 32, 64),)),
    *_cases(("embedding",), ((65, 32, 2048),)),
]
"""One size or two of the kernels that training spends its time in."""

CONTEST = [
    *_cases(("matmul",), ((256, 256, 256), (1024, 1024, 1024), (2048, 2048, 2048), (128, 784, 512))),
    *_cases(("linear", "linear_backward"), ((128, 784, 512),)),
    *_cases(_BOTH_WAYS, ((1_000_000,),)),
    *_cases(("sigmoid", "tanh"), ((4096, 1024),)),
    *_cases(("softmax_cross_entropy",), ((4096, 1000),)),
    *_cases(("batch_norm",), ((128, 512), (4096, 1024))),
    *_cases(("dropout",), ((1000, 1000),)),
    *_cases(tuple(UPDATES), ((1_000_000,),)),
    *_cases(("adam",), ((10_000,), (20_000_000,))),
    *_cases(("take_rows",), ((48_000, 784, 128),)),
    *_cases(("conv2d", "conv2d_backward"), _IMAGES[1:]),
    *_cases(("max_pool",), ((64, 26, 8),)),
    *_cases(("lstm", "gru"), _SEQUENCES),
    *_cases(("embedding",), _TOKENS),
]
"""What backends and peers are compared on."""

CASES = {case.name: case for case in (*SWEEP, *CONTEST)}
"""Every case, by name."""

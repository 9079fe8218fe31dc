"""What `footprint.py` runs: in every library the same first program, as its documentation would have it written.

Each imports its library, makes a network of 64 inputs, 64 relu units and 10 classes, takes one step of SGD on 32
random examples, and predicts the class of one. They are texts, since each runs where only its own library is.
"""

from __future__ import annotations

from typing import NamedTuple

CLOCK = """
import json, time
began = time.process_time()
{imports}
imported = time.process_time() - began
{program}
print(json.dumps([imported, time.process_time() - began, int(first)]))
"""

TORCH_CPU = "torch==2.13.0+cpu"
"""The build without CUDA; pip finds it only where it has been told of PyTorch's own index."""


class Program(NamedTuple):
    """A library's first program.

    Attributes:
        requirements: what pip is told to install; "." is this checkout.
        imports, body: the program; `body` leaves the predicted class in `first`.
        variables: of the environment it runs in.
    """

    requirements: tuple[str, ...]
    imports: str
    body: str
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The whole program, which prints the seconds of the import and of everything, and the class."""
        return CLOCK.format(imports=self.imports.strip(), program=self.body.strip())


DATA = """
rng = np.random.default_rng(1)
x, y = rng.random((32, 64), "float32"), np.arange(32) % 10
"""

NNX = f"""{DATA}
model = nnx.Sequential([nnx.Dense(64, "relu"), nnx.Dense(10)], seed=1)
model.compile("softmax_cross_entropy", nnx.SGD(0.1)).fit(x, y, epochs=1, progress=False)
first = model.predict_classes(x[:1])[0]
"""

TORCH = """
torch.manual_seed(1)
x, y = torch.rand(32, 64), torch.arange(32) % 10
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
torch.nn.functional.cross_entropy(model(x), y).backward()
optimizer.step()
with torch.no_grad():
    first = model(x[:1]).argmax()
"""

JAX = f"""{DATA}
make, apply = stax.serial(stax.Dense(64), stax.Relu, stax.Dense(10))
_, weights = make(jax.random.key(1), (-1, 64))
def loss(weights, x, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(apply(weights, x)), y[:, None], 1).mean()
@jax.jit
def step(weights, x, y):
    return jax.tree.map(lambda w, g: w - 0.1 * g, weights, jax.grad(loss)(weights, x, y))
weights = step(weights, x, y)
first = jax.jit(apply)(weights, x[:1]).argmax()
"""

SKLEARN = f"""{DATA}
model = MLPClassifier((64,), solver="sgd", learning_rate_init=0.1, random_state=1)
model.partial_fit(x, y, classes=np.arange(10))
first = model.predict(x[:1])[0]
"""

KERAS = f"""{DATA}
layers = [keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
model = keras.Sequential(layers)
model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(x, y, epochs=1, verbose=0)
first = model.predict(x[:1], verbose=0).argmax()
"""

THINC = f"""{DATA}
model = chain(Relu(64), Softmax(10)).initialize(X=x, Y=np.eye(10, dtype="float32")[y])
shown, backprop = model.begin_update(x)
backprop((shown - np.eye(10, dtype="float32")[y]) / 32)
model.finish_update(SGD(0.1))
first = model.predict(x[:1]).argmax()
"""

PROGRAMS = {
    "nnx, numpy": Program((".",), "import numpy as np\nimport nnx", NNX, (("NNX_BACKEND", "numpy"),)),
    "nnx, numba": Program((".",), "import numpy as np\nimport nnx", NNX, (("NNX_BACKEND", "numba"),)),
    "scikit-learn": Program(
        ("scikit-learn",), "import numpy as np\nfrom sklearn.neural_network import MLPClassifier", SKLEARN
    ),
    "PyTorch, CPU build": Program((TORCH_CPU,), "import torch", TORCH),
    "JAX": Program(
        ("jax",),
        "import numpy as np\nimport jax\nimport jax.numpy as jnp\nfrom jax.example_libraries import stax",
        JAX,
    ),
    "Keras on JAX": Program(
        ("keras", "jax"), "import numpy as np\nimport keras", KERAS, (("KERAS_BACKEND", "jax"),)
    ),
    "Thinc": Program(("thinc",), "import numpy as np\nfrom thinc.api import SGD, Relu, Softmax, chain", THINC),
}

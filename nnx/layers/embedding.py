"""Tables of learned vectors."""

from __future__ import annotations

from dataclasses import dataclass

from nnx.builder import Builder, Shape
from nnx.checks import check_count
from nnx.errors import DtypeError, OptionError
from nnx.initializers import InitializerLike, check_initializer
from nnx.interface import Array
from nnx.layers.base import Backward, Context, Layer


@dataclass(eq=False, repr=False)
class Embedding(Layer):
    """A learned vector for every token: y = table[x]; the first layer of a model, which then takes tokens.

    Shapes: x (N, ...) int64, such as (N, T), from 0 to V - 1 -> y (N, ..., E); table (V, E).

    Args:
        vocabulary: V, how many tokens there are.
        units: E, the length of each vector.
        init: initialiser of the table: a name, a number or a function, see `nnx.initializers`; by default of unit
            variance, as the next layer's initialiser supposes.

    Raises:
        OptionError, UnknownNameError: an option is out of its range; at build, something stands before the layer.
        DtypeError: the inputs are not int64.
    Source: Bengio et al. 2003.

    Elsewhere: the table is "table" in `get_weights`, embeddings of Keras, and weight of PyTorch's Embedding. It
    knows no padding token; give lengths instead.
    """

    takes = "tokens"
    streams = True
    steps = "kept"

    vocabulary: int
    units: int
    init: InitializerLike = "standard_normal"

    def __post_init__(self) -> None:
        """Check the options."""
        self.vocabulary = check_count("vocabulary", self.vocabulary)
        self.units = check_count("units", self.units)
        check_initializer(self.init)

    def setup(self, builder: Builder, shape: Shape) -> Shape:
        """Declare the table; weight decay and L2 leave it alone, since in a step most rows are not looked at."""
        if not builder.first:
            raise OptionError(f"{self!r} must be the first layer of the model, since it takes tokens.")
        self._table = builder.parameter("table", (self.vocabulary, self.units), self.init)
        return (*shape, self.units)

    def forward(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """See `Layer.forward`."""
        del context
        ops, table = self.ops, self._table
        if ops.backend.dtype_name(x) != "int64":
            raise DtypeError(f"{self!r} expects tokens of dtype int64, got {x.dtype}.")
        return ops.embedding(x, table.value), lambda dy: ops.embedding_backward(x, dy, table.grad)

"""The class that a backend subclasses: the array part and all kernel families together."""

from __future__ import annotations

from typing import Any

from nnx.interface.activations import Activations
from nnx.interface.convolution import Convolution
from nnx.interface.dropout import Dropout
from nnx.interface.embedding import Embedding
from nnx.interface.indexing import Indexing
from nnx.interface.linear import Linear
from nnx.interface.losses import Losses
from nnx.interface.normalization import Normalization
from nnx.interface.pooling import Pooling
from nnx.interface.recurrent import Recurrent
from nnx.interface.updates import Updates


class Backend(
    Linear,
    Activations,
    Normalization,
    Dropout,
    Losses,
    Indexing,
    Updates,
    Convolution,
    Pooling,
    Recurrent,
    Embedding,
):
    """An engine: the array part and all kernels. Subclass it and override what you speed up."""

    def __repr__(self) -> str:
        return f"<nnx backend {self.name!r}>"

    @staticmethod
    def from_namespace(namespace: Any, name: str | None = None, device: Any = None) -> Backend:
        """Make a backend from any array-API namespace with assignable arrays, all kernels by the reference.

        Args:
            namespace: a module such as `numpy`, `torch` or `array_api_strict`.
            name: the backend's name; by default "generic:" and the module's.
            device: passed on to the namespace wherever it creates an array.

        Examples:
            >>> import numpy, nnx
            >>> nnx.Backend.from_namespace(numpy).name
            'generic:numpy'
        """
        from nnx.interface.generic import GenericBackend

        return GenericBackend(namespace, name, device)

"""The CUDA backend: CuPy arrays, large products by cuBLASLt, all other kernels from the `.cu` files of this folder.

    from nnx_cupy import CupyBackend

Files: `kernels.py` compiles the sources, `launch.py` lays out grids and scratch memory, `device.py` talks to
CUDA, `programs.py` makes graphs of recorded steps, and one file per kernel family holds its methods next to the
`.cu` file of the same name. Matrices are multiplied by the kernels of `products.py`, or by the library of
`cublaslt.py` where `library.py` finds that it pays.
"""

from nnx_cupy.backend import CupyBackend
from nnx_cupy.device import Graph, Runtime
from nnx_cupy.kernels import Group, source_text
from nnx_cupy.products import OwnProducts, Products

__all__ = ["CupyBackend", "Graph", "Group", "OwnProducts", "Products", "Runtime", "source_text"]

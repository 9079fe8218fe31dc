"""The CUDA backend: CuPy arrays, products by cuBLAS, every other kernel from the `.cu` files of this folder.

    from nnx_cupy import CupyBackend

Files: `kernels.py` compiles the sources, `launch.py` lays out grids and scratch memory, `device.py` talks to
CUDA, and one file per kernel family holds its methods next to the `.cu` file of the same name.
"""

from nnx_cupy.backend import CupyBackend
from nnx_cupy.device import Runtime
from nnx_cupy.kernels import Group, source_text

__all__ = ["CupyBackend", "Group", "Runtime", "source_text"]

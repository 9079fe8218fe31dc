"""nnx: write a neural network once, run it on NumPy, Numba or a CUDA GPU, and see that all three agree."""

from nnx.interface import Backend

__version__ = "0.1.0"

__all__ = ["Backend", "__version__"]

"""The NumPy backend of nnx: BLAS and ufuncs into given memory, for any CPU that NumPy runs on."""

from nnx_numpy.backend import NumpyBackend

__all__ = ["NumpyBackend"]

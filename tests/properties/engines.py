"""The engines that laws are tried on unless others are named."""

ENGINES = ("numba", "numpy")

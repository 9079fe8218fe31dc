"""The backends that shared tests run on."""

BACKENDS = ("numpy", "numba", "generic:array_api_strict", "cupy")

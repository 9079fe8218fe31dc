"""The version of nnx."""

__version__ = "0.1.0"

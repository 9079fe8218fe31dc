"""Kernels alone: which, on what sizes, how much work each is, and how everyone calls them."""

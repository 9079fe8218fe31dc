"""Damaged and hostile files for every reader of nnx, made from seeds; see `python -m tests.fuzz --help`."""

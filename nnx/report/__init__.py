"""Runs, experiments and benchmarks as one HTML page: `nnx report`."""

"""What the wrong versions of recurrent kernels share."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


def each(kernels):
    """Register one wrong version for several kernels."""

    def register(mutation):
        for kernel in kernels:
            mutant(kernel)(mutation)
        return mutation

    return register


def swapped(array, one, other, gates):
    """Exchange two gates in the last axis."""
    parts = np.split(array, gates, axis=-1)
    parts[one], parts[other] = parts[other], parts[one]
    return np.concatenate(parts, axis=-1)


def going(a, values):
    """Where sequences are not over, in the shape of values (N, T, ...)."""
    steps = np.arange(values.shape[1])
    lengths = np.full(len(values), values.shape[1]) if a.lengths is None else a.lengths
    return (steps < lengths[:, None])[..., None]

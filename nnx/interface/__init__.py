"""The contract between nnx and an engine: arrays, and the kernels that a training step is made of.

A backend is a subclass of `Backend`. It must supply the array part (`arrays.py`); every kernel has a default
that calls the reference in `nnx.reference`, so a backend overrides only what it can do faster. The meaning
of each kernel is documented here and nowhere else, in the file of its family.

Rules that hold for every kernel:

* Destinations are arguments: a kernel writes every element of them and returns nothing. They are
  C-contiguous, hold garbage on entry unless the kernel is said to work in place, and never overlap an input.
* A destination documented as "or None" may be None, and is then not computed.
* Inputs may be strided and read-only, and are left as they were.
* Floating arrays of one call share one dtype, float32 or float64; labels, tokens and counters are int64.
* A quantity that changes from step to step (learning rate, step, batch number) is a 0-d array, never a
  Python number; Python numbers are attributes, fixed for the life of a recording.
* Shapes are checked by `nnx.ops` before the call; a kernel need not check them again. Any extent may be 0,
  unless the kernel says otherwise.
* Floating-point special values follow IEEE 754: a NaN that enters a result comes out as NaN.
* The same call gives the same bits again, on the same machine and with the same number of threads: what threads
  or blocks sum is added in an order fixed beforehand, never in that of their arrival, so that no kernel needs a
  second, deterministic version. On Numba the number of threads changes nothing either. On NumPy it may change the
  last bits where BLAS shares out a sum: `matmul`, `linear`, `linear_backward`, `conv2d` and its backward pass, the
  recurrent kernels and `clip_by_global_norm`; `nnx.set_num_threads(1)` leaves nothing to it. nnx's CUDA kernels
  use no atomics on floating numbers: a counter tells which block is the last, and that one adds in their order.
  Large products on CUDA are cuBLASLt's, which NVIDIA documents as reproducible on one kind of GPU and one version.
"""

from __future__ import annotations

from nnx.interface.activations import ELEMENTWISE
from nnx.interface.arrays import Array, Scratch, aligned_empty
from nnx.interface.backend import Backend
from nnx.interface.dropout import LANES
from nnx.interface.forks import hold_across_forks
from nnx.interface.host import Memory, host_memory
from nnx.interface.linear import FUSED
from nnx.interface.outlines import OutlineBackend, outline, placed, reserved
from nnx.interface.windows import Window
from nnx.tape import Call, Program, ReplayLoop, Tape

__all__ = [
    "ELEMENTWISE",
    "FUSED",
    "LANES",
    "Array",
    "Backend",
    "Call",
    "Memory",
    "OutlineBackend",
    "Program",
    "ReplayLoop",
    "Scratch",
    "Tape",
    "Window",
    "aligned_empty",
    "hold_across_forks",
    "host_memory",
    "outline",
    "placed",
    "reserved",
]

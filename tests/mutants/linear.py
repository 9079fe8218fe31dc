"""Wrong versions of the kernels of `nnx.interface.linear`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("matmul")
def off_by_one_in_the_inner_extent(run, a):
    run()
    if not a.transpose_a and not a.transpose_b and a.a.shape[1] > 1:
        a.out[...] = a.a[:, :-1] @ a.b[:-1]


@mutant("matmul")
def ignores_transpose_of_square_b(run, a):
    square = a.b.shape[0] == a.b.shape[1]
    run(transpose_b=a.transpose_b and not square)


@mutant("matmul")
def adds_to_what_was_there(run, a):
    before = a.out.copy()
    run()
    a.out += before


@mutant("matmul")
def leaves_the_tail_rows(run, a):
    whole = a.out.copy()
    run(out=whole)
    tiles = len(whole) // 32 * 32
    a.out[:tiles] = whole[:tiles]


@mutant("matmul")
def computes_in_half_precision(run, a):
    run(a=a.a.astype("float16").astype(a.a.dtype), b=a.b.astype("float16").astype(a.b.dtype))


@mutant("matmul")
def computes_float64_in_float32(run, a):
    run(a=a.a.astype("float32"), b=a.b.astype("float32"))


@mutant("matmul")
def writes_past_the_end(run, a):
    run()
    if a.out.base is not None and a.out.size:
        a.out.base[64 + a.out.size :][:1] = 0


@mutant("matmul")
def takes_strided_for_contiguous(run, a):
    lost = a.a.ndim == 2 and a.a.strides[-1] == 2 * a.a.itemsize and a.a.base is not None
    run(a=np.ravel(a.a.base)[: a.a.size].reshape(a.a.shape) if lost else a.a)


@mutant("linear")
def forgets_the_bias(run, _a):
    run(b=None)


@mutant("linear")
def ignores_alpha(run, _a):
    run(alpha=0.01)


@mutant("linear")
def hides_nan_in_relu(run, a):
    run()
    if a.activation == "relu":
        np.fmax(a.y, 0, out=a.y)


@mutant("linear_backward")
def transposes_nothing_when_square(run, a):
    run()
    if a.dx is not None and a.w.shape[0] == a.w.shape[1]:
        a.dx[...] = (a.dy if a.dz is None else a.dz) @ a.w


@mutant("linear_backward")
def averages_db(run, a):
    run()
    if a.db is not None and len(a.x):
        a.db /= len(a.x)


@mutant("linear_backward")
def needs_dx(run, a):
    run()
    a.dx[...] = a.dx[...]


@mutant("linear_backward")
def scales_dy_in_place(run, a):
    run()
    if a.dz is not None:
        a.dy[...] = a.dz

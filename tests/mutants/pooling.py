"""Wrong versions of the kernels of `nnx.interface.pooling`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("max_pool")
def takes_the_last_of_ties(run, a):
    """Turn the taps over, so that the reference's first is the last."""
    taps = a.window.size[0] * a.window.size[1]
    flipped = a.window._replace(before=a.window.after, after=a.window.before)
    rest = [
        (padded - size) % stride
        for padded, size, stride in zip(
            a.window.padded(*a.x.shape[1:3]), a.window.size, a.window.stride, strict=True
        )
    ]
    if any(rest):
        run()
        return
    run(x=np.ascontiguousarray(a.x[:, ::-1, ::-1]), window=flipped)
    a.y[...], a.index[...] = a.y[:, ::-1, ::-1].copy(), taps - 1 - a.index[:, ::-1, ::-1]


@mutant("max_pool")
def counts_the_padding_as_zero(run, a):
    run()
    if any(a.window.before + a.window.after):
        np.maximum(a.y, 0, out=a.y)


@mutant("max_pool")
def passes_over_nan(run, a):
    run(x=np.where(np.isnan(a.x), -np.inf, a.x))


@mutant("max_pool")
def takes_the_last_nan(run, a):
    run()
    both = np.isnan(a.y) & (a.index == 0)
    a.index[both] = 1


@mutant("max_pool")
def begins_with_minus_infinity_and_no_tap(run, a):
    run()
    a.index[np.isneginf(a.y)] = -1


@mutant("max_pool")
def numbers_the_taps_by_columns(run, a):
    run()
    high, wide = a.window.size
    a.index[...] = a.index % wide * high + a.index // wide


@mutant("max_pool")
def numbers_the_pixels_instead_of_the_taps(run, a):
    run()
    a.index[...] = a.index // a.window.size[1] * a.x.shape[2] + a.index % a.window.size[1]


@mutant("max_pool")
def strides_by_the_size(run, a):
    window = a.window._replace(stride=a.window.size)
    run(window=window if window.places(*a.x.shape[1:3]) == a.y.shape[1:3] else a.window)
    if window != a.window and a.y.shape[1] > 1:
        a.y[:, 1] = a.y[:, 0]


@mutant("max_pool_backward")
def stores_where_windows_share_a_pixel(run, a):
    run()
    last = np.zeros_like(a.dx)
    run(dy=np.concatenate([0 * a.dy[:, :-1], a.dy[:, -1:]], axis=1), dx=last)
    a.dx[...] = np.where(last != 0, last, a.dx)


@mutant("max_pool_backward")
def leaves_pixels_that_are_not_the_largest(run, a):
    whole = a.dx.copy()
    run(dx=whole)
    a.dx[...] = np.where(whole != 0, whole, a.dx)


@mutant("max_pool_backward")
def adds_to_what_was_there(run, a):
    before = a.dx.copy()
    run()
    a.dx += before


@mutant("max_pool_backward")
def ignores_the_padding(run, a):
    run()
    a.dx[...] = np.roll(a.dx, a.window.before, (1, 2))


def _share(a, image):
    """Return the part of every window that lies inside of the image."""
    inside = np.pad(np.ones(image.shape[1:3]), tuple(zip(a.window.before, a.window.after, strict=True)))
    (high, wide), (down, along) = a.window.size, a.window.stride
    views = np.lib.stride_tricks.sliding_window_view(inside, (high, wide))[::down, ::along]
    return views.mean((2, 3))[None, :, :, None].astype(image.dtype)


@mutant("average_pool")
def averages_over_the_padding(run, a):
    run()
    a.y *= _share(a, a.x)


@mutant("average_pool")
def sums(run, a):
    run()
    a.y *= a.window.size[0] * a.window.size[1]


@mutant("average_pool")
def slides_a_running_sum_past_nan(run, a):
    run()
    a.y += 0 * a.x.sum((1, 2), keepdims=True)


@mutant("average_pool_backward")
def divides_by_all_taps(run, a):
    run(dy=a.dy * _share(a, a.dx))


@mutant("average_pool_backward")
def gives_gaps_a_share(run, a):
    run()
    a.dx += (a.dx == 0) * a.dx.dtype.type(1e-3)


@mutant("average_pool_backward")
def stores_where_windows_overlap(run, a):
    run()
    last = np.zeros_like(a.dx)
    run(dy=np.concatenate([0 * a.dy[:, :-1], a.dy[:, -1:]], axis=1), dx=last)
    a.dx[...] = np.where(last != 0, last, a.dx)

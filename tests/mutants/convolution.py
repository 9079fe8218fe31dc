"""Wrong versions of the kernels of `nnx.interface.convolution`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("conv2d")
def turns_the_weights_over(run, a):
    run(w=np.ascontiguousarray(a.w[::-1, ::-1]))


@mutant("conv2d")
def exchanges_the_axes_of_square_taps(run, a):
    square = a.window.size[0] == a.window.size[1]
    run(w=np.ascontiguousarray(a.w.transpose(1, 0, 2, 3)) if square else a.w)


@mutant("conv2d")
def exchanges_stride_and_dilation(run, a):
    swapped = a.window._replace(stride=a.window.dilation, dilation=a.window.stride)
    run(window=swapped if swapped.places(*a.x.shape[1:3]) == a.y.shape[1:3] else a.window)


@mutant("conv2d")
def pads_after_as_much_as_before(run, a):
    swapped = a.window._replace(before=a.window.after, after=a.window.before)
    run(window=swapped)


@mutant("conv2d")
def repeats_the_border_instead_of_zeros(run, a):
    window = a.window
    sides = tuple(zip(window.before, window.after, strict=True))
    x = np.pad(a.x, ((0, 0), *sides, (0, 0)), mode="edge") if len(a.x) else a.x
    run(x=x, window=window._replace(before=(0, 0), after=(0, 0)) if len(a.x) else window)


@mutant("conv2d")
def ignores_dilation(run, a):
    run(window=a.window._replace(dilation=(1, 1)))


@mutant("conv2d")
def deals_channels_to_the_groups_in_turn(run, a):
    order = np.arange(a.x.shape[3]).reshape(-1, a.groups).T.reshape(-1)
    run(x=np.ascontiguousarray(a.x[..., order]))


@mutant("conv2d")
def gives_each_channel_its_first_output_only(run, a):
    run()
    if a.groups == a.x.shape[3] < a.y.shape[3]:
        a.y[..., 1::2] = a.y[..., ::2]


@mutant("conv2d")
def forgets_the_bias(run, _a):
    run(b=None)


@mutant("conv2d")
def activates_before_the_bias(run, a):
    run(b=None)
    if a.b is not None:
        a.y += a.b


@mutant("conv2d")
def leaves_the_last_row_of_places(run, a):
    whole = a.y.copy()
    run(y=whole)
    a.y[:, : max(a.y.shape[1] - 1, 1)] = whole[:, : max(a.y.shape[1] - 1, 1)]


@mutant("conv2d")
def leaves_the_channels_past_a_whole_vector(run, a):
    whole = a.y.copy()
    run(y=whole)
    full = a.y.shape[3] // 16 * 16 or a.y.shape[3]
    a.y[..., :full] = whole[..., :full]


@mutant("conv2d")
def spreads_nan_to_all_images(run, a):
    run()
    a.y += 0 * np.sum(a.x)


@mutant("conv2d")
def sums_in_half_precision(run, a):
    run(x=a.x.astype("float16").astype(a.x.dtype), w=a.w.astype("float16").astype(a.w.dtype))


@mutant("conv2d_backward")
def does_not_turn_the_weights_for_dx(run, a):
    run()
    if a.dx is not None:
        run(w=np.ascontiguousarray(a.w[::-1, ::-1]), dw=np.empty_like(a.dw))


@mutant("conv2d_backward")
def stores_where_windows_overlap(run, a):
    run()
    if a.dx is not None:
        last, dy = np.zeros_like(a.dx), np.concatenate([0 * a.dy[:, :-1], a.dy[:, -1:]], axis=1)
        run(dy=dy, dx=last, dw=np.empty_like(a.dw), db=None, dz=None)
        a.dx[...] = np.where(last != 0, last, a.dx)


@mutant("conv2d_backward")
def shifts_dx_by_the_padding(run, a):
    run()
    if a.dx is not None:
        a.dx[...] = np.roll(a.dx, a.window.before, (1, 2))


@mutant("conv2d_backward")
def averages_dw_over_images(run, a):
    run()
    a.dw /= max(len(a.x), 1)


@mutant("conv2d_backward")
def takes_dw_of_the_last_image(run, a):
    run()
    if len(a.x):
        last = {name: getattr(a, name)[-1:] for name in ("x", "y", "dy")}
        run(**last, dz=None, dx=None, db=None)


@mutant("conv2d_backward")
def forgets_the_slope_in_db(run, a):
    run()
    if a.db is not None:
        a.db[...] = a.dy.sum((0, 1, 2))


@mutant("conv2d_backward")
def leaves_dw_without_images(run, a):
    run(dw=a.dw if len(a.x) else np.empty_like(a.dw))


@mutant("conv2d_backward")
def leaves_pixels_that_no_window_reads(run, a):
    if a.dx is None:
        run()
        return
    whole, read = np.empty_like(a.dx), np.empty_like(a.dx)
    ones = np.ones_like(a.dy)
    run(dx=read, dy=ones, y=ones, w=np.ones_like(a.w), dw=np.empty_like(a.dw), activation="identity")
    run(dx=whole)
    a.dx[...] = np.where(read != 0, whole, a.dx)


@mutant("conv2d_backward")
def needs_dx(run, a):
    run()
    a.dx[...] = a.dx[...]


@mutant("conv2d_backward")
def strides_alike_both_ways(run, a):
    run(window=a.window._replace(stride=(min(a.window.stride),) * 2))

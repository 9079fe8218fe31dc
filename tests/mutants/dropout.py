"""Wrong versions of the kernels of `nnx.interface.dropout`."""

from __future__ import annotations

import numpy as np

from mutants.table import mutant


@mutant("random_bits")
def shifts_the_lanes_by_one(run, a):
    run()
    a.out[...] = np.roll(a.out, 1, axis=1)


@mutant("random_bits")
def swaps_seed_and_stream(run, a):
    run(seed=a.stream, stream=a.seed)


@mutant("random_bits")
def sees_32_bits_of_the_step(run, a):
    run(step=np.asarray(int(a.step) & 0xFFFFFFFF))


@mutant("dropout")
def keeps_at_the_threshold(run, a):
    run(threshold=min(a.threshold + 1, 65536))


@mutant("dropout")
def scales_by_the_probability(run, a):
    run()
    a.y *= (a.threshold / 65536) ** 2


@mutant("dropout")
def multiplies_by_the_mask(run, a):
    ones = np.empty_like(a.y)
    run(x=np.ones_like(a.x), y=ones)
    a.y[...] = a.x * ones


@mutant("dropout")
def depends_on_the_number_of_rows(run, a):
    run(stream=a.stream + (len(a.x) > 100))


@mutant("dropout")
def counts_the_rows_of_every_process_from_zero(run, a):
    del a
    run(sample=0)


@mutant("channel_dropout")
def counts_the_images_of_every_process_from_zero(run, a):
    del a
    run(sample=0)


@mutant("channel_dropout")
def drops_places_of_their_own(run, a):
    for place in range(a.x.shape[1]):
        run(x=a.x[:, place : place + 1], y=a.y[:, place : place + 1], stream=a.stream + place)


@mutant("channel_dropout")
def drops_the_same_channels_in_all_images(run, a):
    for row in range(len(a.x)):
        run(x=a.x[row : row + 1], y=a.y[row : row + 1])


@mutant("channel_dropout")
def keeps_channels_at_the_threshold(run, a):
    run(threshold=min(a.threshold + 1, 65536))


@mutant("channel_dropout")
def forgets_to_scale(run, a):
    run()
    a.y *= a.threshold / 65536

"""Windows: which taps lie on which pixels."""

from __future__ import annotations

from itertools import pairwise

import pytest

from nnx.interface import Window

WINDOWS = [
    (Window((3, 2)), (5, 4)),
    (Window((3, 3), (2, 2), (1, 0), (0, 1)), (6, 7)),
    (Window((2, 5), (3, 1), (0, 4), (1, 4), (1, 2)), (9, 3)),
    (Window((3, 3), (4, 2), (1, 3), (2, 2), (2, 4)), (13, 14)),  # strides and gaps with a common divisor
    (Window((1, 1), (3, 2)), (2, 7)),  # a stride longer than the image
    (Window((1, 2)), (0, 5)),
]


@pytest.mark.parametrize(("window", "extents"), WINDOWS)
@pytest.mark.parametrize("axis", [0, 1])
def test_phases_name_every_tap_on_every_pixel_once(window: Window, extents: tuple[int, int], axis: int) -> None:
    found = [
        (phase.first + n * window.stride[axis], tap, place + n)
        for phase in window.phases(axis, extents[axis])
        for n in range(phase.pixels)
        for tap, place in zip(phase.taps, phase.places, strict=True)
    ]
    reach = extents[axis] + window.size[axis] * window.dilation[axis]
    expected = {
        (pixel, tap, place)
        for tap in range(window.size[axis])
        for place in range(-reach, reach)
        for pixel in [place * window.stride[axis] + tap * window.dilation[axis] - window.before[axis]]
        if 0 <= pixel < extents[axis]
    }
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize(("window", "extents"), WINDOWS)
@pytest.mark.parametrize("axis", [0, 1])
def test_taps_and_places_of_a_phase_are_evenly_spaced(window: Window, extents: tuple[int, int], axis: int) -> None:
    for phase in window.phases(axis, extents[axis]):
        for values, sign in ((phase.taps, -1), (phase.places, 1)):
            steps = {sign * (later - earlier) for earlier, later in pairwise(values)}
            assert len(steps) <= 1
            assert all(step > 0 for step in steps)


@pytest.mark.parametrize(("window", "extents"), WINDOWS)
def test_the_outlying_places_are_as_many_as_the_phases_ask_for(window: Window, extents: tuple[int, int]) -> None:
    before, after = window.outlying(*extents)
    for axis, count in enumerate(window.places(*extents)):
        asked = [
            place + n
            for phase in window.phases(axis, extents[axis])
            for place in phase.places
            for n in range(phase.pixels)
        ]
        assert before[axis] == max([0, *(-place for place in asked)])
        assert after[axis] == max([0, *(place + 1 - count for place in asked)])

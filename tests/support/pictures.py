"""What is drawn in a picture, as its readers would see it."""

from __future__ import annotations

import itertools
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

LEAST_FONT = 9.0
_TOUCH = 1.0
"""Pixels that two texts may share: extents are rounded up to whole ones."""


def drawn_texts(figure: Figure) -> list[tuple[str, float, Bbox]]:
    """Return every text that drawing puts on the page: its words, font size and place in pixels."""
    found: dict[int, tuple[str, float, Bbox]] = {}
    draw = Text.draw

    def note(text: Text, renderer: Any) -> None:
        draw(text, renderer)
        if text.get_visible() and text.get_text().strip():
            found[id(text)] = (text.get_text(), text.get_fontsize(), text.get_window_extent(renderer))

    Text.draw = note
    try:
        FigureCanvasAgg(figure).draw()
    finally:
        Text.draw = draw
    return list(found.values())


def check_readable(figure: Figure) -> None:
    """Raise AssertionError if a text is too small, cut off by the page's edge, or covered by another."""
    texts = drawn_texts(figure)
    assert texts
    page = figure.bbox.padded(_TOUCH)
    for words, size, place in texts:
        assert size >= LEAST_FONT, words
        assert page.x0 <= place.x0 < place.x1 <= page.x1, f"{words!r} is cut off at a side"
        assert page.y0 <= place.y0 < place.y1 <= page.y1, f"{words!r} is cut off above or below"
    for (one, _, first), (other, _, second) in itertools.combinations(texts, 2):
        assert not first.padded(-_TOUCH).overlaps(second), f"{one!r} and {other!r} overlap"
    for legend in figure.legends:
        for axes in figure.axes:
            assert not legend.get_window_extent().overlaps(axes.bbox), "the legend covers the data"

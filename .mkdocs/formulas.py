"""Formulas as MathML, made when the site is built: a browser needs no script and no font for them."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*(?:\\\((.*?)\\\)|\\\[(.*?)\\\])\s*</\1>', re.DOTALL)


def _rendered(found: re.Match[str]) -> str:
    inline, block = found[2], found[3]
    text = html.unescape(inline if inline is not None else block)
    return str(convert(text.strip(), display="inline" if inline is not None else "block"))


def on_page_content(content: str, **_: object) -> str:
    """Replace what arithmatex has marked, `$...$` and `$$...$$`, by MathML."""
    return _FORMULA.sub(_rendered, content)

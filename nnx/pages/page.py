"""What all pages share: the head, which forbids scripts and all that lies elsewhere, and the look."""

from __future__ import annotations

from html import escape

from nnx.pages.style import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser is told: a page is text, styles and pictures inside of it, whatever else may stand there."""


def document(title: str, body: str) -> str:
    """Return a page.

    Args:
        title: plain text.
        body: HTML.
    """
    head = (
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n<style>{STYLE}</style>'
    )
    body = body.encode("utf-8", "replace").decode()  # JSON may hold halves of characters, which no file can
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'

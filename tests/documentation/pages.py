"""The pages of the documentation, and the programs on them.

The blocks marked `python` of a page are one program, run in order in an empty folder. A block marked `text` right
behind one is what it prints. A block marked `py` is shown, and compiled, but not run here: it needs what not every
machine has, such as a GPU; the page says what. Pictures stand in `images/`, beside the page, under the name of the
file that the program writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PICTURE = re.compile(r"!\[[^\]]*\]\(images/([\w.-]+)\)")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")


@dataclass(frozen=True)
class Block:
    """A part of a page's program, and what it prints; None where the page does not show it."""

    code: str
    printed: str | None


def pages() -> list[Path]:
    """Return every page, in the order of their names."""
    return sorted(DOCS.rglob("*.md"))


def blocks_of(text: str) -> list[Block]:
    """Return the program of a page, block by block."""
    found = list(_BLOCK.finditer(text))
    made = []
    for number, block in enumerate(found):
        if block[1] == "python":
            behind = found[number + 1 : number + 2]
            shown = [one[2] for one in behind if one[1] == "text" and not text[block.end() : one.start()].strip()]
            made.append(Block(block[2], shown[0] if shown else None))
    return made


def shown_only(text: str) -> list[str]:
    """Return the blocks that are not run."""
    return [block[2] for block in _BLOCK.finditer(text) if block[1] == "py"]


def shells(text: str) -> list[str]:
    """Return the blocks of command lines."""
    return [block[2] for block in _BLOCK.finditer(text) if block[1] in ("sh", "console")]


def pictures_of(text: str) -> list[str]:
    """Return the names of the pictures that a page shows."""
    return _PICTURE.findall(text)


def numbers_of(text: str) -> list[str]:
    """Return the numbers in a text, as they stand there."""
    return _NUMBER.findall(text)


def words_of(text: str) -> str:
    """Return a text without its numbers and without what only lays it out."""
    return " ".join(_NUMBER.sub("#", text).split())

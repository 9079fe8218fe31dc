"""Makes the pictures of the documentation anew, and shows what its programs print: python -m tests.documentation.

With names of pages (docs/tutorial/images.md ...), only theirs.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.documentation.pages import blocks_of, pages, pictures_of
from tests.documentation.running import printed_by


def renew(page: Path) -> None:
    """Run a page's program, copy its pictures to the folder beside the page, and print what it printed."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for number, printed in enumerate(printed_by(page.resolve(), Path(folder)), 1):
            print(f"== {page.name}, block {number}\n{printed}", end="")
        for name in pictures_of(text):
            (page.parent / "images").mkdir(exist_ok=True)
            shutil.copy(Path(folder) / name, page.parent / "images" / name)


if __name__ == "__main__":
    for chosen in [Path(name) for name in sys.argv[1:]] or pages():
        if blocks_of(chosen.read_text(encoding="utf-8")):
            renew(chosen)

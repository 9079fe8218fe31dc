"""Pages that are written elsewhere: results of measurements, what changed, how to contribute.

Each is taken from where it stands, so that nothing is said twice. A link in one of them that leads to no page of
the site becomes the name of the file.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]  # for nnx, where it is not installed

from nnx import Backend  # noqa: E402

ELSEWHERE = {
    "results/notes.md": "benchmarks/results/notes.md",
    "results/experiments.md": "benchmarks/results/experiments.md",
    "results/trust.md": "benchmarks/results/trust.md",
    "results/streaming.md": "benchmarks/results/streaming.md",
    "results/onnx.md": "benchmarks/results/onnx.md",
    "project/changes.md": "CHANGELOG.md",
    "project/contributing.md": "CONTRIBUTING.md",
}
"""Page -> the file it is, both from the top of their trees."""


def page_of(source: str) -> str | None:
    """Return the page that shows a file of the repository, if one does."""
    pages = {file: page for page, file in ELSEWHERE.items()}
    return pages.get(source) or (source.removeprefix("docs/") if source.startswith("docs/") else None)


def relink(text: str, page: str) -> str:
    """Make links of a file of the repository lead to pages; one that leads to none becomes plain code."""
    folder = PurePosixPath(ELSEWHERE[page]).parent

    def replace(link: re.Match[str]) -> str:
        label, target = link[1], link[2]
        if "://" in target or target.startswith("#"):
            return link[0]
        path, mark, part = target.partition("#")
        source = posixpath.normpath(f"{folder}/{path}")
        found = page_of(source)
        if found is None:
            return f"`{source}`"
        return f"[{label}]({posixpath.relpath(found, posixpath.dirname(page))}{mark}{part})"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", replace, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that stand elsewhere in the repository."""
    for page, source in ELSEWHERE.items():
        text = relink((ROOT / source).read_text(encoding="utf-8"), page)
        files.append(File.generated(config, page, content=text))
    return files


def family(found: re.Match[str]) -> str:
    """Return the entries of a family of kernels: what is said of all of them, then one after another."""
    if found[1] == "rules":
        return _entry("nnx.interface", _WORDS)
    base = next(kind for kind in Backend.__mro__ if kind.__name__ == found[1])
    kernels = [name for name, value in vars(base).items() if callable(value) and not name.startswith("_")]
    entries = [_entry(f"{base.__module__}.{base.__name__}", _WORDS)]
    return "\n".join([*entries, *(_entry(f"nnx.Backend.{kernel}", _KERNEL) for kernel in kernels)])


_WORDS = "show_root_heading: false, show_root_toc_entry: false, members: false"
_KERNEL = "heading_level: 3, show_signature_annotations: false, show_symbol_type_toc: false"
"""Shapes and what may be None are in the words."""


def _entry(name: str, options: str) -> str:
    return f"::: {name}\n    options: {{{options}}}\n"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put kernels where a page asks for them."""
    return re.sub(r"<!-- kernels: (\w+) -->", family, markdown)

"""Whether a tag may become a release: python .ci/check_release.py v0.2.0."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def mistakes(tag: str, root: Path = ROOT) -> list[str]:
    """Return what keeps a tag from becoming a release, in sentences."""

    def first(pattern: str, name: str) -> str:
        found = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else "nothing"

    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    told = {
        "the tag": tag.removeprefix("v"),
        "nnx/version.py": first(r'^__version__ = "(.*)"$', "nnx/version.py"),
        "CITATION.cff": first(r"^version: (.*)$", "CITATION.cff"),
        "the first heading of CHANGELOG.md": first(r"^## ([^\s,]+)", "CHANGELOG.md"),
    }
    return [
        f"{place} must say {version}, as pyproject.toml does, got {name}."
        for place, name in told.items()
        if name != version
    ]


if __name__ == "__main__":
    found = mistakes(sys.argv[1])
    print("\n".join(found) or f"{sys.argv[1]} may be released.")
    sys.exit(1 if found else 0)
